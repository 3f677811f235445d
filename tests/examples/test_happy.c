// happy: what it prints, in which order, for addresses of which the test knows what they do.
#include "tests/examples/program.h"

#include <arpa/inet.h>

static program_t happy;
static char output[PROGRAM_TEXT];

// Without the times, which every line begins with: they must not go backwards.
static void strip_times(char *text) {
  double last = 0;
  char *to = text;
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    char *end = NULL;
    double time = strtod(line, &end);
    assert_true(time >= last);
    assert_int_equal(strncmp(end, " ms  ", 5), 0);
    last = time;
    size_t length = strlen(end + 5);
    memmove(to, end + 5, length);
    to += length;
    *to++ = '\n';
  }
  *to = '\0';
}

// An address whose backlog is full: who connects waits.
typedef struct {
  int listener, fillers[8];
} full_t;

static int listen_on(const char *ip, int *port, int backlog) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
  socklen_t length = sizeof address;
  assert_int_equal(inet_pton(AF_INET, ip, &address.sin_addr), 1);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, (struct sockaddr *)&address, length) != 0) {
    close(fd);
    return -1;
  }
  assert_int_equal(listen(fd, backlog), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

static void fill(full_t *full, const char *ip, int *port) {
  full->listener = listen_on(ip, port, 0);
  assert_true(full->listener >= 0);
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  assert_int_equal(getsockname(full->listener, (struct sockaddr *)&address, &length), 0);
  for (int i = 0; i < 8; i++) {
    full->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(full->fillers[i], (struct sockaddr *)&address, length);
  }
}

static void drain(full_t *full) {
  for (int i = 0; i < 8; i++) {
    close(full->fillers[i]);
  }
  close(full->listener);
}

// On 127.0.0.1, at a port where 127.0.0.2 is slow. Somebody's client may have that port on the first one already.
static int listen_with_a_slow_one(full_t *slow, int *port) {
  for (int i = 0; i < 20; i++) {
    *port = 0;
    fill(slow, "127.0.0.2", port);
    int fd = listen_on("127.0.0.1", port, 8);
    if (fd >= 0) {
      return fd;
    }
    drain(slow);
  }
  fail();
  return -1;
}

// Whether it printed this, but for what may follow: the port that the system picked. "PORT" stands for
// the one that it connects to.
static void assert_prints(const char *text, int port) {
  char expected[1024];
  size_t length = 0;
  while (*text != '\0') {
    if (strncmp(text, "PORT", 4) == 0) {
      length += (size_t)snprintf(expected + length, sizeof expected - length, "%d", port);
      text += 4;
    } else {
      expected[length++] = *text++;
    }
    assert_true(length + 8 < sizeof expected);
  }
  expected[length] = '\0';
  strip_times(output);
  if (strncmp(output, expected, length) != 0) {
    assert_string_equal(output, expected);
  }
}

static void a_name_is_found_tried_and_connected(void **state) {
  (void)state;
  int port = 0;
  char text[16];
  int fd = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(fd >= 0);
  snprintf(text, sizeof text, "%d", port);
  int status = program_run(&happy, NULL, output, sizeof output, "happy", "--family", "4",
                           "localhost", text, NULL);
  assert_string_equal(happy.errors, "");
  assert_int_equal(status, 0);
  assert_prints("found     127.0.0.1\n"
                "try       127.0.0.1:PORT\n"
                "connected 127.0.0.1:PORT from 127.0.0.1:",
                port);
  trp_test_close(fd);
}

static void a_slow_address_is_given_up_or_goes_on(void **state) {
  (void)state;
  int port = 0;
  char text[16];
  full_t slow;
  int fd = listen_with_a_slow_one(&slow, &port);
  snprintf(text, sizeof text, "%d", port);
  int status = program_run(&happy, NULL, output, sizeof output, "happy", "--attempt", "20",
                           "--address", "127.0.0.2", "--address", "127.0.0.1", "somewhere", text,
                           NULL);
  assert_int_equal(status, 0);
  assert_prints("found     127.0.0.2\n"
                "found     127.0.0.1\n"
                "try       127.0.0.2:PORT\n"
                "give up   127.0.0.2:PORT\n"
                "try       127.0.0.1:PORT\n"
                "connected 127.0.0.1:PORT from 127.0.0.1:",
                port);
  status = program_run(&happy, NULL, output, sizeof output, "happy", "--parallel", "--attempt",
                       "20", "--address", "127.0.0.2", "--address", "127.0.0.1", "somewhere", text,
                       NULL);
  assert_int_equal(status, 0);
  assert_prints("found     127.0.0.2\n"
                "found     127.0.0.1\n"
                "try       127.0.0.2:PORT\n"
                "try       127.0.0.1:PORT\n"
                "drop      127.0.0.2:PORT\n"
                "connected 127.0.0.1:PORT from 127.0.0.1:",
                port);
  close(fd);
  drain(&slow);
}

static void what_fails_is_said(void **state) {
  (void)state;
  int port = 0;
  char text[16];
  int reserved = trp_test_reserve_tcp("0.0.0.0", &port);
  assert_true(reserved >= 0);
  snprintf(text, sizeof text, "%d", port);
  int status = program_run(&happy, NULL, output, sizeof output, "happy", "--address", "127.0.0.1",
                           "--address", "127.0.0.2", "somewhere", text, NULL);
  trp_test_close(reserved);
  assert_int_equal(status, 1);
  assert_string_equal(happy.errors, "happy: none of 2 addresses could be connected to\n");
  assert_prints("found     127.0.0.1\n"
                "found     127.0.0.2\n"
                "try       127.0.0.1:PORT\n"
                "fail      127.0.0.1:PORT: connection refused\n"
                "try       127.0.0.2:PORT\n"
                "fail      127.0.0.2:PORT: connection refused\n",
                port);

  full_t slow;
  port = 0;
  fill(&slow, "127.0.0.2", &port);
  snprintf(text, sizeof text, "%d", port);
  status = program_run(&happy, NULL, output, sizeof output, "happy", "--deadline", "30",
                       "127.0.0.2", text, NULL);
  assert_int_equal(status, 1);
  assert_string_equal(happy.errors, "happy: not connected before the deadline: 127.0.0.2\n");
  assert_prints("try       127.0.0.2:PORT\n", port);
  drain(&slow);
}

static void what_it_cannot_do_it_says(void **state) {
  static const wrong_usage_t wrong[] = {
      {{NULL}, "HOST and PORT are needed"},
      {{"localhost"}, "HOST and PORT are needed"},
      {{"localhost", "1", "2"}, "HOST and PORT are needed"},
      {{"localhost", "http"}, "PORT wants a whole number from 1 to 65535, not 'http'"},
      {{"--attempt", "9", "localhost", "1"}, "--attempt wants a whole number"},
      {{"--deadline", "0", "localhost", "1"}, "--deadline wants a whole number"},
      {{"--family", "5", "localhost", "1"}, "--family: 4 or 6 is needed, not '5'"},
      {{"--address", "x", "localhost", "1"}, "--address: 'x' is no IP address"},
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
  };
  static const char *const words[] = {"HOST PORT", "--parallel", "--attempt", "--deadline",
                                      "--family",  "--address",  "--help",    NULL};
  (void)state;
  program_refuses("happy", wrong);
  program_helps("happy", words);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(a_name_is_found_tried_and_connected),
      trp_test(a_slow_address_is_given_up_or_goes_on),
      trp_test(what_fails_is_said),
      trp_test(what_it_cannot_do_it_says),
  };
  return TRP_RUN_TESTS("happy", tests);
}
