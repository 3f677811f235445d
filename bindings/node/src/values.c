// Between values of C and of JavaScript.
#include <stdlib.h>
#include <string.h>

#include "binding.h"

napi_value value_of_text(napi_env env, const char *text) {
  napi_value value = NULL;
  if (text == NULL || napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) != napi_ok) {
    napi_get_undefined(env, &value);
  }
  return value;
}

napi_value value_of_int(napi_env env, int64_t number) {
  napi_value value = NULL;
  napi_create_int64(env, number, &value);
  return value;
}

static void set(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value value_of_error(napi_env env, const troupe_error_t *error) {
  napi_value object = NULL;
  napi_create_object(env, &object);
  set(env, object, "errno", value_of_int(env, error->code));
  set(env, object, "code", value_of_text(env, error->name));
  set(env, object, "message", value_of_text(env, error->message));
  if (error->syscall != NULL) {
    set(env, object, "syscall", value_of_text(env, error->syscall));
  }
  if (error->address != NULL) {
    set(env, object, "address", value_of_text(env, error->address));
  }
  if (error->port != 0) {
    set(env, object, "port", value_of_int(env, error->port));
  }
  if (error->local_address != NULL) {
    set(env, object, "localAddress", value_of_text(env, error->local_address));
    set(env, object, "localPort", value_of_int(env, error->local_port));
  }
  if (error->error_count > 0) {
    napi_value errors = NULL;
    napi_create_array_with_length(env, error->error_count, &errors);
    for (size_t i = 0; i < error->error_count; i++) {
      napi_set_element(env, errors, (uint32_t)i, value_of_error(env, &error->errors[i]));
    }
    set(env, object, "errors", errors);
  }
  return object;
}

napi_value value_of_address(napi_env env, const troupe_address_t *address) {
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  napi_value array = NULL;
  napi_value name = NULL;
  napi_create_array_with_length(env, 3, &array);
  if (address->family == TROUPE_FAMILY_UNIX) {
    napi_create_string_utf8(env, address->path, address->path_length, &name);
  } else {
    troupe_address_text(address, text, sizeof text);
    name = value_of_text(env, text);
  }
  napi_set_element(env, array, 0, name);
  napi_set_element(env, array, 1, value_of_int(env, address->port));
  napi_set_element(env, array, 2, value_of_int(env, address->family));
  return array;
}

static bool get(napi_env env, napi_value object, const char *name, napi_valuetype type,
                napi_value *value) {
  napi_valuetype found = napi_undefined;
  return napi_get_named_property(env, object, name, value) == napi_ok &&
         napi_typeof(env, *value, &found) == napi_ok && found == type;
}

int64_t int_property(napi_env env, napi_value object, const char *name, int64_t otherwise) {
  napi_value value = NULL;
  int64_t number = 0;
  return get(env, object, name, napi_number, &value) &&
                 napi_get_value_int64(env, value, &number) == napi_ok
             ? number
             : otherwise;
}

bool bool_property(napi_env env, napi_value object, const char *name) {
  napi_value value = NULL;
  bool yes = false;
  return get(env, object, name, napi_boolean, &value) &&
         napi_get_value_bool(env, value, &yes) == napi_ok && yes;
}

char *text_argument(napi_env env, napi_value value, size_t *length) {
  if (napi_get_value_string_utf8(env, value, NULL, 0, length) != napi_ok) {
    return NULL;
  }
  char *text = malloc(*length + 1);
  if (text != NULL) {
    napi_get_value_string_utf8(env, value, text, *length + 1, length);
  }
  return text;
}

char *text_property(napi_env env, napi_value object, const char *name, size_t *length) {
  napi_value value = NULL;
  *length = 0;
  return get(env, object, name, napi_string, &value) ? text_argument(env, value, length) : NULL;
}

void arguments_of(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
}

uint32_t index_argument(napi_env env, napi_value value) {
  uint32_t index = 0;
  return napi_get_value_uint32(env, value, &index) == napi_ok ? index : NO_ENTRY;
}

int32_t int_argument(napi_env env, napi_value value) {
  int32_t number = 0;
  napi_get_value_int32(env, value, &number);
  return number;
}

bool bool_argument(napi_env env, napi_value value) {
  bool yes = false;
  napi_get_value_bool(env, value, &yes);
  return yes;
}

napi_status export_functions(napi_env env, napi_value exports, const function_t *functions,
                             size_t count) {
  napi_status status = napi_ok;
  for (size_t i = 0; i < count && status == napi_ok; i++) {
    napi_value function = NULL;
    status = napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL,
                                  &function);
    if (status == napi_ok) {
      status = napi_set_named_property(env, exports, functions[i].name, function);
    }
  }
  return status;
}
