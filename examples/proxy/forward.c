/* Forwarding: each connection goes on to the other address, there and back. Each side is read only as
 * fast as the other one is written, and each way ends for itself. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

enum {
  HIGH_WATER_MARK = 256 * 1024,
  TELL_EACH_MS = 1000, /* about failures on stderr */
};

/* Of all actors, for the summary when the program ends. */
static struct {
  atomic_uint_fast64_t connections;
  atomic_uint_fast64_t not_connected;
  atomic_uint_fast64_t broken;
  atomic_uint_fast64_t bytes_there;
  atomic_uint_fast64_t bytes_back;
} totals;

typedef struct {
  const config_t *config;
  uint64_t untold; /* failures since the last line on stderr */
  char last[256];  /* what the last of them was */
  bool waits;      /* a timer will tell them */
} proxy_t;

typedef struct pair pair_t;

/* One of the two connections of a pair. */
typedef struct side {
  pair_t *pair;
  struct side *other;
  troupe_socket_t socket;
  bool open; /* its on_close is still to come */
} side_t;

struct pair {
  proxy_t *proxy;
  side_t client;
  side_t server;
  bool connected;          /* the server's side is, or was */
  troupe_timer_t too_late; /* for connecting; {0}: none */
};

static side_t *both(pair_t *pair, int which) {
  return which == 0 ? &pair->client : &pair->server;
}

/* ---- Telling ---- */

static void tell(proxy_t *proxy) {
  if (proxy->untold == 1) {
    fprintf(stderr, "proxy: %s\n", proxy->last);
  } else if (proxy->untold > 1) {
    fprintf(stderr, "proxy: %s (and %" PRIu64 " more like this)\n", proxy->last, proxy->untold - 1);
  }
  proxy->untold = 0;
}

static void on_tell_again(troupe_timer_t timer, void *context) {
  proxy_t *proxy = context;
  (void)timer;
  proxy->waits = false;
  if (proxy->untold > 0) {
    tell(proxy);
  }
}

/* The first failure is told at once, those that follow within a second together. */
static void failed(proxy_t *proxy, const char *text) {
  snprintf(proxy->last, sizeof proxy->last, "%s", text);
  proxy->untold++;
  if (proxy->waits) {
    return;
  }
  tell(proxy);
  troupe_timer_t timer;
  if (troupe_timer_start(&timer, TELL_EACH_MS, 0, on_tell_again, proxy) == 0) {
    troupe_timer_unref(timer);
    proxy->waits = true;
  }
}

/* ---- Forwarding ---- */

/* The peer shall not take what it got for all there was: a reset where there is such a thing. */
static void break_off(side_t *side) {
  if (side->open && troupe_socket_reset_and_destroy(side->socket) < 0) {
    troupe_socket_destroy(side->socket, 0);
  }
}

/* By reference. When the other side is slow, this one is read no more, and its peer feels it. */
static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  side_t *side = context;
  int result = troupe_socket_write_chunk(side->other->socket, chunk, NULL, NULL);
  if (result == 0) {
    troupe_socket_pause(socket);
  } else if (result < 0) {
    break_off(side);
    break_off(side->other);
  }
}

static void on_drain(troupe_socket_t socket, void *context) {
  side_t *side = context;
  (void)socket;
  troupe_socket_resume(side->other->socket);
}

/* This way is over; the other way goes on. */
static void on_end(troupe_socket_t socket, void *context) {
  side_t *side = context;
  (void)socket;
  troupe_socket_end(side->other->socket, NULL, NULL);
}

static void count_bytes(const side_t *side) {
  uint64_t bytes = troupe_socket_bytes_read(side->socket);
  if (side == &side->pair->client) {
    atomic_fetch_add(&totals.bytes_there, bytes);
  } else {
    atomic_fetch_add(&totals.bytes_back, bytes);
  }
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  side_t *side = context;
  pair_t *pair = side->pair;
  (void)socket;
  side->open = false;
  count_bytes(side);
  if (pair->too_late.id != 0) {
    troupe_timer_stop(pair->too_late);
    pair->too_late.id = 0;
  }
  if (side->other->open) {
    /* Nor shall a client take it for an answer that nobody was there. */
    if (had_error || !pair->connected) {
      break_off(side->other);
    }
    return;
  }
  free(pair);
}

/* ---- Connecting ---- */

static void on_connect(troupe_socket_t socket, void *context) {
  side_t *side = context;
  (void)socket;
  side->pair->connected = true;
  if (side->pair->too_late.id != 0) {
    troupe_timer_stop(side->pair->too_late);
    side->pair->too_late.id = 0;
  }
}

static void on_too_late(troupe_timer_t timer, void *context) {
  pair_t *pair = context;
  (void)timer;
  pair->too_late.id = 0;
  troupe_socket_destroy(pair->server.socket, TROUPE_ETIMEDOUT);
}

static void on_error(troupe_socket_t socket, const troupe_error_t *error, void *context) {
  side_t *side = context;
  pair_t *pair = side->pair;
  (void)socket;
  if (pair->connected) {
    atomic_fetch_add(&totals.broken, 1); /* a peer that breaks off is everyday's business */
    return;
  }
  if (side == &pair->client) {
    return; /* it went before it was connected */
  }
  atomic_fetch_add(&totals.not_connected, 1);
  char text[256];
  /* An aggregate names no address of its own. */
  const troupe_error_t *first = error->error_count > 0 ? &error->errors[0] : error;
  snprintf(text, sizeof text, "cannot connect: %s", first->message);
  failed(pair->proxy, text);
}

static const troupe_socket_handlers_t handlers = {
    .on_connect = on_connect,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_error = on_error,
    .on_close = on_close,
};

/* What the client sends meanwhile waits in the server's socket, up to its mark. */
static int connect_server(pair_t *pair) {
  const config_t *config = pair->proxy->config;
  troupe_connect_options_t options = {0};
  const troupe_socket_options_t socket_options = {
      .allow_half_open = true,
      .no_delay = TROUPE_ON,
      .high_water_mark = HIGH_WATER_MARK,
  };
  program_connect_options(&config->to, &options);
  int error = troupe_connect(&options, &socket_options, &handlers, &pair->server,
                             &pair->server.socket);
  if (error < 0) {
    return error;
  }
  pair->server.open = true;
  if (config->connect_timeout_ms > 0) {
    error = troupe_timer_start(&pair->too_late, config->connect_timeout_ms, 0, on_too_late, pair);
  }
  return error;
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  proxy_t *proxy = context;
  pair_t *pair = calloc(1, sizeof *pair);
  (void)server;
  atomic_fetch_add(&totals.connections, 1);
  if (pair == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  pair->proxy = proxy;
  for (int i = 0; i < 2; i++) {
    both(pair, i)->pair = pair;
    both(pair, i)->other = both(pair, 1 - i);
  }
  pair->client.socket = socket;
  pair->client.open = true;
  troupe_socket_set_handlers(socket, &handlers, &pair->client);
  int error = connect_server(pair);
  if (error < 0) {
    atomic_fetch_add(&totals.not_connected, 1);
    failed(proxy, troupe_error_message(error));
    for (int i = 0; i < 2; i++) {
      if (both(pair, i)->open) {
        troupe_socket_destroy(both(pair, i)->socket, 0);
      }
    }
  }
}

static void on_parked(troupe_server_t server, const troupe_error_t *error, void *context) {
  (void)server;
  char text[256];
  snprintf(text, sizeof text, "connections have to wait: %s", error->message);
  failed(context, text);
}

/* ---- The actor ---- */

int proxy_actor(void *argument) {
  static const troupe_server_handlers_t server_handlers = {
      .on_connection = on_connection,
      .on_parked = on_parked,
  };
  proxy_t proxy = {.config = argument};
  troupe_server_t server;
  const troupe_server_options_t options = {
      .allow_half_open = true,
      .no_delay = TROUPE_ON,
      .high_water_mark = HIGH_WATER_MARK,
  };
  int error = troupe_server_new(&options, &server_handlers, &proxy, &server);
  if (error == 0) {
    error = program_listen(server, &proxy.config->listen, proxy.config->actors);
  }
  if (error < 0) {
    return error;
  }
  int status = troupe_actor_run();
  tell(&proxy);
  return status;
}

void proxy_summarize(void) {
  fprintf(stderr,
          "proxy: %" PRIuFAST64 " connections, %" PRIuFAST64 " bytes there, %" PRIuFAST64
          " bytes back; %" PRIuFAST64 " could not be connected, %" PRIuFAST64 " were broken off\n",
          atomic_load(&totals.connections), atomic_load(&totals.bytes_there),
          atomic_load(&totals.bytes_back), atomic_load(&totals.not_connected),
          atomic_load(&totals.broken));
}
