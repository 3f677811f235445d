/* Calls that are wrong in themselves: NULL where something is asked for or given, values that do
 * not exist, addresses made by hand that are none. Each is an error value. */
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

#include "tests/harness/harness.h"

/// In an actor of its own; the result is how many checks have failed.
static void run(troupe_main_fn main) {
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  troupe_actor_t actor;
  assert_int_equal(troupe_spawn(system, &(troupe_spawn_options_t){.main = main}, &actor), 0);
  int status = -1;
  assert_int_equal(troupe_actor_join(system, actor, 5000 * trp_test_slow(), &status), 0);
  assert_int_equal(status, 0);
  assert_int_equal(troupe_system_wait(system, 5000 * trp_test_slow(), NULL, 0, NULL), 0);
  assert_int_equal(troupe_system_free(&system), 0);
}

static int ask_into_null(void *argument) {
  (void)argument;
  troupe_server_t server = {0};
  troupe_socket_t socket = {0};
  int wrong = troupe_server_new(NULL, NULL, NULL, &server) != 0;
  wrong += troupe_socket_new(NULL, NULL, NULL, &socket) != 0;
  for (int is_open = 1; is_open >= 0; is_open--) {
    wrong += troupe_server_address(server, NULL) != TROUPE_EINVAL;
    wrong += troupe_socket_local_address(socket, NULL) != TROUPE_EINVAL;
    wrong += troupe_socket_remote_address(socket, NULL) != TROUPE_EINVAL;
    wrong += troupe_socket_peer_credentials(socket, NULL) != TROUPE_EINVAL;
    wrong += troupe_socket_deadlines(socket, NULL) != TROUPE_EINVAL;
    if (is_open) {
      wrong += troupe_server_free(server) != 0;
      wrong += troupe_socket_free(socket) != 0;
    }
  }
  return wrong;
}

static void an_answer_needs_a_place(void **state) {
  (void)state;
  run(ask_into_null);
}

static int send_null(void *argument) {
  (void)argument;
  troupe_actor_t self = troupe_actor_self();
  int wrong = troupe_send(self, NULL, 5) != TROUPE_EINVAL;
  wrong += troupe_send(self, NULL, 0) != 0;
  return wrong;
}

static void null_bytes_are_not_sent_to_an_actor(void **state) {
  (void)state;
  run(send_null);
  assert_int_equal(troupe_send((troupe_actor_t){1}, NULL, 5), TROUPE_EWRONGTHREAD);
}

static void no_chunk_has_no_bytes(void **state) {
  (void)state;
  assert_null(troupe_chunk_bytes(NULL));
  assert_int_equal(troupe_chunk_length(NULL), 0);
}

static void no_address_is_one_of_no_family(void **state) {
  (void)state;
  char text[TROUPE_ADDRESS_TEXT_SIZE] = "as before";
  assert_int_equal(troupe_address_text(NULL, text, sizeof text), 0);
  assert_string_equal(text, "");
  troupe_address_t address = {0};
  assert_true(troupe_address_equal(NULL, &address));
  assert_true(troupe_address_equal(NULL, NULL));
  assert_int_equal(troupe_address_parse(&address, "127.0.0.1", 9, 1), 0);
  assert_false(troupe_address_equal(&address, NULL));
  assert_int_equal(troupe_address_text(&address, NULL, 5), 0);
}

static void a_path_longer_than_it_can_be_is_not_read_beyond_its_end(void **state) {
  (void)state;
  troupe_address_t address = {.family = TROUPE_FAMILY_UNIX, .path_length = UINT8_MAX};
  memset(address.path, 'a', sizeof address.path);
  troupe_address_t same = address;
  char text[2 * UINT8_MAX];
  assert_int_equal(troupe_address_text(&address, text, sizeof text), TROUPE_PATH_MAX);
  assert_true(troupe_address_equal(&address, &same));
}

static int use_made_up(void *argument) {
  (void)argument;
  static const struct {
    uint8_t family, path_length;
    const char path[4];
    int error;
  } tries[] = {
      {TROUPE_FAMILY_NONE, 0, "", TROUPE_ERR_INVALID_ARG_VALUE},
      {7, 0, "", TROUPE_ERR_INVALID_ARG_VALUE},
      {TROUPE_FAMILY_UNIX, 0, "", TROUPE_ERR_INVALID_ARG_VALUE},
      {TROUPE_FAMILY_UNIX, 3, {'a', '\0', 'b'}, TROUPE_ERR_INVALID_ARG_VALUE},
      {TROUPE_FAMILY_UNIX, UINT8_MAX, "aaa", TROUPE_ENAMETOOLONG},
  };
  troupe_server_t server;
  int wrong = troupe_server_new(NULL, NULL, NULL, &server) != 0;
  for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
    troupe_address_t address = {.family = tries[i].family, .path_length = tries[i].path_length};
    memcpy(address.path, tries[i].path, sizeof tries[i].path);
    troupe_connect_options_t there = {.address = &address};
    wrong += troupe_connect(&there, NULL, NULL, NULL, NULL) != tries[i].error;
    troupe_listen_options_t here = {.address = &address};
    wrong += troupe_server_listen(server, &here) != tries[i].error;
  }
  return wrong;
}

static void an_address_made_by_hand_is_looked_at(void **state) {
  (void)state;
  run(use_made_up);
}

static void no_trace_says_nothing(void **state) {
  (void)state;
  char path[512], text[64] = "as before";
  troupe_trace_t *trace = NULL;
  troupe_trace_info_t info = {.flight = true};
  troupe_trace_entry_t entry;
  snprintf(path, sizeof path, "%s/tests/trace/stored/echo-1.1.trace", trp_test_source_folder());
  assert_int_equal(troupe_trace_open(path, &trace), 0);
  troupe_trace_info(trace, NULL);
  troupe_trace_info(NULL, &info);
  assert_false(info.flight);
  assert_int_equal(troupe_trace_next(trace, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_trace_next(NULL, &entry), TROUPE_EINVAL);
  assert_int_equal(troupe_trace_next(trace, &entry), 1);
  troupe_trace_text(&entry, NULL, sizeof text);
  troupe_trace_text(NULL, text, sizeof text);
  assert_string_equal(text, "");
  assert_int_equal(troupe_trace_fields(&entry, NULL, sizeof text), 2);
  assert_int_equal(troupe_trace_fields(NULL, text, sizeof text), 2);
  assert_string_equal(text, "{}");
  troupe_id_text(1, NULL, sizeof text);
  assert_int_equal(troupe_trace_hash(NULL, 5), troupe_trace_hash("", 0));
  troupe_trace_free(&trace);
}

static void no_text_is_no_rule(void **state) {
  (void)state;
  troupe_block_list_t *list = NULL;
  assert_int_equal(troupe_block_list_new(&list), 0);
  assert_int_equal(troupe_block_list_add_rule_text(list, NULL, 5), TROUPE_ERR_INVALID_ARG_VALUE);
  assert_int_equal(troupe_block_list_add_address_text(list, NULL, 5, TROUPE_FAMILY_NONE),
                   TROUPE_ERR_INVALID_ADDRESS);
  assert_int_equal(troupe_block_list_add_range_text(list, "::1", 3, NULL, 3, TROUPE_FAMILY_IPV6),
                   TROUPE_ERR_INVALID_ADDRESS);
  assert_int_equal(troupe_block_list_add_subnet_text(list, NULL, 5, 8, TROUPE_FAMILY_IPV4),
                   TROUPE_ERR_INVALID_ADDRESS);
  assert_false(troupe_block_list_check_text(list, NULL, 5, TROUPE_FAMILY_NONE));
  troupe_block_list_free(&list);
}

static int returns(void *argument) {
  (void)argument;
  return 0;
}

static int choose_what_is_not_there(void *argument) {
  (void)argument;
  troupe_server_t server;
  int wrong = troupe_server_new(NULL, NULL, NULL, &server) != 0;
  troupe_listen_options_t options = {.policy = (troupe_policy_t)(TROUPE_POLICY_HASH + 1)};
  wrong += troupe_server_listen(server, &options) != TROUPE_ERR_INVALID_ARG_VALUE;
  troupe_child_t child = {.main = returns};
  troupe_supervisor_options_t family = {.children = &child, .child_count = 1};
  family.strategy = (troupe_strategy_t)(TROUPE_ALL_FOR_ONE + 1);
  wrong += troupe_supervisor_run(&family) != TROUPE_EINVAL;
  family.strategy = TROUPE_ALL_FOR_ONE;
  child.restart = (troupe_restart_t)(TROUPE_RESTART_NEVER + 1);
  wrong += troupe_supervisor_run(&family) != TROUPE_EINVAL;
  return wrong;
}

static void a_choice_that_does_not_exist_is_refused(void **state) {
  (void)state;
  run(choose_what_is_not_there);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(an_answer_needs_a_place),
      trp_test(null_bytes_are_not_sent_to_an_actor),
      trp_test(no_chunk_has_no_bytes),
      trp_test(no_address_is_one_of_no_family),
      trp_test(a_path_longer_than_it_can_be_is_not_read_beyond_its_end),
      trp_test(an_address_made_by_hand_is_looked_at),
      trp_test(no_trace_says_nothing),
      trp_test(no_text_is_no_rule),
      trp_test(a_choice_that_does_not_exist_is_refused),
  };
  return TRP_RUN_TESTS("misuse", tests);
}
