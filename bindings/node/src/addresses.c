// isIP(), block lists and addresses.
#include <stdlib.h>
#include <string.h>

#include "binding.h"

// isIP(text): 0, 4 or 6.
static napi_value is_ip(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  size_t length = 0;
  char *text = text_argument(env, argument[0], &length);
  int family = text == NULL ? 0 : troupe_is_ip(text, length);
  free(text);
  return value_of_int(env, family);
}

// parse(text, family, port, flowlabel): the address in its usual form, or an error value.
static napi_value parse(napi_env env, napi_callback_info info) {
  napi_value argument[4];
  arguments_of(env, info, 4, argument);
  size_t length = 0;
  char *text = text_argument(env, argument[0], &length);
  if (text == NULL) {
    return value_of_int(env, TROUPE_ENOMEM);
  }
  troupe_address_t address = {0};
  troupe_socket_address_options_t options = {.address = text,
                                             .address_length = length,
                                             .family = int_argument(env, argument[1]),
                                             .port = int_argument(env, argument[2]),
                                             .flowlabel = (uint32_t)int_argument(env, argument[3])};
  int error = length == 0 ? (int)TROUPE_ERR_INVALID_ADDRESS
                          : troupe_socket_address_init(&address, &options);
  free(text);
  if (error != 0) {
    return value_of_int(env, error);
  }
  address.scope_id = 0; // as Node, which forgets it
  char usual[TROUPE_ADDRESS_TEXT_SIZE];
  troupe_address_text(&address, usual, sizeof usual);
  return value_of_text(env, usual);
}

static void free_list(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  troupe_block_list_t *list = data;
  troupe_block_list_free(&list);
}

// listNew(): a block list, as a value that only the functions below understand.
static napi_value list_new(napi_env env, napi_callback_info info) {
  (void)info;
  troupe_block_list_t *list = NULL;
  napi_value value = NULL;
  if (troupe_block_list_new(&list) != 0 ||
      napi_create_external(env, list, free_list, NULL, &value) != napi_ok) {
    troupe_block_list_free(&list);
    napi_throw_error(env, NULL, "there is no memory for a block list");
    return NULL;
  }
  return value;
}

static troupe_block_list_t *list_of(napi_env env, napi_value value) {
  void *list = NULL;
  napi_get_value_external(env, value, &list);
  return list;
}

// listAdd(list, family, address[, prefix or end]): 0 or an error value.
static napi_value list_add(napi_env env, napi_callback_info info) {
  napi_value argument[4];
  arguments_of(env, info, 4, argument);
  troupe_block_list_t *list = list_of(env, argument[0]);
  int family = int_argument(env, argument[1]);
  size_t length = 0;
  char *address = text_argument(env, argument[2], &length);
  napi_valuetype type = napi_undefined;
  napi_typeof(env, argument[3], &type);
  int error = TROUPE_ENOMEM;
  if (address != NULL && type == napi_number) {
    error = troupe_block_list_add_subnet_text(list, address, length, int_argument(env, argument[3]),
                                              family);
  } else if (address != NULL && type == napi_string) {
    size_t end_length = 0;
    char *end = text_argument(env, argument[3], &end_length);
    if (end != NULL) {
      error = troupe_block_list_add_range_text(list, address, length, end, end_length, family);
    }
    free(end);
  } else if (address != NULL) {
    error = troupe_block_list_add_address_text(list, address, length, family);
  }
  free(address);
  return value_of_int(env, error);
}

// listAddRange(list, start, end): ends that may be of different families.
static napi_value list_add_range(napi_env env, napi_callback_info info) {
  napi_value argument[4];
  arguments_of(env, info, 3, argument);
  troupe_address_t ends[2] = {{0}};
  for (int i = 0; i < 2; i++) {
    size_t length = 0;
    char *text = text_argument(env, argument[i + 1], &length);
    int error = text == NULL ? (int)TROUPE_ENOMEM : troupe_address_parse(&ends[i], text, length, 0);
    free(text);
    if (error != 0) {
      return value_of_int(env, error);
    }
  }
  return value_of_int(env,
                      troupe_block_list_add_range(list_of(env, argument[0]), &ends[0], &ends[1]));
}

// listCheck(list, family, address)
static napi_value list_check(napi_env env, napi_callback_info info) {
  napi_value argument[3];
  arguments_of(env, info, 3, argument);
  size_t length = 0;
  char *text = text_argument(env, argument[2], &length);
  bool blocked = text != NULL &&
                 troupe_block_list_check_text(list_of(env, argument[0]), text, length,
                                              int_argument(env, argument[1]));
  free(text);
  napi_value result = NULL;
  napi_get_boolean(env, blocked, &result);
  return result;
}

// listRules(list): the texts, the newest first.
static napi_value list_rules(napi_env env, napi_callback_info info) {
  napi_value argument[1];
  arguments_of(env, info, 1, argument);
  troupe_block_list_t *list = list_of(env, argument[0]);
  size_t count = troupe_block_list_count(list);
  napi_value rules = NULL;
  napi_create_array_with_length(env, count, &rules);
  for (size_t i = 0; i < count; i++) {
    char text[TROUPE_BLOCK_RULE_TEXT_SIZE];
    if (troupe_block_list_rule_text(list, i, text, sizeof text) >= 0) {
      napi_set_element(env, rules, (uint32_t)i, value_of_text(env, text));
    }
  }
  return rules;
}

napi_status addresses_export(napi_env env, napi_value exports) {
  static const function_t functions[] = {
      {"isIP", is_ip},           {"parse", parse},          {"listNew", list_new},
      {"listAdd", list_add},     {"listCheck", list_check}, {"listAddRange", list_add_range},
      {"listRules", list_rules},
  };
  return export_functions(env, exports, functions, sizeof functions / sizeof functions[0]);
}
