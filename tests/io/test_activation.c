// The descriptors that somebody passed, as LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES tell of them.
#include "actors/io/activation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/harness/harness.h"

enum { FIRST = 200, SELF = 4711 }; // far from what else is open

static int read_variables(const char *pid, const char *fds, const char *names,
                          troupe_activated_t *list, size_t capacity, size_t *count) {
  trp_activation_t variables = {.pid = pid, .fds = fds, .names = names};
  return trp_activation_read(&variables, SELF, FIRST, list, capacity, count);
}

static void pass(int fd, int index) {
  assert_true(fd >= 0);
  assert_int_equal(dup2(fd, FIRST + index), FIRST + index); // without close-on-exec
  close(fd);
}

static int pass_listening(int index) {
  int port = 0;
  pass(trp_test_listen_tcp("127.0.0.1", &port), index);
  return port;
}

static void take_back(int count) {
  for (int i = 0; i < count; i++) {
    close(FIRST + i);
  }
}

static void without_the_variables_there_are_none(void **state) {
  (void)state;
  size_t count = 9;
  assert_int_equal(read_variables(NULL, NULL, NULL, NULL, 0, &count), 0);
  assert_int_equal(count, 0);
  assert_int_equal(read_variables(NULL, "1", NULL, NULL, 0, &count), 0);
  assert_int_equal(read_variables("4711", NULL, "web", NULL, 0, &count), 0);
  assert_int_equal(read_variables("4711", "0", NULL, NULL, 0, &count), 0);
  assert_int_equal(read_variables("4711", "0", "", NULL, 0, &count), 0);
  assert_int_equal(count, 0);
}

static void those_of_another_process_are_not_ours(void **state) {
  (void)state;
  size_t count = 9;
  pass_listening(0);
  assert_int_equal(read_variables("4712", "1", "web", NULL, 0, &count), 0);
  assert_int_equal(count, 0);
  assert_int_equal(fcntl(FIRST, F_GETFD), 0); // and are left alone
  take_back(1);
}

static void each_is_told_with_its_kind_name_and_address(void **state) {
  (void)state;
  enum { COUNT = 6 };
  int ends[2], tube[2];
  char path[TROUPE_PATH_MAX];
  troupe_activated_t list[COUNT];
  size_t count = 0;
  snprintf(path, sizeof path, "%s/web", trp_test_folder());
  int port = pass_listening(0);
  pass(trp_test_listen_unix(path, strlen(path)), 1);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  pass(ends[0], 2);
  pass(socket(AF_INET, SOCK_DGRAM, 0), 3);
  pass(socket(AF_INET, SOCK_STREAM, 0), 4);
  assert_int_equal(pipe(tube), 0);
  pass(tube[0], 5);
  assert_int_equal(read_variables("4711", "6", "web:admin::c:web:in", list, COUNT, &count), 0);
  assert_int_equal(count, COUNT);
  static const struct {
    const char *name;
    troupe_activated_kind_t kind;
    int family;
  } expected[COUNT] = {
      {"web", TROUPE_ACTIVATED_LISTENING, TROUPE_FAMILY_IPV4},
      {"admin", TROUPE_ACTIVATED_LISTENING, TROUPE_FAMILY_UNIX},
      {"", TROUPE_ACTIVATED_STREAM, TROUPE_FAMILY_NONE}, // has no name
      {"c", TROUPE_ACTIVATED_OTHER, TROUPE_FAMILY_NONE},
      {"web", TROUPE_ACTIVATED_OTHER, TROUPE_FAMILY_IPV4}, // neither listens nor is connected
      {"in", TROUPE_ACTIVATED_STREAM, TROUPE_FAMILY_NONE},
  };
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(list[i].fd, FIRST + i);
    assert_string_equal(list[i].name, expected[i].name);
    assert_int_equal(list[i].kind, expected[i].kind);
    assert_int_equal(list[i].address.family, expected[i].family);
    assert_int_equal(fcntl(FIRST + i, F_GETFD), FD_CLOEXEC);
  }
  assert_int_equal(list[0].address.port, port);
  assert_string_equal(list[1].address.path, path);
  take_back(COUNT);
  close(ends[1]);
  close(tube[1]);
}

static void without_names_they_are_unknown(void **state) {
  (void)state;
  troupe_activated_t list[1];
  size_t count = 0;
  pass_listening(0);
  pass_listening(1);
  assert_int_equal(read_variables("4711", "2", NULL, list, 1, &count), 0);
  assert_int_equal(count, 2); // one more than there was room for
  assert_string_equal(list[0].name, "unknown");
  assert_int_equal(fcntl(FIRST + 1, F_GETFD), FD_CLOEXEC);
  take_back(2);
}

static void variables_that_make_no_sense_are_refused(void **state) {
  (void)state;
  static const char *const wrong[][3] = {
      {"", "1", NULL},
      {"x", "1", NULL},
      {"-4711", "1", NULL},
      {" 4711", "1", NULL},
      {"4711x", "1", NULL},
      {"0", "1", NULL},
      {"4711", "", NULL},
      {"4711", "-1", NULL},
      {"4711", "1x", NULL},
      {"4711", "0x1", NULL},
      {"4711", "+1", NULL},
      {"4711", "99999999999999999999", NULL},
      {"4711", "1", "a:b"},
      {"4711", "2", "a"},
      {"4711", "0", "a"},
      {"4711", "1", ""},
      {"4711", "2147483647", NULL},
  };
  pass_listening(0);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    size_t count = 9;
    if (read_variables(wrong[i][0], wrong[i][1], wrong[i][2], NULL, 0, &count) !=
        TROUPE_ERR_INVALID_ARG_VALUE) {
      fail_msg("LISTEN_PID=%s LISTEN_FDS=%s LISTEN_FDNAMES=%s", wrong[i][0], wrong[i][1],
               wrong[i][2]);
    }
    assert_int_equal(count, 0);
  }
  // A name may have 255 bytes.
  char name[TROUPE_ACTIVATED_NAME_SIZE + 1];
  troupe_activated_t list[1];
  size_t count = 0;
  memset(name, 'n', sizeof name);
  name[sizeof name - 1] = '\0';
  assert_int_equal(read_variables("4711", "1", name, list, 1, &count),
                   TROUPE_ERR_INVALID_ARG_VALUE);
  name[sizeof name - 2] = '\0';
  assert_int_equal(read_variables("4711", "1", name, list, 1, &count), 0);
  assert_string_equal(list[0].name, name);
  take_back(1);
}

static void a_descriptor_that_is_not_open_is_an_error(void **state) {
  (void)state;
  size_t count = 9;
  pass_listening(0);
  assert_int_equal(read_variables("4711", "2", NULL, NULL, 0, &count), TROUPE_EBADF);
  assert_int_equal(count, 0);
  take_back(1);
}

static void nothing_to_write_to_is_misuse(void **state) {
  (void)state;
  size_t count = 0;
  assert_int_equal(troupe_activated_list(NULL, 0, NULL), TROUPE_EINVAL);
  assert_int_equal(troupe_activated_list(NULL, 1, &count), TROUPE_EINVAL);
  assert_int_equal(troupe_activated_find("web", 0, NULL), TROUPE_EINVAL);
  troupe_activated_t found;
  assert_int_equal(troupe_activated_list(NULL, 0, &count), 0); // this test got none
  assert_int_equal(count, 0);
  assert_int_equal(troupe_activated_find(NULL, 0, &found), TROUPE_ENOENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(without_the_variables_there_are_none),
      trp_test(those_of_another_process_are_not_ours),
      trp_test(each_is_told_with_its_kind_name_and_address),
      trp_test(without_names_they_are_unknown),
      trp_test(variables_that_make_no_sense_are_refused),
      trp_test(a_descriptor_that_is_not_open_is_an_error),
      trp_test(nothing_to_write_to_is_misuse),
  };
  return TRP_RUN_TESTS("activation", tests);
}
