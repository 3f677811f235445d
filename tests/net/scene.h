/* A scene for tests with real sockets: one actor that has a server, a client and the accepted
   socket, all of which write down what they are told. A test gives each a hook, which is called
   after each event and plays its part. */
#ifndef TRP_TESTS_SCENE_H_INCLUDED
#define TRP_TESTS_SCENE_H_INCLUDED

#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

#include "tests/harness/harness.h"

typedef struct scene scene_t;
typedef struct side side_t;
typedef void (*hook_fn)(side_t *side, const char *event);

struct side {
  scene_t *scene;
  troupe_socket_t socket;
  hook_fn hook;
  char log[4096];
  size_t used;
  size_t received;
  unsigned closes;
  char last[256]; /* the last error's message, or the last data's first bytes */
  int result;     /* for the hook's use */
  int step;
};

struct scene {
  troupe_server_t server;
  troupe_server_options_t server_options;
  troupe_listen_options_t listen_options;
  troupe_socket_options_t client_options;
  troupe_connect_options_t connect_options;
  bool without_client;
  bool without_server; /* connect_options tells where to */
  void (*reset)(void); /* puts what is outside of the scene back to the start */
  hook_fn start;       /* with the client's side, in place of troupe_connect() */
  side_t client, accepted, server_side;
  troupe_address_t address;
  int failure; /* of the set-up */
};

__attribute__((format(printf, 2, 3))) static inline void scene_note(side_t *side,
                                                                    const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t room = sizeof side->log - side->used;
  int n = vsnprintf(side->log + side->used, room, format, arguments);
  va_end(arguments);
  if (n > 0 && (size_t)n < room) {
    side->used += (size_t)n;
  }
}

static inline void scene_event(side_t *side, const char *event) {
  scene_note(side, "%s ", event);
  if (side->hook != NULL) {
    side->hook(side, event);
  }
}

static inline bool is(const char *event, const char *name) {
  return strcmp(event, name) == 0;
}

static inline void scene_on_lookup(troupe_socket_t socket, const troupe_lookup_t *lookup,
                                   void *context) {
  (void)socket;
  side_t *side = context;
  scene_note(side, "%s:", lookup->error != NULL ? lookup->error->name : lookup->host);
  scene_event(side, "lookup");
}

static inline void scene_on_attempt(troupe_socket_t socket, const troupe_address_t *address,
                                    void *context) {
  (void)socket;
  (void)address;
  scene_event(context, "attempt");
}

static inline void scene_on_attempt_failed(troupe_socket_t socket, const troupe_address_t *address,
                                           const troupe_error_t *error, void *context) {
  (void)socket;
  (void)address;
  (void)error;
  scene_event(context, "failed");
}

static inline void scene_on_attempt_timeout(troupe_socket_t socket, const troupe_address_t *address,
                                            void *context) {
  (void)socket;
  (void)address;
  scene_event(context, "slow");
}

static inline void scene_on_connect(troupe_socket_t socket, void *context) {
  ((side_t *)context)->socket = socket;
  scene_event(context, "connect");
}

static inline void scene_on_ready(troupe_socket_t socket, void *context) {
  (void)socket;
  scene_event(context, "ready");
}

/* Runs of data are one event in the log, since how bytes are cut is nobody's business. */
static inline void scene_on_data(troupe_socket_t socket, const troupe_chunk_t *chunk,
                                 void *context) {
  (void)socket;
  side_t *side = context;
  size_t length = troupe_chunk_length(chunk);
  side->received += length;
  size_t shown = length < sizeof side->last - 1 ? length : sizeof side->last - 1;
  memcpy(side->last, troupe_chunk_bytes(chunk), shown);
  side->last[shown] = '\0';
  if (side->used < 5 || memcmp(side->log + side->used - 5, "data ", 5) != 0) {
    scene_note(side, "data ");
  }
  if (side->hook != NULL) {
    side->hook(side, "data");
  }
}

static inline void scene_on_drain(troupe_socket_t socket, void *context) {
  (void)socket;
  scene_event(context, "drain");
}

static inline void scene_on_end(troupe_socket_t socket, void *context) {
  (void)socket;
  scene_event(context, "end");
}

static inline void scene_on_timeout(troupe_socket_t socket, void *context) {
  (void)socket;
  scene_event(context, "timeout");
}

static inline void scene_on_error(troupe_socket_t socket, const troupe_error_t *error,
                                  void *context) {
  (void)socket;
  side_t *side = context;
  snprintf(side->last, sizeof side->last, "%s", error->message);
  scene_note(side, "%s:", error->name);
  scene_event(side, "error");
}

/* The scene is over when both are closed: the server closes, and nothing holds the actor any more.
 */
static inline void scene_on_close(troupe_socket_t socket, bool had_error, void *context) {
  (void)socket;
  side_t *side = context;
  side->closes++;
  scene_event(side, had_error ? "close!" : "close");
  scene_t *scene = side->scene;
  if ((scene->client.closes > 0 || scene->without_client) && scene->accepted.closes > 0) {
    troupe_server_close(scene->server);
  }
}

static inline void scene_on_written(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  if (error != 0) {
    scene_note(context, "%s:", troupe_error_name(error));
  }
  scene_event(context, "written");
}

static inline void scene_on_finished(troupe_socket_t socket, int error, void *context) {
  (void)socket;
  if (error != 0) {
    scene_note(context, "%s:", troupe_error_name(error));
  }
  scene_event(context, "finished");
}

static const troupe_socket_handlers_t scene_handlers = {
    .on_lookup = scene_on_lookup,
    .on_connection_attempt = scene_on_attempt,
    .on_connection_attempt_failed = scene_on_attempt_failed,
    .on_connection_attempt_timeout = scene_on_attempt_timeout,
    .on_connect = scene_on_connect,
    .on_ready = scene_on_ready,
    .on_data = scene_on_data,
    .on_drain = scene_on_drain,
    .on_end = scene_on_end,
    .on_timeout = scene_on_timeout,
    .on_error = scene_on_error,
    .on_close = scene_on_close,
};

static inline void scene_on_listening(troupe_server_t server, void *context) {
  (void)server;
  scene_event(&((scene_t *)context)->server_side, "listening");
}

static inline void scene_on_connection(troupe_server_t server, troupe_socket_t socket,
                                       void *context) {
  (void)server;
  scene_t *scene = context;
  scene->accepted.socket = socket;
  troupe_socket_set_handlers(socket, &scene_handlers, &scene->accepted);
  scene_event(&scene->server_side, "connection");
  if (scene->accepted.hook != NULL) {
    scene->accepted.hook(&scene->accepted, "accepted");
  }
}

static inline void scene_on_drop(troupe_server_t server, const troupe_drop_t *drop, void *context) {
  (void)server;
  scene_t *scene = context;
  scene->server_side.received += drop->count;
  scene_event(&scene->server_side, "drop");
}

static inline void scene_on_server_error(troupe_server_t server, const troupe_error_t *error,
                                         void *context) {
  (void)server;
  side_t *side = &((scene_t *)context)->server_side;
  snprintf(side->last, sizeof side->last, "%s", error->message);
  scene_note(side, "%s:", error->name);
  scene_event(side, "error");
}

static inline void scene_on_server_close(troupe_server_t server, void *context) {
  (void)server;
  scene_event(&((scene_t *)context)->server_side, "close");
}

static const troupe_server_handlers_t scene_server_handlers = {
    .on_listening = scene_on_listening,
    .on_connection = scene_on_connection,
    .on_drop = scene_on_drop,
    .on_error = scene_on_server_error,
    .on_close = scene_on_server_close,
};

static inline int scene_main(void *argument) {
  scene_t *scene = argument;
  scene->client.scene = scene->accepted.scene = scene->server_side.scene = scene;
  int error = 0;
  if (!scene->without_server) {
    error = troupe_server_new(&scene->server_options, &scene_server_handlers, scene,
                              &scene->server);
    if (error == 0) {
      if (scene->listen_options.host == NULL && scene->listen_options.path == NULL) {
        scene->listen_options.host = "127.0.0.1";
      }
      error = troupe_server_listen(scene->server, &scene->listen_options);
    }
    if (error == 0) {
      error = troupe_server_listen_wait(scene->server, 10000 * trp_test_slow());
    }
    if (error == 0) {
      error = troupe_server_address(scene->server, &scene->address);
    }
    if (error == 0 && scene->connect_options.host == NULL) {
      scene->connect_options.address = &scene->address;
    } else if (error == 0) {
      scene->connect_options.port = scene->address.port;
    }
  }
  if (error == 0 && scene->start != NULL) {
    scene->start(&scene->client, "start");
  } else if (error == 0 && !scene->without_client) {
    error = troupe_connect(&scene->connect_options, &scene->client_options, &scene_handlers,
                           &scene->client, &scene->client.socket);
  }
  scene->failure = error;
  return error != 0 ? error : troupe_actor_run();
}

/* Runs a main function in a system of its own; afterwards nothing may be left of it. Recorded into
 * `folder`, if there is one. */
static inline void run_recorded(troupe_main_fn main, void *argument, const char *folder) {
  troupe_system_t *system = NULL;
  assert_int_equal(troupe_system_new(NULL, &system), 0);
  if (folder != NULL) {
    troupe_record_options_t options = {.directory = folder};
    assert_int_equal(troupe_record_start(system, &options), 0);
  }
  troupe_actor_t actor;
  int status = 0;
  int error = troupe_spawn(system, &(troupe_spawn_options_t){.main = main, .argument = argument},
                           &actor);
  if (error == 0) {
    error = troupe_actor_join(system, actor, 25000 * trp_test_slow(), &status);
  }
  assert_int_equal(error, 0);
  assert_int_equal(status, 0);
  assert_int_equal(troupe_system_wait(system, 10000, NULL, 0, NULL), 0);
  troupe_system_counters_t counters;
  assert_int_equal(troupe_system_counters(system, &counters), 0);
  assert_int_equal(counters.sockets, 0);
  assert_int_equal(counters.servers, 0);
  assert_int_equal(counters.unknown_kind, 0);
  assert_int_equal(counters.undecodable, 0);
  assert_int_equal(counters.not_owner, 0);
  assert_int_equal(troupe_system_free(&system), 0);
}

static inline void run_actor(troupe_main_fn main, void *argument) {
  run_recorded(main, argument, NULL);
}

static inline void assert_same_side(const side_t *side, const side_t *replayed) {
  assert_string_equal(replayed->log, side->log);
  assert_string_equal(replayed->last, side->last);
  assert_int_equal(replayed->received, side->received);
  assert_int_equal(replayed->result, side->result);
}

/* Plays it, and then once more on its trace, without any socket: each side must be told the same.
 */
static inline void play_main(troupe_main_fn main, scene_t *scene) {
  scene_t again = *scene;
  if (scene->reset != NULL) {
    scene->reset();
  }
  run_recorded(main, scene, trp_test_folder());
  if (scene->reset != NULL) {
    scene->reset();
  }
  char path[512];
  snprintf(path, sizeof path, "%s/actor-0.trace", trp_test_folder());
  troupe_replay_report_t report = {0};
  int error = troupe_replay(main, &again, path, &report);
  if (error != 0) {
    print_error("replay: %s\n%s\n", troupe_error_name(error), report.text);
  }
  assert_int_equal(error, 0);
  assert_same_side(&scene->client, &again.client);
  assert_same_side(&scene->accepted, &again.accepted);
  assert_same_side(&scene->server_side, &again.server_side);
}

static inline void play(scene_t *scene) {
  play_main(scene_main, scene);
}

#define assert_log(side, expected) assert_string_equal((side).log, expected)

#endif
