// The proxy, between peers that are the test's own.
#include <pthread.h>

#include "tests/examples/program.h"

enum { LIMIT_MS = 30000, PIECE = 256 * 1024 };

static program_t proxy;

// Where the proxy connects to: a listening socket of the test.
typedef struct {
  int fd;
  char target[160]; // for --to
} goal_t;

static void open_goal(goal_t *goal, const char *path) {
  if (path != NULL) {
    goal->fd = trp_test_listen_unix(path, strlen(path));
    snprintf(goal->target, sizeof goal->target, "%s", path);
  } else {
    int port = 0;
    goal->fd = trp_test_listen_tcp("127.0.0.1", &port);
    snprintf(goal->target, sizeof goal->target, "127.0.0.1:%d", port);
  }
  assert_true(goal->fd >= 0);
}

static int connect_to_proxy(void) {
  int fd = proxy.port > 0 ? trp_test_connect_tcp("127.0.0.1", proxy.port, LIMIT_MS)
                          : trp_test_connect_unix(proxy.address, strlen(proxy.address), LIMIT_MS);
  assert_true(fd >= 0);
  return fd;
}

// A client and the server that the proxy connected it to.
static void connect_both(const goal_t *goal, int *client, int *server) {
  *client = connect_to_proxy();
  *server = trp_test_accept(goal->fd, LIMIT_MS);
  assert_true(*server >= 0);
}

// What a thread sends or receives: random bytes that both ends know.
typedef struct {
  int fd;
  uint64_t stream;
  size_t length;
  int64_t result;
} flow_t;

static void *send_flow(void *argument) {
  flow_t *flow = argument;
  trp_test_random_t random;
  unsigned char *piece = malloc(PIECE);
  flow->result = piece == NULL ? -ENOMEM : 0;
  trp_test_random_start(&random, flow->stream);
  for (size_t left = flow->length; left > 0 && flow->result == 0;) {
    size_t n = left < PIECE ? left : PIECE;
    trp_test_random_bytes(&random, piece, n);
    flow->result = trp_test_send(flow->fd, piece, n, LIMIT_MS);
    left -= n;
  }
  if (flow->result == 0) {
    flow->result = trp_test_end(flow->fd);
  }
  free(piece);
  return NULL;
}

// The result is how many bytes came up to the end and were right; -EILSEQ if one was wrong.
static void *receive_flow(void *argument) {
  flow_t *flow = argument;
  trp_test_random_t random;
  unsigned char *piece = malloc(PIECE), *expected = malloc(PIECE);
  flow->result = piece == NULL || expected == NULL ? -ENOMEM : 0;
  trp_test_random_start(&random, flow->stream);
  for (size_t left = flow->length; flow->result >= 0;) {
    size_t want = left == 0 ? 1 : left < PIECE ? left : PIECE;
    int64_t n = trp_test_receive(flow->fd, piece, want, LIMIT_MS);
    if (n == 0) {
      break;
    }
    if (n < 0 || left == 0) {
      flow->result = n < 0 ? n : -EILSEQ;
      break;
    }
    trp_test_random_bytes(&random, expected, (size_t)n);
    flow->result = memcmp(piece, expected, (size_t)n) == 0 ? flow->result + n : -EILSEQ;
    left -= (size_t)n;
  }
  free(piece);
  free(expected);
  return NULL;
}

// So many bytes each way at once, both ways to their end.
static void exchange(int client, int server, size_t length) {
  flow_t flows[4] = {
      {.fd = client, .stream = 1, .length = length},
      {.fd = server, .stream = 1, .length = length},
      {.fd = server, .stream = 2, .length = length},
      {.fd = client, .stream = 2, .length = length},
  };
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    assert_int_equal(
        pthread_create(&threads[i], NULL, i % 2 == 0 ? send_flow : receive_flow, &flows[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
  }
  for (int i = 0; i < 4; i++) {
    assert_int_equal(flows[i].result, i % 2 == 0 ? 0 : (int64_t)length);
  }
}

static void exchange_through(const char *listen, const char *goal_path) {
  size_t length = trp_test_slow() > 1 ? 8 << 20 : 64 << 20;
  goal_t goal;
  int client = -1, server = -1;
  char expected[256];
  trp_test_limit(120000);
  open_goal(&goal, goal_path);
  program_start(&proxy, "proxy", "--listen", listen, "--to", goal.target, NULL);
  connect_both(&goal, &client, &server);
  exchange(client, server, length);
  trp_test_close(client);
  trp_test_close(server);
  trp_test_close(goal.fd);
  snprintf(expected, sizeof expected,
           "proxy: 1 connections, %zu bytes there, %zu bytes back; 0 could not be connected, 0 "
           "were broken off\n",
           length, length);
  program_stop_cleanly(&proxy, expected);
}

static void much_goes_both_ways_over_tcp(void **state) {
  (void)state;
  exchange_through("127.0.0.1:0", NULL);
}

static void much_goes_both_ways_over_unix_sockets(void **state) {
  char listen[128], goal[128];
  (void)state;
  snprintf(listen, sizeof listen, "%s/listen", trp_test_folder());
  snprintf(goal, sizeof goal, "%s/goal", trp_test_folder());
  exchange_through(listen, goal);
  assert_int_equal(access(listen, F_OK), -1); // the path went with the program
}

static void much_goes_both_ways_from_tcp_to_a_unix_socket(void **state) {
  char goal[128];
  (void)state;
  snprintf(goal, sizeof goal, "%s/goal", trp_test_folder());
  exchange_through("127.0.0.1:0", goal);
}

static void many_connections_are_kept_apart(void **state) {
  enum { COUNT = 50 };
  goal_t goal;
  int client[COUNT], server[COUNT];
  (void)state;
  open_goal(&goal, NULL);
  program_start(&proxy, "proxy", "--listen", "127.0.0.1:0", "--to", goal.target, "--actors", "3",
                NULL);
  for (int i = 0; i < COUNT; i++) {
    connect_both(&goal, &client[i], &server[i]);
  }
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(trp_test_send(client[i], &i, sizeof i, LIMIT_MS), 0);
  }
  for (int i = 0; i < COUNT; i++) {
    int got = -1;
    assert_int_equal(trp_test_receive(server[i], &got, sizeof got, LIMIT_MS), sizeof got);
    assert_int_equal(trp_test_send(server[i], &got, sizeof got, LIMIT_MS), 0);
  }
  // Each client gets its own number back: connect_both() may have paired them otherwise.
  for (int i = 0; i < COUNT; i++) {
    int got = -1;
    assert_int_equal(trp_test_receive(client[i], &got, sizeof got, LIMIT_MS), sizeof got);
    assert_int_equal(got, i);
    trp_test_close(client[i]);
  }
  for (int i = 0; i < COUNT; i++) {
    char byte = 0;
    assert_int_equal(trp_test_receive(server[i], &byte, 1, LIMIT_MS), 0);
    trp_test_close(server[i]);
  }
  trp_test_close(goal.fd);
  assert_int_equal(program_stop(&proxy, SIGINT), 0);
}

// One side ends; the other way goes on for as long as the other side likes.
static void end_first(int first, int second) {
  char text[64];
  assert_int_equal(trp_test_send(first, "question", 8, LIMIT_MS), 0);
  assert_int_equal(trp_test_end(first), 0);
  assert_int_equal(trp_test_receive_to_end(second, text, sizeof text, LIMIT_MS), 8);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(trp_test_send(second, "answer", 6, LIMIT_MS), 0);
    assert_int_equal(trp_test_receive(first, text, 6, LIMIT_MS), 6);
    assert_memory_equal(text, "answer", 6);
  }
  assert_int_equal(trp_test_end(second), 0);
  assert_int_equal(trp_test_receive(first, text, 1, LIMIT_MS), 0);
  trp_test_close(first);
  trp_test_close(second);
}

static void each_way_ends_for_itself(void **state) {
  char path[128], listen[128];
  (void)state;
  snprintf(path, sizeof path, "%s/goal", trp_test_folder());
  snprintf(listen, sizeof listen, "@troupe-test-%d", (int)getpid());
  for (int unix_goal = 0; unix_goal < 2; unix_goal++) {
    goal_t goal;
    int client = -1, server = -1;
    open_goal(&goal, unix_goal ? path : NULL);
    program_start(&proxy, "proxy", "--listen", unix_goal ? listen : "127.0.0.1:0", "--to",
                  goal.target, NULL);
    if (unix_goal) {
      assert_string_equal(proxy.address, listen);
      proxy.address[0] = '@';
    }
    for (int client_first = 0; client_first < 2; client_first++) {
      if (unix_goal) {
        char name[160];
        size_t length = strlen(proxy.address);
        memcpy(name, proxy.address, length);
        name[0] = '\0'; // an abstract name begins with a zero byte
        client = trp_test_connect_unix(name, length, LIMIT_MS);
        assert_true(client >= 0);
        server = trp_test_accept(goal.fd, LIMIT_MS);
        assert_true(server >= 0);
      } else {
        connect_both(&goal, &client, &server);
      }
      end_first(client_first ? client : server, client_first ? server : client);
    }
    trp_test_close(goal.fd);
    assert_int_equal(program_stop(&proxy, SIGTERM), 0);
  }
}

static void a_reset_goes_through(void **state) {
  goal_t goal;
  (void)state;
  open_goal(&goal, NULL);
  program_start(&proxy, "proxy", "--listen", "127.0.0.1:0", "--to", goal.target, NULL);
  for (int client_first = 0; client_first < 2; client_first++) {
    int client = -1, server = -1;
    char byte = 0;
    connect_both(&goal, &client, &server);
    assert_int_equal(trp_test_send(client, "x", 1, LIMIT_MS), 0);
    assert_int_equal(trp_test_receive(server, &byte, 1, LIMIT_MS), 1);
    trp_test_reset(client_first ? client : server);
    int other = client_first ? server : client;
    assert_int_equal(trp_test_receive(other, &byte, 1, LIMIT_MS), -ECONNRESET);
    trp_test_close(other);
  }
  trp_test_close(goal.fd);
  program_stop_cleanly(&proxy, "proxy: 2 connections, 2 bytes there, 0 bytes back; 0 could not be "
                               "connected, 2 were broken off\n");
}

static void it_connects_to_a_name(void **state) {
  goal_t goal;
  int client = -1, server = -1;
  char target[64];
  (void)state;
  open_goal(&goal, NULL);
  snprintf(target, sizeof target, "localhost%s", strrchr(goal.target, ':'));
  program_start(&proxy, "proxy", "--listen", "127.0.0.1:0", "--to", target, NULL);
  for (int i = 0; i < 3; i++) {
    connect_both(&goal, &client, &server);
    end_first(client, server);
  }
  trp_test_close(goal.fd);
  assert_int_equal(program_stop(&proxy, SIGTERM), 0);
}

static void a_client_is_let_go_when_nobody_is_there(void **state) {
  enum { COUNT = 30 };
  char target[64], message[128];
  int port = 0;
  (void)state;
  int reserved = trp_test_reserve_tcp("127.0.0.1", &port);
  assert_true(reserved >= 0);
  snprintf(target, sizeof target, "127.0.0.1:%d", port);
  program_start(&proxy, "proxy", "--listen", "127.0.0.1:0", "--to", target, NULL);
  for (int i = 0; i < COUNT; i++) {
    char byte = 0;
    int client = trp_test_connect_tcp("127.0.0.1", proxy.port, LIMIT_MS);
    if (client >= 0) {
      assert_int_equal(trp_test_receive(client, &byte, 1, LIMIT_MS), -ECONNRESET);
      trp_test_close(client);
    } else {
      assert_int_equal(client, -ECONNRESET); // so fast that connecting was not seen to end
    }
  }
  assert_int_equal(program_stop(&proxy, SIGTERM), 0);
  trp_test_close(reserved);
  // It is said, but not as often as it happened.
  snprintf(message, sizeof message, "proxy: cannot connect: connect ECONNREFUSED %s\n", target);
  assert_int_equal(strncmp(proxy.errors, message, strlen(message)), 0);
  assert_non_null(strstr(proxy.errors, "30 could not be connected"));
  int lines = 0;
  for (const char *c = proxy.errors; *c != '\0'; c++) {
    lines += *c == '\n';
  }
  assert_true(lines >= 3 && lines < 10 * trp_test_slow());
}

// Sends until nothing more goes for a while, or `most` bytes went; how many did.
static size_t fill(int fd, size_t most) {
  static char bytes[65536];
  size_t sent = 0;
  struct pollfd ready = {.fd = fd, .events = POLLOUT};
  while (sent < most && poll(&ready, 1, 500 * trp_test_slow()) > 0) {
    ssize_t n = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    assert_true(n > 0 || errno == EAGAIN);
    sent += n > 0 ? (size_t)n : 0;
  }
  return sent;
}

static void a_slow_reader_slows_the_writer(void **state) {
  enum { MOST = 256 << 20 };
  char goal_path[128], listen[128];
  static char bytes[65536];
  goal_t goal;
  int client = -1, server = -1;
  (void)state;
  // Unix sockets, because the kernel keeps little for them.
  snprintf(goal_path, sizeof goal_path, "%s/goal", trp_test_folder());
  snprintf(listen, sizeof listen, "%s/listen", trp_test_folder());
  open_goal(&goal, goal_path);
  program_start(&proxy, "proxy", "--listen", listen, "--to", goal.target, NULL);
  connect_both(&goal, &client, &server);
  size_t sent = fill(client, MOST);
  assert_true(sent > 0 && sent < 8 << 20);
  // The other connections go on meanwhile.
  int other_client = -1, other_server = -1;
  connect_both(&goal, &other_client, &other_server);
  end_first(other_client, other_server);
  // Nothing was lost of what was taken.
  assert_int_equal(trp_test_end(client), 0);
  size_t got = 0;
  for (int64_t n; (n = trp_test_receive(server, bytes, sizeof bytes, LIMIT_MS)) > 0;) {
    got += (size_t)n;
  }
  assert_int_equal(got, sent);
  trp_test_close(client);
  trp_test_close(server);
  trp_test_close(goal.fd);
  assert_int_equal(program_stop(&proxy, SIGTERM), 0);
}

static void it_ends_although_connections_are_open(void **state) {
  goal_t goal;
  int client[3], server[3];
  (void)state;
  open_goal(&goal, NULL);
  program_start(&proxy, "proxy", "--listen", "127.0.0.1:0", "--to", goal.target, "--actors", "2",
                NULL);
  for (int i = 0; i < 3; i++) {
    connect_both(&goal, &client[i], &server[i]);
  }
  assert_int_equal(program_stop(&proxy, SIGTERM), 0);
  for (int i = 0; i < 3; i++) {
    trp_test_close(client[i]);
    trp_test_close(server[i]);
  }
  trp_test_close(goal.fd);
}

static void what_it_cannot_do_it_says(void **state) {
  static const wrong_usage_t wrong[] = {
      {{"--frobnicate"}, "unknown option '--frobnicate'"},
      {{"-x"}, "unknown option '-x'"},
      {{NULL}, "--listen is needed"},
      {{"--to", "127.0.0.1:1"}, "--listen is needed"},
      {{"--listen", "127.0.0.1:0"}, "--to is needed"},
      {{"--listen", "7000"}, "'7000' is neither HOST:PORT nor a path"},
      {{"--listen", "127.0.0.1:x"}, "the port wants a whole number from 0 to 65535, not 'x'"},
      {{"--to", "@"}, "a socket's path has 1 to 108 bytes"},
      {{"--actors", "0"}, "--actors wants a whole number from 1 to 1024"},
      {{"more"}, "unexpected 'more'"},
  };
  static const char *const options[] = {"--listen",          "--to",   "--actors",
                                        "--connect-timeout", "--help", NULL};
  static char output[PROGRAM_TEXT];
  char expected[512];
  program_t second;
  (void)state;
  program_refuses("proxy", wrong);
  program_helps("proxy", options);
  program_start(&proxy, "proxy", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", NULL);
  int status = program_run(&second, NULL, output, sizeof output, "proxy", "--listen", proxy.address,
                           "--to", "127.0.0.1:1", NULL);
  assert_int_equal(status, 1);
  assert_string_equal(output, "");
  snprintf(expected, sizeof expected,
           "proxy: cannot listen on %s: address already in use (EADDRINUSE)\n", proxy.address);
  assert_string_equal(second.errors, expected);
  assert_int_equal(program_stop(&proxy, SIGTERM), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(much_goes_both_ways_over_tcp),
      trp_test(much_goes_both_ways_over_unix_sockets),
      trp_test(much_goes_both_ways_from_tcp_to_a_unix_socket),
      trp_test(many_connections_are_kept_apart),
      trp_test(each_way_ends_for_itself),
      trp_test(a_reset_goes_through),
      trp_test(it_connects_to_a_name),
      trp_test(a_client_is_let_go_when_nobody_is_there),
      trp_test(a_slow_reader_slows_the_writer),
      trp_test(it_ends_although_connections_are_open),
      trp_test(what_it_cannot_do_it_says),
  };
  return TRP_RUN_TESTS("proxy", tests);
}
