/* troupe trace client: what clients did in a recording is done again to a running server.
 *
 * The trace is read as far ahead as there is memory for, so that a large one needs no more than a
 * small one. A client sends a piece only when it has got all the bytes that it had got in the
 * recording before that piece: sessions stay sessions at any speed. */
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/trace/commands.h"
#include "tools/trace/session.h"
#include "tools/trace/source.h"
#include "tools/trace/table.h"

enum { QUEUED_MAX = 16 * 1024 * 1024, EVENTS = 256, AHEAD_MS = 500, TOLD_MAX = 10 };

typedef struct {
  place_t place;
  double speed; /* 0: full */
  bool in_order;
  int64_t timeout_ms;
  int connections_max;
  source_t source;
  const troupe_trace_entry_t *entry; /* the next one, not taken yet */
  int epoll;
  table_t known; /* of session_t *: by id */
  session_t *sessions;
  int64_t began_ms, progress_ms;
  uint64_t progress_bytes;
  unsigned long count, different, open, over;
  uint64_t sent, compared;
  int code;
} client_t;

static void help(void) {
  puts("usage: troupe trace client [OPTION]... TARGET FILE...\n"
       "Connects to a running server as the clients of a recording did, sends what they sent, and\n"
       "compares the answers. TARGET is HOST:PORT or the path of a Unix socket; the FILEs are the\n"
       "traces of the server's actors.\n\n"
       "  --speed X           2: twice as fast as recorded; 0.5: half as fast (default: 1)\n"
       "  --full-speed        as fast as the server answers\n"
       "  --in-order          one thing after the other, over all connections: for servers whose\n"
       "                      answers depend on what other clients did before\n"
       "  --timeout S         give up when nothing moves for so many seconds (default: 10)\n"
       "  --at-once N         so many connections at a time at full speed (default: 500)\n"
       "  --actor NAME, --connection ID   only these, as for dump\n"
       "  --help              this text\n\n"
       "Ends with 0 when all answers are as recorded, 1 when one is not, 4 when payloads of the\n"
       "recording are cut or redacted.");
}

static void find_place(const char *target, place_t *place) {
  const char *colon = strrchr(target, ':');
  if (colon == NULL || strchr(target, '/') != NULL) {
    struct sockaddr_un *address = (struct sockaddr_un *)&place->address;
    size_t length = strlen(target);
    if (length == 0 || length >= sizeof address->sun_path) {
      usage_error("'%s' is neither HOST:PORT nor a path", target);
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, target, length + 1);
    if (target[0] == '@') { // an abstract one, as people write it
      address->sun_path[0] = '\0';
      place->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    } else {
      place->length = sizeof *address;
    }
    return;
  }
  char host[256];
  size_t length = (size_t)(colon - target);
  if (length >= 2 && target[0] == '[' && target[length - 1] == ']') {
    target++;
    length -= 2;
  }
  if (length >= sizeof host) {
    usage_error("'%s' is no HOST:PORT", target);
  }
  memcpy(host, target, length);
  host[length] = '\0';
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(host, colon + 1, &hints, &found);
  if (error != 0) {
    complain("%s: %s", target, gai_strerror(error));
    exit(END_FAILED);
  }
  memcpy(&place->address, found->ai_addr, found->ai_addrlen);
  place->length = found->ai_addrlen;
  freeaddrinfo(found);
}

static int64_t due(const client_t *client, const troupe_trace_entry_t *entry) {
  if (client->speed == 0) {
    return 0;
  }
  return client->began_ms +
         (int64_t)(1000 * source_seconds(&client->source, entry) / client->speed);
}

static session_t *session_of(client_t *client, const troupe_trace_entry_t *entry) {
  session_t **found = table_find(&client->known, entry->connection);
  return found == NULL ? NULL : *found;
}

/* Drops what is not whole, or goes on. */
static bool is_whole(client_t *client, const troupe_trace_entry_t *entry) {
  if (entry->kept == entry->length && !entry->redacted) {
    return true;
  }
  complain("%s: a payload is cut or redacted; clients need all of it", client->source.given->path);
  client->code = END_INCOMPLETE;
  return false;
}

static bool begin(client_t *client, const troupe_trace_entry_t *entry) {
  session_t *session = calloc(1, sizeof *session);
  session_t **known = session == NULL ? NULL : table_get(&client->known, entry->connection);
  if (known == NULL) {
    free(session);
    return false;
  }
  *session = (session_t){
      .id = entry->connection, .fd = -1, .due_ms = due(client, entry), .next = client->sessions};
  client->sessions = session;
  *known = session;
  client->count++;
  client->open++;
  return true;
}

static bool is_event(const troupe_trace_entry_t *entry, const char *kind) {
  return entry->type == TROUPE_ENTRY_EVENT && strcmp(entry->kind, kind) == 0;
}

static bool is_command(const troupe_trace_entry_t *entry, const char *kind) {
  return entry->type == TROUPE_ENTRY_COMMAND && strcmp(entry->kind, kind) == 0;
}

static void mark_over(client_t *client, session_t *session) {
  if (!session->is_over) {
    session->is_over = true;
    client->over++;
  }
}

/* One entry of the recording becomes what a client has to do or to be told. False: no memory, or
 * the recording is not whole. */
static bool take(client_t *client, const troupe_trace_entry_t *entry) {
  if (is_event(entry, "connection")) {
    return begin(client, entry);
  }
  session_t *session = entry->connection == 0 ? NULL : session_of(client, entry);
  if (session == NULL || session->is_over) {
    return true;
  }
  int64_t due_ms = due(client, entry);
  if (is_event(entry, "data")) {
    return is_whole(client, entry) &&
           session_step(session, STEP_SEND, due_ms, entry->payload, entry->length);
  }
  if (is_command(entry, "write")) {
    return is_whole(client, entry) &&
           (entry->length == 0 || session_expect(session, entry->payload, entry->length));
  }
  if (is_event(entry, "end")) {
    return session_step(session, STEP_END, due_ms, NULL, 0);
  }
  if (is_event(entry, "error")) { // the client reset it, or went
    session->cut_off = true;
    return session_step(session, STEP_RESET, due_ms, NULL, 0);
  }
  if (is_command(entry, "end")) {
    session->ends = true;
  } else if (is_command(entry, "destroy") || is_command(entry, "reset")) {
    session->cut_off = true;
  } else if (is_event(entry, "close") || is_event(entry, "given")) {
    mark_over(client, session);
  }
  return true;
}

static bool may_read(const client_t *client, size_t queued, bool settled, int64_t now_ms) {
  if (queued >= QUEUED_MAX || (client->in_order && !settled)) {
    return false;
  }
  if (client->speed > 0) {
    return due(client, client->entry) <= now_ms + (client->in_order ? 0 : AHEAD_MS);
  }
  // Those that are over make room for others soon; when none is, they all were open at once.
  return client->open < (unsigned long)client->connections_max || client->over == 0;
}

/* Reads on as far as it may. */
static bool read_on(client_t *client, int64_t now_ms) {
  size_t queued = 0;
  bool settled = true;
  for (const session_t *session = client->sessions; session != NULL; session = session->next) {
    settled = settled && session_is_settled(session);
    for (const step_t *step = session->steps; step != NULL; step = step->next) {
      queued += sizeof *step + step->length;
    }
    for (const expected_t *e = session->expected; e != NULL; e = e->next) {
      queued += sizeof *e + e->length;
    }
  }
  while (client->entry != NULL && may_read(client, queued, settled, now_ms)) {
    queued += client->entry->length + sizeof(step_t);
    if (!take(client, client->entry)) {
      return false;
    }
    if (client->in_order && client->entry->type == TROUPE_ENTRY_EVENT &&
        client->entry->connection != 0) {
      settled = false;
    }
    client->entry = source_next(&client->source);
  }
  if (client->entry == NULL) {
    for (session_t *session = client->sessions; session != NULL; session = session->next) {
      mark_over(client, session);
    }
  }
  return true;
}

static void tell(client_t *client, session_t *session) {
  if (!session->differs) {
    return;
  }
  client->different++;
  if (client->different <= TOLD_MAX) {
    char id[64];
    troupe_id_text(session->id, id, sizeof id);
    printf("connection %s: %s\n", id, session->why);
  }
}

/* Forgets those that are done. */
static void collect(client_t *client) {
  for (session_t **link = &client->sessions; *link != NULL;) {
    session_t *session = *link;
    if (!session->closed || (!session->is_over && !session->differs)) {
      link = &session->next;
      continue;
    }
    if (session->is_over) {
      client->over--;
    }
    client->open--;
    client->sent += session->sent_bytes;
    client->compared += session->received_bytes;
    tell(client, session);
    session_t **known = table_find(&client->known, session->id);
    *known = NULL;
    *link = session->next;
    session_free(session);
  }
}

static int64_t go_on(client_t *client, session_t *session, unsigned events, int64_t now_ms) {
  unsigned wanted = 0;
  int fd = session->fd;
  uint64_t before = session->sent_bytes + session->received_bytes;
  int64_t next = session_go_on(session, &client->place, events, now_ms, &wanted);
  if (session->sent_bytes + session->received_bytes != before || session->fd != fd) {
    client->progress_ms = now_ms;
  }
  if (session->fd >= 0) {
    struct epoll_event event = {.events = wanted, .data.ptr = session};
    if (fd < 0) {
      epoll_ctl(client->epoll, EPOLL_CTL_ADD, session->fd, &event);
    } else {
      epoll_ctl(client->epoll, EPOLL_CTL_MOD, session->fd, &event);
    }
  }
  return next;
}

/* Whether the next thing may be done at once, since nobody waits for the one before. */
static bool is_settled(const client_t *client, int64_t now_ms) {
  bool settled = client->in_order && client->entry != NULL;
  for (const session_t *session = client->sessions; settled && session != NULL;
       session = session->next) {
    settled = session_is_settled(session);
  }
  return settled && may_read(client, 0, true, now_ms);
}

static int play(client_t *client) {
  struct epoll_event events[EVENTS];
  client->began_ms = client->progress_ms = now_ms();
  client->entry = source_next(&client->source);
  for (;;) {
    int64_t now = now_ms();
    if (!read_on(client, now)) {
      return client->code != END_FINE ? client->code : END_FAILED;
    }
    int64_t next = INT64_MAX;
    if (client->entry != NULL && client->speed > 0) {
      next = due(client, client->entry) - (client->in_order ? 0 : AHEAD_MS);
    }
    for (session_t *session = client->sessions; session != NULL; session = session->next) {
      int64_t its = go_on(client, session, 0, now);
      next = its < next ? its : next;
    }
    collect(client);
    if (client->sessions == NULL && client->entry == NULL) {
      return END_FINE;
    }
    if (is_settled(client, now)) {
      continue;
    }
    // Whatever waits for a time yet to come is no reason to give up.
    if (next != INT64_MAX && next > client->progress_ms) {
      client->progress_ms = next < now ? now : client->progress_ms;
    }
    if (next == INT64_MAX && now - client->progress_ms > client->timeout_ms) {
      for (session_t *session = client->sessions; session != NULL; session = session->next) {
        mark_over(client, session);
        session_give_up(session);
      }
      collect(client);
      continue;
    }
    int64_t wait = next == INT64_MAX ? 100 : next - now;
    int count = epoll_wait(client->epoll, events, EVENTS,
                           wait < 0     ? 0
                           : wait > 100 ? 100
                                        : (int)wait);
    now = now_ms();
    for (int i = 0; i < count; i++) {
      go_on(client, events[i].data.ptr, events[i].events, now);
    }
  }
}

static int run(client_t *client, char **paths, int count, const filter_t *filter) {
  client->known.size = sizeof(session_t *);
  int code = source_open(&client->source, paths, count, filter, "client");
  if (code != END_FINE) {
    return code;
  }
  source_check_actors(&client->source);
  client->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (client->epoll < 0) {
    complain("%s", strerror(errno));
    source_close(&client->source);
    return END_FAILED;
  }
  code = play(client);
  if (code == END_FINE) {
    source_check_connections(&client->source.filter);
  }
  close(client->epoll);
  while (client->sessions != NULL) {
    session_t *session = client->sessions;
    client->sessions = session->next;
    session_free(session);
  }
  table_free(&client->known);
  if (code == END_FINE) {
    code = client->source.code;
  }
  source_close(&client->source);
  if (code != END_FINE) {
    return code;
  }
  printf("%lu connections, %llu bytes sent, %llu bytes of answers compared: ", client->count,
         (unsigned long long)client->sent, (unsigned long long)client->compared);
  if (client->count == 0) {
    puts("there is no client in the recording");
    return END_INCOMPLETE;
  }
  if (client->different > 0) {
    printf("%lu connections differ\n", client->different);
    return END_DIFFERS;
  }
  puts("all as recorded");
  return END_FINE;
}

int trace_client(int argc, char **argv) {
  enum { SPEED = 1, FULL_SPEED, IN_ORDER, TIMEOUT, AT_ONCE, HELP };
  static const struct option options[] = {FILTER_OPTIONS,
                                          {"speed", required_argument, NULL, SPEED},
                                          {"full-speed", no_argument, NULL, FULL_SPEED},
                                          {"in-order", no_argument, NULL, IN_ORDER},
                                          {"timeout", required_argument, NULL, TIMEOUT},
                                          {"at-once", required_argument, NULL, AT_ONCE},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
  static client_t client = {.speed = 1, .timeout_ms = 10000, .connections_max = 500};
  filter_t filter = {0};
  for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    if (filter_option(&filter, option, optarg)) {
      continue;
    }
    switch (option) {
    case SPEED:
      client.speed = seconds_option("--speed", optarg);
      if (client.speed <= 0) {
        usage_error("--speed needs a number above 0");
      }
      break;
    case FULL_SPEED:
      client.speed = 0;
      break;
    case IN_ORDER:
      client.in_order = true;
      break;
    case TIMEOUT:
      client.timeout_ms = (int64_t)(1000 * seconds_option("--timeout", optarg));
      break;
    case AT_ONCE:
      client.connections_max = (int)number_option("--at-once", optarg, 1, 1000000);
      break;
    case HELP:
      help();
      return END_FINE;
    default:
      wrong_option(option, argv);
    }
  }
  if (argc - optind < 2) {
    usage_error("client needs a TARGET and a trace");
  }
  find_place(argv[optind], &client.place);
  return run(&client, argv + optind + 1, argc - optind - 1, &filter);
}
