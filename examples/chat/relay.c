/* Messages between the actors. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"

/* ---- Sending ---- */

static void drop_first(peer_t *peer) {
  waiting_t *first = STAILQ_FIRST(&peer->outbox);
  STAILQ_REMOVE_HEAD(&peer->outbox, next);
  peer->count--;
  troupe_chunk_free(&first->chunk);
  free(first);
}

static void drop_all(peer_t *peer) {
  while (peer->count > 0) {
    drop_first(peer);
  }
}

bool relay_open(chat_t *chat) {
  chat->peers = calloc(chat->config->actors, sizeof *chat->peers);
  for (unsigned i = 0; chat->peers != NULL && i < chat->config->actors; i++) {
    STAILQ_INIT(&chat->peers[i].outbox);
  }
  return chat->peers != NULL;
}

void relay_free(chat_t *chat) {
  for (unsigned i = 0; i < chat->config->actors; i++) {
    drop_all(&chat->peers[i]);
  }
  free(chat->peers);
  chat->peers = NULL;
}

/* Sends what waits, as far as the other actor takes it; false: it is (still) behind. */
static bool flush(chat_t *chat, peer_t *peer) {
  while (peer->count > 0) {
    int error = troupe_send_chunk(peer->actor, STAILQ_FIRST(&peer->outbox)->chunk);
    if (error == TROUPE_ENOBUFS) {
      return false;
    }
    if (error < 0 && error != TROUPE_ENOACTOR) {
      chat_fail(chat, error);
      return false;
    }
    drop_first(peer);
  }
  return true;
}

/* Nothing is lost and nothing overtakes: what cannot be sent now waits, and more after it. */
static void send_to(chat_t *chat, peer_t *peer, const troupe_chunk_t *chunk) {
  if (peer->gone) {
    return;
  }
  if (peer->count == 0) {
    int error = troupe_send_chunk(peer->actor, chunk);
    if (error == 0 || error == TROUPE_ENOACTOR) {
      return; /* on_actor_down() follows if it has ended */
    }
    if (error != TROUPE_ENOBUFS) {
      chat_fail(chat, error);
      return;
    }
  }
  waiting_t *waiting = calloc(1, sizeof *waiting);
  if (waiting == NULL || troupe_chunk_keep(chunk, &waiting->chunk) < 0) {
    free(waiting);
    chat_fail(chat, TROUPE_ENOMEM);
    return;
  }
  STAILQ_INSERT_TAIL(&peer->outbox, waiting, next);
  peer->count++;
}

void on_sendable(troupe_actor_t to, void *context) {
  chat_t *chat = context;
  for (unsigned i = 0; i < chat->config->actors; i++) {
    if (chat->peers[i].actor.id == to.id && flush(chat, &chat->peers[i])) {
      members_wake(chat);
    }
  }
  members_settle(chat);
}

bool relay_is_behind(const chat_t *chat, const room_t *room) {
  for (unsigned i = 0; i < chat->config->actors; i++) {
    size_t count = chat->peers[i].count;
    if (count > OUTBOX_MARK || (count > 0 && (room == NULL || room->on[i] > 0))) {
      return true;
    }
  }
  return false;
}

static troupe_chunk_t *compose(what_t what, uint64_t person, bool granted, const char *room,
                               const char *name, size_t text_length, char **text) {
  head_t head = {
      .person = person,
      .what = (uint8_t)what,
      .room_length = (uint8_t)strlen(room),
      .name_length = (uint8_t)strlen(name),
      .granted = granted,
  };
  troupe_chunk_t *chunk = NULL;
  size_t length = sizeof head + head.room_length + head.name_length + text_length;
  if (troupe_chunk_new(&chunk, NULL, length) < 0) {
    return NULL;
  }
  char *bytes = (char *)(uintptr_t)troupe_chunk_bytes(chunk);
  memcpy(bytes, &head, sizeof head);
  bytes += sizeof head;
  memcpy(bytes, room, head.room_length);
  bytes += head.room_length;
  memcpy(bytes, name, head.name_length);
  *text = bytes + head.name_length;
  return chunk;
}

static void set_visit(const troupe_chunk_t *chunk, uint32_t visit) {
  char *bytes = (char *)(uintptr_t)troupe_chunk_bytes(chunk);
  memcpy(bytes + offsetof(head_t, visit), &visit, sizeof visit);
}

void send_note(chat_t *chat, unsigned actor, what_t what, uint64_t person, const char *name,
               bool granted) {
  char *text = NULL;
  troupe_chunk_t *chunk = compose(what, person, granted, "", name, 0, &text);
  if (chunk == NULL) {
    chat_fail(chat, TROUPE_ENOMEM);
    return;
  }
  send_to(chat, &chat->peers[actor], chunk);
  troupe_chunk_free(&chunk);
}

/* The person's actor may rely on it: what this one sends from here on, it sends knowing where the
   person is. */
static void send_seen(chat_t *chat, const person_t *person, uint32_t visit) {
  char *text = NULL;
  troupe_chunk_t *chunk = compose(SEEN, person->id, false, "", "", 0, &text);
  if (chunk == NULL) {
    chat_fail(chat, TROUPE_ENOMEM);
    return;
  }
  set_visit(chunk, visit);
  send_to(chat, &chat->peers[person_actor(person)], chunk);
  troupe_chunk_free(&chunk);
}

/* ---- What happens ---- */

/* Whether a member is meant by what a person of another actor said. */
static bool is_for(const member_t *member, const person_t *maker) {
  return maker->member != NULL || (member->seen_by & UINT64_C(1) << person_actor(maker)) != 0;
}

/* Writes the text of a message to all who are in the room here, but for the one who made it. */
static void hear(chat_t *chat, const room_t *room, const person_t *maker,
                 const message_t *message) {
  size_t length = troupe_chunk_length(message->chunk) - message->text_offset;
  if (length == 0 || LIST_EMPTY(&room->here)) {
    return;
  }
  troupe_chunk_t *text = NULL;
  if (troupe_chunk_slice(message->chunk, message->text_offset, length, &text) < 0) {
    chat_fail(chat, TROUPE_ENOMEM);
    return;
  }
  const person_t *person = NULL;
  LIST_FOREACH(person, &room->here, neighbours) {
    if (person != maker && (message->head.what != SAID || is_for(person->member, maker))) {
      member_give(person->member, text);
    }
  }
  troupe_chunk_free(&text);
}

/* The same for a person of this actor and for one of another: so all actors know the same. */
static void happen(chat_t *chat, person_t *person, const message_t *message) {
  room_t *room = person->room;
  switch ((what_t)message->head.what) {
  case JOINED:
    room = room_get(chat, message->room);
    if (room == NULL) {
      chat_fail(chat, TROUPE_ENOMEM);
      return;
    }
    memcpy(person->name, message->name, sizeof person->name);
    room_leave(chat, person);
    room_enter(chat, room, person);
    hear(chat, room, person, message);
    return;
  case LEFT:
    if (room != NULL) {
      hear(chat, room, person, message);
      room_leave(chat, person);
    }
    if (person->member == NULL) {
      person_remove(chat, person);
    }
    return;
  case RENAMED:
    memcpy(person->name, message->name, sizeof person->name);
    if (room != NULL) {
      hear(chat, room, person, message);
    }
    return;
  case SAID:
    if (room != NULL) {
      hear(chat, room, person, message);
    }
    return;
  default:
    return;
  }
}

/* Reads a message; false: it is none. */
static bool understand(const troupe_chunk_t *chunk, message_t *message) {
  const char *bytes = troupe_chunk_bytes(chunk);
  size_t length = troupe_chunk_length(chunk);
  memset(message, 0, sizeof *message);
  if (length < sizeof message->head) {
    return false;
  }
  memcpy(&message->head, bytes, sizeof message->head);
  size_t room = message->head.room_length;
  size_t name = message->head.name_length;
  if (room > NAME_LIMIT || name > NAME_LIMIT || length < sizeof message->head + room + name) {
    return false;
  }
  memcpy(message->room, bytes + sizeof message->head, room);
  memcpy(message->name, bytes + sizeof message->head + room, name);
  message->text_offset = sizeof message->head + room + name;
  message->chunk = chunk;
  return true;
}

void publish(chat_t *chat, what_t what, person_t *person, const char *room, const char *name,
             const char *text, size_t length, const char *more, size_t more_length) {
  char *bytes = NULL;
  troupe_chunk_t *chunk = compose(what, person->id, false, room, name, length + more_length,
                                  &bytes);
  message_t message;
  if (chunk == NULL) {
    chat_fail(chat, TROUPE_ENOMEM);
    return;
  }
  set_visit(chunk, person->visit);
  memcpy(bytes, text, length);
  if (more_length > 0) {
    memcpy(bytes + length, more, more_length);
  }
  for (unsigned i = 0; i < chat->config->actors; i++) {
    /* What is said goes where somebody hears it; who is in which room, everywhere. */
    if (i != chat->index && (what != SAID || person->room->on[i] > 0)) {
      send_to(chat, &chat->peers[i], chunk);
    }
  }
  if (understand(chunk, &message)) {
    happen(chat, person, &message);
  }
  troupe_chunk_free(&chunk);
}

void announce(chat_t *chat, what_t what, person_t *person, const char *room, const char *name,
              const char *format, ...) {
  char text[4 * NAME_SIZE + 128];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length > 0 && (size_t)length < sizeof text) {
    publish(chat, what, person, room, name, text, (size_t)length, NULL, 0);
  }
}

/* ---- Receiving ---- */

static void meet_actors(chat_t *chat, const troupe_chunk_t *chunk) {
  const char *bytes = (const char *)troupe_chunk_bytes(chunk) + sizeof(head_t);
  size_t size = chat->config->actors * sizeof(troupe_actor_t);
  if (chat->knows_peers || troupe_chunk_length(chunk) != sizeof(head_t) + size) {
    return;
  }
  for (unsigned i = 0; i < chat->config->actors; i++) {
    memcpy(&chat->peers[i].actor, bytes + i * sizeof(troupe_actor_t), sizeof(troupe_actor_t));
    if (i != chat->index && troupe_watch(chat->peers[i].actor, on_actor_down, chat) < 0) {
      chat_fail(chat, TROUPE_ENOMEM);
      return;
    }
  }
  chat->knows_peers = true;
  member_t *member = NULL;
  LIST_FOREACH(member, &chat->members, neighbours) {
    member_greet(member);
  }
}

/* Of another actor, in seen_by. */
static uint64_t bit_of(const chat_t *chat, troupe_actor_t actor) {
  for (unsigned i = 0; i < chat->config->actors; i++) {
    if (chat->peers[i].actor.id == actor.id) {
      return UINT64_C(1) << i;
    }
  }
  return 0;
}

static void from_another(chat_t *chat, troupe_actor_t from, const message_t *message) {
  uint64_t id = message->head.person;
  unsigned actor = person_actor(&(person_t){.id = id});
  if (actor >= chat->config->actors || chat->peers[actor].gone) {
    return; /* its end may have overtaken what it sent */
  }
  if (!chat->knows_peers) {
    chat->peers[actor].actor = from; /* what main() says may come after what that one asks */
  }
  switch ((what_t)message->head.what) {
  case CLAIM:
    send_note(chat, actor, ANSWER, id, message->name, name_grant(chat, id, message->name));
    return;
  case RELEASE:
    name_forget(chat, id, message->name);
    return;
  case SEEN: {
    const person_t *person = person_find(chat, id);
    if (person != NULL && person->member != NULL && person->visit == message->head.visit) {
      person->member->seen_by |= bit_of(chat, from);
    }
    return;
  }
  case ANSWER:
    name_answered(chat, id, message->name, message->head.granted != 0);
    person_t *asker = person_find(chat, id);
    if (asker != NULL && asker->member != NULL) {
      member_pump(asker->member);
    }
    return;
  default:
    break;
  }
  person_t *person = person_find(chat, id);
  if (person == NULL && message->head.what == JOINED) {
    person = person_new_elsewhere(chat, id);
    if (person == NULL) {
      chat_fail(chat, TROUPE_ENOMEM);
    }
  }
  if (person != NULL) {
    happen(chat, person, message);
    if (message->head.what == JOINED) {
      send_seen(chat, person, message->head.visit);
    }
  }
}

void on_message(troupe_actor_t from, const troupe_chunk_t *bytes, void *context) {
  chat_t *chat = context;
  message_t message;
  if (!understand(bytes, &message)) {
    return;
  }
  if (message.head.what == ACTORS) {
    meet_actors(chat, bytes);
  } else {
    from_another(chat, from, &message);
  }
  members_settle(chat);
}

/* ---- An actor is gone ---- */

typedef struct {
  unsigned actor;
  person_t *found;
} search_t;

static bool lives_there(void *value, void *context) {
  search_t *search = context;
  person_t *person = value;
  if (person_actor(person) == search->actor) {
    search->found = person;
  }
  return search->found == NULL;
}

/* Its people left without a word of their own; those who remain read one. */
static void lose_people(chat_t *chat, unsigned actor) {
  for (;;) {
    search_t search = {.actor = actor};
    table_each(&chat->persons, lives_there, &search);
    person_t *person = search.found;
    if (person == NULL) {
      return;
    }
    char line[2 * NAME_SIZE + 64];
    int length = snprintf(line, sizeof line, "* %s left %s (lost)\n", person->name,
                          person->room == NULL ? "" : person->room->name);
    char *text = NULL;
    troupe_chunk_t *chunk = compose(LEFT, person->id, false, "", "", (size_t)length, &text);
    message_t message;
    if (chunk == NULL) {
      chat_fail(chat, TROUPE_ENOMEM);
      return;
    }
    memcpy(text, line, (size_t)length);
    if (understand(chunk, &message)) {
      happen(chat, person, &message);
    }
    troupe_chunk_free(&chunk);
  }
}

void on_actor_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context) {
  chat_t *chat = context;
  (void)reason;
  (void)status;
  if (chat->stops) {
    return;
  }
  for (unsigned i = 0; i < chat->config->actors; i++) {
    peer_t *peer = &chat->peers[i];
    if (peer->actor.id == actor.id && i != chat->index) {
      drop_all(peer);
      peer->gone = true;
      names_lose_actor(chat, i);
      lose_people(chat, i);
      members_wake(chat);
    }
  }
  members_settle(chat);
}
