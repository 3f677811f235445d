// The I/O actor: its thread, its front door, its inbox, and its sleep.

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "actors/io/loop.h"
#include "core/message/frame_zmq.h"
#include "core/message/id.h"
#include "tests/harness/harness.h"

enum { LIMIT_MS = 5000, FIRST_USER = TRP_IO_ACTORS_MAX + 1 };

static int64_t deadline_after(int after_ms) {
  return (int64_t)uv_hrtime() + (int64_t)after_ms * trp_test_slow() * 1000000;
}

// ---- One I/O actor, and what a user actor is to it ----

typedef struct {
  trp_hub_t *hub;
  trp_io_t *io;
} setting_t;

static void open_setting_with(setting_t *setting, trp_io_options_t options) {
  assert_int_equal(0, trp_hub_new(&setting->hub));
  options.hub = setting->hub;
  options.self = trp_id_actor(1);
  assert_int_equal(0, trp_io_start(&options, &setting->io));
}

static void open_setting(setting_t *setting) {
  open_setting_with(setting, (trp_io_options_t){0});
}

static void close_setting(setting_t *setting) {
  assert_int_equal(0, trp_io_stop(&setting->io, deadline_after(LIMIT_MS)));
  assert_null(setting->io);
  trp_hub_free(&setting->hub);
}

typedef struct {
  trp_inbox_t *inbox;
  trp_pool_t *pool;
  trp_out_t out;
  trp_in_t in;
  size_t next; // message of `in`
} user_t;

// Sends what is in the batch; returns 0 or an error, for threads that must not assert.
static int user_send(user_t *user) {
  return trp_inbox_send(user->inbox, &user->out);
}

static int user_hello(user_t *user) {
  trp_message_t *message = trp_out_add(&user->out, TRP_KIND(COMMAND_HELLO), 0);
  Troupe__Wire__Hello *hello = trp_out_take(&user->out, sizeof *hello);
  if (message == NULL || hello == NULL) {
    return TROUPE_ENOMEM;
  }
  *hello = (Troupe__Wire__Hello)TROUPE__WIRE__HELLO__INIT;
  hello->name = trp_out_text(&user->out, "user");
  message->detail_case = TRP_DETAIL(HELLO);
  message->hello = hello;
  return user_send(user);
}

static int open_user(user_t *user, trp_hub_t *hub, uint32_t number) {
  memset(user, 0, sizeof *user);
  int error = trp_pool_new(&user->pool);
  if (error == 0) {
    error = trp_pipes_open(hub, trp_id_actor(number), &user->inbox);
  }
  trp_out_init(&user->out, trp_id_actor(number), trp_id_actor(1), user->pool);
  trp_in_init(&user->in);
  return error;
}

static int user_bye(user_t *user) {
  trp_message_t *message = trp_out_add(&user->out, TRP_KIND(COMMAND_BYE), 0);
  Troupe__Wire__Bye *bye = trp_out_take(&user->out, sizeof *bye);
  if (message == NULL || bye == NULL) {
    return TROUPE_ENOMEM;
  }
  *bye = (Troupe__Wire__Bye)TROUPE__WIRE__BYE__INIT;
  message->detail_case = TRP_DETAIL(BYE);
  message->bye = bye;
  return user_send(user);
}

static void close_user(user_t *user) {
  trp_in_free(&user->in);
  trp_out_free(&user->out);
  trp_inbox_close(user->inbox);
  trp_pool_close(&user->pool);
  trp_frame_thread_end();
}

// The next event; NULL when the time is over. It is borrowed until the next call.
static const trp_message_t *next_event(user_t *user) {
  int64_t deadline_ns = deadline_after(LIMIT_MS);
  for (;;) {
    if (user->in.batch != NULL && user->next < user->in.batch->n_messages) {
      return user->in.batch->messages[user->next++];
    }
    trp_in_reset(&user->in);
    user->next = 0;
    if (trp_inbox_receive(user->inbox, deadline_ns, &user->in) != 1) {
      return NULL;
    }
  }
}

// ---- Starting and stopping ----

static void starting_and_stopping_leaves_nothing(void **state) {
  (void)state;
  trp_test_limit(150000);
  for (int i = 0; i < 100; i++) {
    setting_t setting;
    open_setting(&setting);
    close_setting(&setting);
  }
}

static void a_start_that_fails_says_why_and_leaves_nothing(void **state) {
  (void)state;
  setting_t setting;
  trp_io_t *second = NULL;
  open_setting(&setting);
  trp_io_options_t options = {.hub = setting.hub, .self = trp_id_actor(1)};
  for (int i = 0; i < 10; i++) {
    assert_int_equal(TROUPE_EADDRINUSE, trp_io_start(&options, &second));
  }
  options.self = trp_id_actor(FIRST_USER);
  assert_int_equal(TROUPE_EINVAL, trp_io_start(&options, &second));
  options.self = TRP_ID_SYSTEM;
  assert_int_equal(TROUPE_EINVAL, trp_io_start(&options, &second));
  options.self = trp_id_actor(2);
  assert_int_equal(0, trp_io_start(&options, &second));
  assert_int_equal(0, trp_io_stop(&second, deadline_after(LIMIT_MS)));
  assert_int_equal(0, trp_io_stop(&second, 0)); // nothing to stop is fine
  close_setting(&setting);
}

static void without_descriptors_it_does_not_start(void **state) {
  (void)state;
  struct rlimit before;
  assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
  bool started = false;
  for (int more = 0; !started; more++) {
    trp_hub_t *hub = NULL;
    assert_int_equal(0, trp_hub_new(&hub));
    int fds = dup(0);
    close(fds);
    struct rlimit tight = {.rlim_cur = (rlim_t)(fds + more), .rlim_max = before.rlim_max};
    trp_io_options_t options = {.hub = hub, .self = trp_id_actor(1)};
    trp_io_t *io = NULL;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &tight));
    int error = trp_io_start(&options, &io);
    started = error == 0;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    if (!started) {
      assert_int_equal(TROUPE_EMFILE, error);
      assert_true(more < 64);
    }
    assert_int_equal(0, trp_io_stop(&io, deadline_after(LIMIT_MS)));
    trp_hub_free(&hub);
  }
}

// The line of /proc/self/task/TID/status that begins with `key`, of the thread with that name.
static bool status_of_thread(const char *name, const char *key, char *text, size_t size) {
  DIR *tasks = opendir("/proc/self/task");
  bool found = false;
  struct dirent *task;
  while (tasks != NULL && !found && (task = readdir(tasks)) != NULL) {
    char path[300];
    char line[256];
    bool is_it = false;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
    FILE *status = fopen(path, "re");
    while (status != NULL && !found && fgets(line, sizeof line, status) != NULL) {
      if (strncmp(line, "Name:", 5) == 0) {
        is_it = strncmp(line + 6, name, strlen(name)) == 0;
      } else if (is_it && strncmp(line, key, strlen(key)) == 0) {
        snprintf(text, size, "%s", line + strlen(key));
        found = true;
      }
    }
    if (status != NULL) {
      fclose(status);
    }
  }
  if (tasks != NULL) {
    closedir(tasks);
  }
  return found;
}

static void its_thread_has_a_name_and_takes_no_signals(void **state) {
  (void)state;
  static const int asynchronous[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGALRM,
                                     SIGUSR1, SIGUSR2, SIGCHLD, SIGPROF, SIGWINCH};
  setting_t setting;
  char text[256] = "";
  open_setting(&setting);
  assert_true(status_of_thread("troupe-io", "SigBlk:", text, sizeof text));
  unsigned long long blocked = strtoull(text, NULL, 16);
  for (size_t i = 0; i < sizeof asynchronous / sizeof asynchronous[0]; i++) {
    assert_true((blocked >> (asynchronous[i] - 1) & 1) == 1);
  }
  close_setting(&setting);
}

// ---- The front door ----

static void what_is_posted_arrives_in_order(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  setting_t setting;
  user_t user;
  open_setting(&setting);
  assert_int_equal(0, open_user(&user, setting.hub, FIRST_USER));
  assert_int_equal(0, user_hello(&user)); // on its way when the first call is posted
  for (int i = 0; i < COUNT; i++) {
    trp_io_call_t call = {.kind = TRP_KIND(EVENT_MESSAGE),
                          .actor = trp_id_actor(FIRST_USER),
                          .bytes = &i,
                          .length = sizeof i};
    assert_int_equal(0, trp_io_post(setting.io, &call));
  }
  trp_io_call_t stop = {
      .kind = TRP_KIND(EVENT_STOP), .actor = trp_id_actor(FIRST_USER), .grace_ms = 42};
  assert_int_equal(0, trp_io_post(setting.io, &stop));
  trp_io_call_t abort = {
      .kind = TRP_KIND(EVENT_ABORT), .actor = trp_id_actor(FIRST_USER), .subject = 4711};
  assert_int_equal(0, trp_io_post(setting.io, &abort));
  const trp_message_t *message = NULL;
  for (int i = 0; i < COUNT; i++) {
    message = next_event(&user);
    assert_non_null(message);
    assert_int_equal(TRP_KIND(EVENT_MESSAGE), message->kind);
    assert_int_equal(sizeof i, message->length);
    assert_memory_equal(&i, trp_in_payload(&user.in, message), sizeof i);
  }
  message = next_event(&user);
  assert_non_null(message);
  assert_int_equal(TRP_KIND(EVENT_STOP), message->kind);
  assert_int_equal(42, message->stop->grace_ms);
  message = next_event(&user);
  assert_non_null(message);
  assert_int_equal(TRP_KIND(EVENT_ABORT), message->kind);
  assert_int_equal(4711, message->subject);
  assert_int_equal(0, user_bye(&user));
  close_user(&user);
  close_setting(&setting);
}

static void what_was_posted_is_carried_out_before_the_end(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    setting_t setting;
    user_t user;
    open_setting(&setting);
    assert_int_equal(0, open_user(&user, setting.hub, FIRST_USER));
    assert_int_equal(0, user_hello(&user));
    trp_io_call_t call = {.kind = TRP_KIND(EVENT_MESSAGE),
                          .actor = trp_id_actor(FIRST_USER),
                          .bytes = "last",
                          .length = 4};
    assert_int_equal(0, trp_io_post(setting.io, &call));
    assert_int_equal(0, trp_io_stop(&setting.io, deadline_after(LIMIT_MS)));
    const trp_message_t *message = next_event(&user);
    assert_non_null(message);
    assert_int_equal(TRP_KIND(EVENT_MESSAGE), message->kind);
    close_user(&user);
    trp_hub_free(&setting.hub);
  }
}

static void a_post_to_nobody_is_counted(void **state) {
  (void)state;
  setting_t setting;
  trp_net_counters_t counters = {0};
  open_setting(&setting);
  trp_io_call_t call = {.kind = TRP_KIND(EVENT_STOP), .actor = trp_id_actor(FIRST_USER)};
  assert_int_equal(0, trp_io_post(setting.io, &call));
  assert_int_equal(0, trp_io_counters(setting.io, deadline_after(LIMIT_MS), &counters));
  assert_int_equal(1, counters.undeliverable);
  close_setting(&setting);
}

// ---- The I/O thread, held up by a test ----

typedef struct {
  sem_t inside, go_on;
  atomic_int calls;
} hold_t;

static void hold_on(void *context) {
  hold_t *hold = context;
  atomic_fetch_add(&hold->calls, 1);
  sem_post(&hold->inside);
  while (sem_wait(&hold->go_on) != 0) {
  }
}

static void wait_for(sem_t *semaphore) {
  while (sem_wait(semaphore) != 0) {
    assert_int_equal(EINTR, errno);
  }
}

static void when_too_much_waits_payload_is_refused_and_control_is_not(void **state) {
  (void)state;
  enum { PART = 1024 * 1024 };
  hold_t hold;
  setting_t setting;
  sem_init(&hold.inside, 0, 0);
  sem_init(&hold.go_on, 0, 0);
  atomic_init(&hold.calls, 0);
  open_setting_with(&setting, (trp_io_options_t){.on_signal_stop = hold_on, .context = &hold});
  trp_io_post_from_signal(setting.io);
  wait_for(&hold.inside);
  char *bytes = calloc(1, PART);
  assert_non_null(bytes);
  trp_io_call_t call = {.kind = TRP_KIND(EVENT_MESSAGE),
                        .actor = trp_id_actor(FIRST_USER),
                        .bytes = bytes,
                        .length = PART};
  for (int i = 0; i < TRP_IO_POST_LIMIT / PART; i++) {
    assert_int_equal(0, trp_io_post(setting.io, &call));
  }
  call.length = 1;
  assert_int_equal(TROUPE_ENOBUFS, trp_io_post(setting.io, &call));
  trp_io_call_t stop = {.kind = TRP_KIND(EVENT_STOP), .actor = trp_id_actor(FIRST_USER)};
  assert_int_equal(0, trp_io_post(setting.io, &stop));
  trp_net_counters_t counters;
  assert_int_equal(TROUPE_ETIMEDOUT,
                   trp_io_counters(setting.io, (int64_t)uv_hrtime() + 1000000, &counters));
  sem_post(&hold.go_on);
  assert_int_equal(0, trp_io_counters(setting.io, deadline_after(LIMIT_MS), &counters));
  assert_int_equal(TRP_IO_POST_LIMIT / PART + 1, counters.undeliverable);
  assert_int_equal(0, trp_io_post(setting.io, &call)); // there is room again
  free(bytes);
  close_setting(&setting);
  sem_destroy(&hold.inside);
  sem_destroy(&hold.go_on);
}

static trp_io_t *signalled_io;
static int errno_in_handler;

static void handle_signal(int number) {
  (void)number;
  errno = 4711;
  trp_io_post_from_signal(signalled_io);
  errno_in_handler = errno;
}

static void count_call(void *context) {
  hold_t *hold = context;
  atomic_fetch_add(&hold->calls, 1);
  sem_post(&hold->inside);
}

static void a_signal_handler_may_ring(void **state) {
  (void)state;
  hold_t hold;
  setting_t setting;
  sem_init(&hold.inside, 0, 0);
  atomic_init(&hold.calls, 0);
  open_setting_with(&setting, (trp_io_options_t){.on_signal_stop = count_call, .context = &hold});
  signalled_io = setting.io;
  struct sigaction action = {.sa_handler = handle_signal};
  struct sigaction before;
  sigemptyset(&action.sa_mask);
  assert_int_equal(0, sigaction(SIGUSR1, &action, &before));
  for (int i = 0; i < 100; i++) {
    raise(SIGUSR1);
    assert_int_equal(4711, errno_in_handler);
    wait_for(&hold.inside);
  }
  assert_int_equal(0, sigaction(SIGUSR1, &before, NULL));
  assert_int_equal(100, atomic_load(&hold.calls));
  close_setting(&setting);
  sem_destroy(&hold.inside);
}

// ---- The inbox ----

enum { SENDERS = 4, ROUNDS = 100, BATCHES_MAX = 600 };

typedef struct {
  trp_hub_t *hub;
  uint64_t sent;
  uint32_t number;
  int error; // 0, or that of a call; 1: no answer came
} sender_t;

static int send_one(user_t *user, Troupe__Wire__Kind kind) {
  uint64_t nobody = trp_id_actor(TRP_ID_CREATOR_MAX);
  return trp_out_add(&user->out, kind, nobody) == NULL ? TROUPE_ENOMEM : user_send(user);
}

// Many tiny batches, then one that is answered; and again once the answer is there. So the loop
// falls asleep again and again, in the middle of what others send, and whatever it overlooked
// nobody else would wake it up for.
static int send_in_rounds(user_t *user, sender_t *sender, trp_test_random_t *random) {
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t count = trp_test_random_below(random, BATCHES_MAX);
    int error = 0;
    for (uint64_t i = 0; i < count && error == 0; i++) {
      error = send_one(user, TRP_KIND(COMMAND_FORGET));
    }
    if (error == 0) {
      error = send_one(user, TRP_KIND(COMMAND_WATCH));
    }
    if (error != 0) {
      return error;
    }
    sender->sent += count + 1;
    const trp_message_t *answer = next_event(user);
    if (answer == NULL || answer->kind != TRP_KIND(EVENT_DOWN)) {
      return 1;
    }
  }
  return 0;
}

static void *send_many(void *argument) {
  sender_t *sender = argument;
  user_t user;
  trp_test_random_t random;
  trp_test_random_start(&random, sender->number);
  sender->error = open_user(&user, sender->hub, sender->number);
  if (sender->error == 0) {
    sender->error = user_hello(&user);
  }
  if (sender->error == 0) {
    sender->error = send_in_rounds(&user, sender, &random);
  }
  close_user(&user);
  return NULL;
}

static void no_batch_is_slept_on(void **state) {
  (void)state;
  setting_t setting;
  sender_t senders[SENDERS];
  pthread_t threads[SENDERS];
  uint64_t sent = SENDERS; // hellos
  trp_net_counters_t counters;
  trp_test_limit(120000);
  open_setting(&setting);
  for (uint32_t i = 0; i < SENDERS; i++) {
    senders[i] = (sender_t){.hub = setting.hub, .number = FIRST_USER + i};
    assert_int_equal(0, pthread_create(&threads[i], NULL, send_many, &senders[i]));
  }
  for (int i = 0; i < SENDERS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(0, senders[i].error);
    sent += senders[i].sent;
  }
  assert_int_equal(0, trp_io_counters(setting.io, deadline_after(LIMIT_MS), &counters));
  assert_int_equal(sent, counters.commands);
  close_setting(&setting);
}

// More than all budgets of a turn together; the loop is held up until it is there.
static void a_full_inbox_does_not_put_the_loop_to_sleep(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  hold_t hold;
  setting_t setting;
  user_t user;
  sem_init(&hold.inside, 0, 0);
  sem_init(&hold.go_on, 0, 0);
  atomic_init(&hold.calls, 0);
  open_setting_with(&setting, (trp_io_options_t){.on_signal_stop = hold_on, .context = &hold});
  assert_int_equal(0, open_user(&user, setting.hub, FIRST_USER));
  assert_int_equal(0, user_hello(&user));
  trp_io_post_from_signal(setting.io);
  wait_for(&hold.inside);
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(0, send_one(&user, TRP_KIND(COMMAND_FORGET)));
  }
  assert_int_equal(0, send_one(&user, TRP_KIND(COMMAND_WATCH)));
  sem_post(&hold.go_on);
  const trp_message_t *answer = next_event(&user);
  assert_non_null(answer);
  assert_int_equal(TRP_KIND(EVENT_DOWN), answer->kind);
  close_user(&user);
  close_setting(&setting);
  sem_destroy(&hold.inside);
  sem_destroy(&hold.go_on);
}

static void rubbish_is_counted_and_harms_nobody(void **state) {
  (void)state;
  setting_t setting;
  user_t user;
  trp_net_counters_t counters;
  open_setting(&setting);
  assert_int_equal(0, open_user(&user, setting.hub, FIRST_USER));
  assert_int_equal(0, user_hello(&user));
  for (int i = 0; i < 10; i++) {
    trp_frame_t *frame = trp_frame_copy("\xff\xff\xff rubbish", 11);
    assert_non_null(frame);
    assert_int_equal(0, trp_pipes_send_raw(user.inbox, trp_id_actor(1), &frame, 1));
    trp_frame_release(frame);
  }
  assert_int_equal(0, trp_io_counters(setting.io, deadline_after(LIMIT_MS), &counters));
  assert_int_equal(10, counters.undecodable);
  assert_int_equal(1, counters.commands);
  close_user(&user);
  close_setting(&setting);
}

// ---- Sleep ----

static void it_sleeps_when_there_is_nothing_to_do(void **state) {
  (void)state;
  static const int64_t spins_ns[] = {0, 100000};
  for (size_t i = 0; i < sizeof spins_ns / sizeof spins_ns[0]; i++) {
    setting_t setting;
    user_t user;
    trp_net_counters_t counters;
    open_setting_with(&setting, (trp_io_options_t){.spin_ns = spins_ns[i]});
    assert_int_equal(0, open_user(&user, setting.hub, FIRST_USER));
    assert_int_equal(0, user_hello(&user));
    assert_int_equal(0, trp_io_counters(setting.io, deadline_after(LIMIT_MS), &counters));
    // After a second it gives memory back: in the first of these stretches, or the second.
    assert_true(trp_test_rests(1200, 3 * trp_test_slow(), 5000 * trp_test_slow()));
    close_user(&user);
    close_setting(&setting);
  }
}

static int64_t times_it_slept(void) {
  char text[256] = "";
  assert_true(status_of_thread("troupe-io", "voluntary_ctxt_switches:", text, sizeof text));
  return strtoll(text, NULL, 10);
}

// How long it stood ready to run and had no core.
static int64_t time_it_waited_for_a_core_ns(void) {
  char text[256] = "", path[300];
  assert_true(status_of_thread("troupe-io", "Pid:", text, sizeof text));
  snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", atoi(text));
  FILE *file = fopen(path, "re");
  long long waited_ns = 0;
  if (file != NULL) {
    if (fgets(text, sizeof text, file) == NULL || sscanf(text, "%*d %lld", &waited_ns) != 1) {
      waited_ns = 0;
    }
    fclose(file);
  }
  return waited_ns;
}

// On a machine that others keep busy it stops looking, for half a second at a time, as it shall. So
// it has to spin once it was left alone for a while; if it never is, there is nothing to be seen.
static void while_it_spins_it_does_not_sleep(void **state) {
  (void)state;
  enum { CALLS = 16, CALLS_MS = 2 * CALLS, LEFT_ALONE_MS = 2000, GIVE_UP_MS = 6000 };
  setting_t setting;
  trp_net_counters_t counters;
  open_setting_with(&setting, (trp_io_options_t){.spin_ns = 50000000});
  trp_io_call_t call = {.kind = TRP_KIND(EVENT_STOP), .actor = trp_id_actor(FIRST_USER)};
  int64_t now_ms = trp_test_now_ms(), left_alone_since_ms = now_ms;
  int64_t give_up_ms = now_ms + GIVE_UP_MS;
  bool spins = false;
  while (!spins && now_ms < give_up_ms) {
    int64_t began_ms = now_ms, slept = times_it_slept(), waited_ns = time_it_waited_for_a_core_ns();
    for (int k = 0; k < CALLS; k++) {
      poll(NULL, 0, 1); // time in which it is to spin
      assert_int_equal(0, trp_io_post(setting.io, &call));
      assert_int_equal(0, trp_io_counters(setting.io, deadline_after(LIMIT_MS), &counters));
    }
    spins = times_it_slept() - slept <= CALLS / 4;
    now_ms = trp_test_now_ms();
    if (time_it_waited_for_a_core_ns() - waited_ns > 1000000 ||
        now_ms - began_ms > CALLS_MS * trp_test_slow()) {
      left_alone_since_ms = now_ms;
    }
    assert_true(spins || now_ms - left_alone_since_ms < LEFT_ALONE_MS * trp_test_slow());
  }
  assert_true(trp_test_rests(200, 3 * trp_test_slow(),
                             1000 * trp_test_slow())); // it does so for its 50 ms alone
  close_setting(&setting);
  if (!spins) {
    skip();
  }
}

// The first loop in a process opens a pipe for good.
static int warm_up(void **state) {
  (void)state;
  setting_t setting;
  open_setting(&setting);
  close_setting(&setting);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(starting_and_stopping_leaves_nothing),
      trp_test_that_leaves_nothing(a_start_that_fails_says_why_and_leaves_nothing),
      trp_test_that_leaves_nothing(without_descriptors_it_does_not_start),
      trp_test_that_leaves_nothing(its_thread_has_a_name_and_takes_no_signals),
      trp_test_that_leaves_nothing(what_is_posted_arrives_in_order),
      trp_test_that_leaves_nothing(what_was_posted_is_carried_out_before_the_end),
      trp_test_that_leaves_nothing(a_post_to_nobody_is_counted),
      trp_test_that_leaves_nothing(when_too_much_waits_payload_is_refused_and_control_is_not),
      trp_test_that_leaves_nothing(a_signal_handler_may_ring),
      trp_test_that_leaves_nothing(no_batch_is_slept_on),
      trp_test_that_leaves_nothing(a_full_inbox_does_not_put_the_loop_to_sleep),
      trp_test_that_leaves_nothing(rubbish_is_counted_and_harms_nobody),
      trp_test_that_leaves_nothing(it_sleeps_when_there_is_nothing_to_do),
      trp_test_that_leaves_nothing(while_it_spins_it_does_not_sleep),
  };
  return TRP_RUN_TESTS_IN_GROUP("loop", tests, warm_up, NULL);
}
