/* Members: each has a connection to this actor. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"

static void release(member_t *member) {
  chat_t *chat = member->chat;
  if (member->queued == READY) {
    TAILQ_REMOVE(&chat->ready, member, turn);
  } else if (member->queued == BEHIND) {
    TAILQ_REMOVE(&chat->behind, member, turn);
  }
  member->queued = NOT_QUEUED;
  if (member->too_slow) {
    TAILQ_REMOVE(&chat->slow, member, fate);
    member->too_slow = false;
  }
  lines_free(&member->lines);
}

/* ---- Writing ---- */

static void mark_slow(member_t *member) {
  if (!member->too_slow && !member->leaving) {
    member->too_slow = true;
    TAILQ_INSERT_TAIL(&member->chat->slow, member, fate);
  }
}

/* Whether so much more may wait for the member. */
static bool takes(member_t *member, size_t length) {
  if (member->leaving || member->too_slow) {
    return false;
  }
  if (troupe_socket_writable_length(member->socket) + length > member->chat->config->queue) {
    mark_slow(member);
    return false;
  }
  return true;
}

/* Other errors than these mean that the socket is on its way out, and on_close says so. */
static void wrote(member_t *member, int result) {
  if (result == TROUPE_ENOBUFS || result == TROUPE_ENOMEM) {
    mark_slow(member);
  }
}

void member_give(member_t *member, const troupe_chunk_t *chunk) {
  if (takes(member, troupe_chunk_length(chunk))) {
    wrote(member, troupe_socket_write_chunk(member->socket, chunk, NULL, NULL));
  }
}

void member_tell_bytes(member_t *member, const char *bytes, size_t length) {
  if (takes(member, length)) {
    wrote(member, troupe_socket_write(member->socket, bytes, length, NULL, NULL));
  }
}

void member_tell(member_t *member, const char *format, ...) {
  char text[4 * NAME_SIZE + 256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length > 0) {
    member_tell_bytes(member, text,
                      (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
  }
}

/* ---- Leaving ---- */

static void on_farewell_time(troupe_timer_t timer, void *context) {
  member_t *member = context;
  (void)timer;
  member->farewell.id = 0;
  troupe_socket_destroy(member->socket, 0);
}

void member_leave_room(member_t *member, const char *reason) {
  person_t *person = &member->person;
  if (person->room != NULL) {
    announce(member->chat, LEFT, person, "", "", "* %s left %s%s%s%s\n", person->name,
             person->room->name, reason == NULL ? "" : " (", reason == NULL ? "" : reason,
             reason == NULL ? "" : ")");
  }
}

/* The member is no longer one, whether its socket is still there or not. */
static void forget(member_t *member, const char *reason) {
  member->leaving = true;
  release(member);
  if (!member->chat->stops) {
    member_leave_room(member, reason);
    if (member->owns_name) {
      name_release(member->chat, member->person.id, member->person.name);
      member->owns_name = false;
    }
  }
}

void member_part(member_t *member, const char *reason, const char *farewell) {
  if (member->leaving) {
    return;
  }
  forget(member, reason);
  /* Others' texts leave a reserve for this one. If it does not fit all the same, the end must do.
   */
  troupe_socket_write(member->socket, farewell, strlen(farewell), NULL, NULL);
  troupe_socket_end(member->socket, NULL, NULL);
  troupe_socket_resume(member->socket); /* what comes is not looked at, but its end is waited for */
  if (troupe_timer_start(&member->farewell, FAREWELL_MS, 0, on_farewell_time, member) < 0) {
    troupe_socket_destroy(member->socket, 0);
  }
}

void members_settle(chat_t *chat) {
  /* Whoever hears that a slow one left may turn out to be slow too. */
  for (member_t *member; (member = TAILQ_FIRST(&chat->slow)) != NULL;) {
    member_part(member, "too slow", "! you read too slowly, and your queue is full: good-bye\n");
  }
}

void members_stop(void *context) {
  static const char farewell[] = "* the chat ends here: good-bye\n";
  chat_t *chat = context;
  chat->stops = true;
  member_t *member = NULL;
  LIST_FOREACH(member, &chat->members, neighbours) {
    if (!member->leaving) {
      forget(member, NULL);
      troupe_socket_write(member->socket, farewell, sizeof farewell - 1, NULL, NULL);
    }
    troupe_socket_destroy_soon(member->socket);
  }
}

void members_free(chat_t *chat) {
  for (member_t *member; (member = LIST_FIRST(&chat->members)) != NULL;) {
    LIST_REMOVE(member, neighbours);
    lines_free(&member->lines);
    table_take(&chat->persons, &member->person.id, sizeof member->person.id);
    free(member);
  }
}

/* ---- Reading ---- */

static void on_turn(troupe_timer_t timer, void *context) {
  chat_t *chat = context;
  (void)timer;
  chat->turn_is_set = false;
  /* Those who queue up meanwhile have the next turn, after what came in between. */
  member_t *last = TAILQ_LAST(&chat->ready, members);
  for (member_t *member = NULL; member != last && (member = TAILQ_FIRST(&chat->ready)) != NULL;) {
    TAILQ_REMOVE(&chat->ready, member, turn);
    member->queued = NOT_QUEUED;
    member_pump(member);
  }
  members_settle(chat);
}

static void set_turn(chat_t *chat) {
  if (!chat->turn_is_set && !TAILQ_EMPTY(&chat->ready)) {
    chat->turn_is_set = true;
    if (troupe_timer_start(NULL, 0, 0, on_turn, chat) < 0) {
      chat_fail(chat, TROUPE_ENOMEM);
    }
  }
}

void members_wake(chat_t *chat) {
  for (member_t *member; (member = TAILQ_FIRST(&chat->behind)) != NULL;) {
    TAILQ_REMOVE(&chat->behind, member, turn);
    TAILQ_INSERT_TAIL(&chat->ready, member, turn);
    member->queued = READY;
  }
  set_turn(chat);
}

/* It has to wait for an answer, and goes on when that comes. */
static bool waits(const member_t *member) {
  return !member->greeted || member->claimed[0] != '\0';
}

/* Nothing more is read from it until all that has come was looked at. */
static void hold(member_t *member, bool behind) {
  chat_t *chat = member->chat;
  if (!member->paused && !member->ended) {
    member->paused = true;
    troupe_socket_pause(member->socket);
  }
  if (waits(member) || member->queued != NOT_QUEUED) {
    return;
  }
  member->queued = behind ? BEHIND : READY;
  if (behind) {
    TAILQ_INSERT_TAIL(&chat->behind, member, turn);
  } else {
    TAILQ_INSERT_TAIL(&chat->ready, member, turn);
    set_turn(chat);
  }
}

/* One line of what has come; false: there is none. */
static bool take_line(member_t *member) {
  const char *line = NULL;
  size_t length = 0;
  switch (lines_next(&member->lines, LINE_LIMIT, &line, &length)) {
  case LINES_LINE:
    command(member, line, length);
    return true;
  case LINES_TOO_LONG:
    member_tell(member, "! that line was longer than %d bytes, and nobody heard it\n", LINE_LIMIT);
    return true;
  case LINES_NO_MEMORY:
    member_part(member, "no memory", "! there is no memory: good-bye\n");
    return true;
  default:
    return false;
  }
}

void member_pump(member_t *member) {
  if (member->leaving || member->queued != NOT_QUEUED) {
    return;
  }
  bool behind = false;
  for (int i = 0; i < LINES_A_TURN && !waits(member); i++) {
    behind = relay_is_behind(member->chat, member->person.room);
    if (behind || !take_line(member) || member->leaving) {
      break;
    }
  }
  if (!member->leaving && lines_keep(&member->lines) < 0) {
    member_part(member, "no memory", "! there is no memory: good-bye\n");
  }
  if (member->leaving) {
    return;
  }
  if (lines_more(&member->lines) || (member->ended && (behind || waits(member)))) {
    hold(member, behind);
    return;
  }
  if (member->ended) {
    const char *line = NULL;
    size_t length = 0;
    if (lines_last(&member->lines, &line, &length)) {
      command(member, line, length);
    }
    if (!waits(member)) {
      member_part(member, NULL, "* good-bye\n");
    }
  } else if (member->paused) {
    member->paused = false;
    troupe_socket_resume(member->socket);
  }
}

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  member_t *member = context;
  chat_t *chat = member->chat;
  (void)socket;
  if (!member->leaving) {
    lines_feed(&member->lines, chunk);
    member_pump(member);
  }
  members_settle(chat);
}

static void on_end(troupe_socket_t socket, void *context) {
  member_t *member = context;
  chat_t *chat = member->chat;
  (void)socket;
  member->ended = true;
  member_pump(member);
  members_settle(chat);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  member_t *member = context;
  chat_t *chat = member->chat;
  (void)socket;
  if (!member->leaving) {
    forget(member, had_error ? "connection lost" : NULL);
  }
  if (member->farewell.id != 0) {
    troupe_timer_stop(member->farewell);
  }
  LIST_REMOVE(member, neighbours);
  person_remove(chat, &member->person);
  free(member);
  members_settle(chat);
}

/* ---- Coming ---- */

void member_greet(member_t *member) {
  member->greeted = true;
  member_tell(member, "* welcome, %s; /name NAME gives you another name, /help tells the rest\n",
              member->person.name);
  member_join(member, FIRST_ROOM);
  member_pump(member);
}

void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {
      .on_data = on_data, .on_end = on_end, .on_close = on_close};
  chat_t *chat = context;
  member_t *member = calloc(1, sizeof *member);
  (void)server;
  if (member == NULL) {
    troupe_socket_destroy(socket, 0);
    return;
  }
  member->person.member = member;
  member->chat = chat;
  member->socket = socket;
  if (!person_add(chat, &member->person)) {
    free(member);
    troupe_socket_destroy(socket, 0);
    return;
  }
  /* No two actors give the same, and nobody can ask for such a name. */
  snprintf(member->person.name, sizeof member->person.name, "guest%llu",
           (unsigned long long)((chat->next_person - 1) * chat->config->actors + chat->index + 1));
  LIST_INSERT_HEAD(&chat->members, member, neighbours);
  troupe_socket_set_handlers(socket, &handlers, member);
  if (chat->knows_peers) {
    member_greet(member);
  }
  members_settle(chat);
}

void member_join(member_t *member, const char *name) {
  chat_t *chat = member->chat;
  person_t *person = &member->person;
  room_t *room = room_get(chat, name);
  if (room == NULL) {
    member_tell(member, "! there is no memory for that room\n");
    return;
  }
  if (room == person->room) {
    member_tell(member, "! you are in %s already\n", room->name);
    return;
  }
  member_leave_room(member, NULL);
  person->visit++;
  member->seen_by = 0;
  announce(chat, JOINED, person, room->name, person->name, "* %s joined %s\n", person->name,
           room->name);
  if (person->room != NULL) {
    size_t others = room->count - 1;
    member_tell(member, "* you are in %s, with %zu other%s\n", room->name, others,
                others == 1 ? "" : "s");
  }
}

void member_rename(member_t *member, const char *name) {
  person_t *person = &member->person;
  if (person->room != NULL) {
    announce(member->chat, RENAMED, person, "", name, "* %s is now called %s\n", person->name,
             name);
  } else {
    memcpy(person->name, name, strlen(name) + 1);
  }
  member_tell(member, "* you are now called %s\n", name);
}
