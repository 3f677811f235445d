// The harness tests what others rely on when they fail: its counts, limits, folders and sockets.

#include "tests/harness/harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS 5000

static char earlier_folder[128];

static void *wait_to_be_joined(void *arg) {
  pthread_mutex_t *held = arg;
  pthread_mutex_lock(held);
  pthread_mutex_unlock(held);
  return NULL;
}

static void a_folder_is_fresh_and_empty(void **state) {
  char path[160];
  (void)state;
  snprintf(earlier_folder, sizeof earlier_folder, "%s", trp_test_folder());
  snprintf(path, sizeof path, "%s/deep", trp_test_folder());
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(path, sizeof path, "%s/deep/file", trp_test_folder());
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  fclose(file);
}

static void a_folder_is_gone_after_its_test(void **state) {
  struct stat status;
  (void)state;
  assert_int_equal(stat(earlier_folder, &status), -1);
  assert_int_equal(errno, ENOENT);
  assert_string_not_equal(trp_test_folder(), earlier_folder);
}

static void counts_follow_threads_and_fds(void **state) {
  pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
  pthread_t thread;
  int threads = trp_test_count_threads();
  int fds = trp_test_count_fds();
  (void)state;

  pthread_mutex_lock(&held);
  assert_int_equal(pthread_create(&thread, NULL, wait_to_be_joined, &held), 0);
  int fd = dup(STDERR_FILENO);
  assert_int_equal(trp_test_count_threads(), threads + 1);
  assert_int_equal(trp_test_count_fds(), fds + 1);
  close(fd);
  pthread_mutex_unlock(&held);
  pthread_join(thread, NULL);
  assert_true(trp_test_rss_bytes() > 0);
  assert_true(trp_test_pss_bytes() > 0);
  assert_true(trp_test_context_switches() >= 0);
}

static void random_bytes_repeat_for_a_stream(void **state) {
  trp_test_random_t one, same, other;
  unsigned char bytes[3][37];
  (void)state;
  trp_test_random_start(&one, 1);
  trp_test_random_start(&same, 1);
  trp_test_random_start(&other, 2);
  trp_test_random_bytes(&one, bytes[0], sizeof bytes[0]);
  trp_test_random_bytes(&same, bytes[1], sizeof bytes[1]);
  trp_test_random_bytes(&other, bytes[2], sizeof bytes[2]);
  assert_memory_equal(bytes[0], bytes[1], sizeof bytes[0]);
  assert_memory_not_equal(bytes[0], bytes[2], sizeof bytes[0]);
  assert_true(trp_test_random_below(&one, 10) < 10);
}

static void talk(int client, int server) {
  char bytes[16];
  assert_int_equal(trp_test_send(client, "hello", 5, LIMIT_MS), 0);
  assert_int_equal(trp_test_receive(server, bytes, 5, LIMIT_MS), 5);
  assert_memory_equal(bytes, "hello", 5);
  assert_int_equal(trp_test_receive(server, bytes, 1, 1), -ETIMEDOUT);
  assert_int_equal(trp_test_send(client, "bye", 3, LIMIT_MS), 0);
  assert_int_equal(trp_test_end(client), 0);
  assert_int_equal(trp_test_receive_to_end(server, bytes, 2, LIMIT_MS), -EMSGSIZE);
  assert_int_equal(trp_test_receive_to_end(server, bytes, sizeof bytes, LIMIT_MS), 0);
}

static void tcp_talks_and_a_reset_is_seen(void **state) {
  int port = 0;
  char byte;
  (void)state;
  int listener = trp_test_listen_tcp("127.0.0.1", &port);
  assert_true(listener >= 0 && port > 0);
  int client = trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS);
  int server = trp_test_accept(listener, LIMIT_MS);
  assert_true(client >= 0 && server >= 0);
  talk(client, server);
  trp_test_close(client);
  trp_test_close(server);

  client = trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS);
  server = trp_test_accept(listener, LIMIT_MS);
  assert_true(client >= 0 && server >= 0);
  trp_test_reset(client);
  assert_int_equal(trp_test_receive(server, &byte, 1, LIMIT_MS), -ECONNRESET);
  trp_test_close(server);
  assert_int_equal(trp_test_accept(listener, 1), -ETIMEDOUT);
  trp_test_close(listener);

  int reserved = trp_test_reserve_tcp("0.0.0.0", &port);
  assert_true(reserved >= 0 && port > 0);
  assert_int_equal(trp_test_connect_tcp("127.0.0.1", port, LIMIT_MS), -ECONNREFUSED);
  assert_int_equal(trp_test_connect_tcp("127.0.0.2", port, LIMIT_MS), -ECONNREFUSED);
  assert_int_equal(trp_test_listen_tcp("127.0.0.1", &port), -EADDRINUSE);
  trp_test_close(reserved);
  assert_int_equal(trp_test_connect_tcp("not an address", 1, LIMIT_MS), -EINVAL);
  assert_int_equal(trp_test_receive(-1, &byte, 1, LIMIT_MS), -EBADF);
}

static void talk_over_unix(const char *path, size_t length) {
  int listener = trp_test_listen_unix(path, length);
  assert_true(listener >= 0);
  int client = trp_test_connect_unix(path, length, LIMIT_MS);
  int server = trp_test_accept(listener, LIMIT_MS);
  assert_true(client >= 0 && server >= 0);
  talk(client, server);
  trp_test_close(client);
  trp_test_close(server);
  trp_test_close(listener);
}

static void unix_paths_and_abstract_names_talk(void **state) {
  char path[128];
  (void)state;
  snprintf(path, sizeof path, "%s/socket", trp_test_folder());
  talk_over_unix(path, strlen(path));
  int length = snprintf(path, sizeof path, "%ctroupe-harness-%d", 0, (int)getpid());
  talk_over_unix(path, (size_t)length);
}

// In a program of its own, since the watchdog ends it: this one, run again with another argument.
static void a_test_that_hangs_is_named_with_its_stacks(void **state) {
  char command[512], line[512];
  bool named = false, has_stack = false;
  (void)state;
  snprintf(command, sizeof command, "'%s' hang 2>&1", program_invocation_name);
  FILE *output = popen(command, "re");
  assert_non_null(output);
  while (fgets(line, sizeof line, output) != NULL) {
    named = named || strstr(line, "HANGS: hang_for_ever") != NULL;
    has_stack = has_stack || strstr(line, "(runs the test)") != NULL;
  }
  int status = pclose(output);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 99);
  assert_true(named);
  assert_true(has_stack);
}

static void hang_for_ever(void **state) {
  (void)state;
  trp_test_limit(1);
  for (;;) {
    pause();
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      trp_test(a_folder_is_fresh_and_empty),
      trp_test(a_folder_is_gone_after_its_test),
      trp_test_that_leaves_nothing(counts_follow_threads_and_fds),
      trp_test(random_bytes_repeat_for_a_stream),
      trp_test_that_leaves_nothing(tcp_talks_and_a_reset_is_seen),
      trp_test_that_leaves_nothing(unix_paths_and_abstract_names_talk),
      trp_test(a_test_that_hangs_is_named_with_its_stacks),
  };
  const struct CMUnitTest hanging[] = {trp_test(hang_for_ever)};
  if (argc > 1 && strcmp(argv[1], "hang") == 0) {
    return TRP_RUN_TESTS("hanging", hanging);
  }
  return TRP_RUN_TESTS("harness", tests);
}
