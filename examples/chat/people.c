/* Persons and rooms: what this actor knows of everybody. */
#include <stdlib.h>
#include <string.h>

#include "chat.h"

enum { ACTOR_SHIFT = 40 };

size_t fold(char *folded, const char *name) {
  size_t length = 0;
  for (; name[length] != '\0'; length++) {
    char c = name[length];
    folded[length] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
  }
  folded[length] = '\0';
  return length;
}

unsigned person_actor(const person_t *person) {
  return (unsigned)(person->id >> ACTOR_SHIFT);
}

person_t *person_find(const chat_t *chat, uint64_t id) {
  return table_get(&chat->persons, &id, sizeof id);
}

bool person_add(chat_t *chat, person_t *person) {
  if (person->id == 0) {
    person->id = (uint64_t)chat->index << ACTOR_SHIFT | ++chat->next_person;
  }
  return table_put(&chat->persons, &person->id, sizeof person->id, person);
}

person_t *person_new_elsewhere(chat_t *chat, uint64_t id) {
  person_t *person = calloc(1, sizeof *person);
  if (person == NULL) {
    return NULL;
  }
  person->id = id;
  if (!person_add(chat, person)) {
    free(person);
    return NULL;
  }
  return person;
}

void person_remove(chat_t *chat, person_t *person) {
  room_leave(chat, person);
  table_take(&chat->persons, &person->id, sizeof person->id);
  if (person->member == NULL) {
    free(person);
  }
}

static bool free_person(void *value, void *context) {
  person_t *person = value;
  (void)context;
  if (person->member == NULL) {
    free(person);
  }
  return true;
}

static bool free_room(void *value, void *context) {
  (void)context;
  free(value);
  return true;
}

void people_free(chat_t *chat) {
  table_each(&chat->persons, free_person, NULL);
  table_free(&chat->persons);
  table_each(&chat->rooms, free_room, NULL);
  table_free(&chat->rooms);
}

room_t *room_get(chat_t *chat, const char *name) {
  char key[NAME_SIZE];
  size_t length = fold(key, name);
  room_t *room = table_get(&chat->rooms, key, length);
  if (room != NULL) {
    return room;
  }
  room = calloc(1, sizeof *room + chat->config->actors * sizeof room->on[0]);
  if (room == NULL) {
    return NULL;
  }
  if (!table_put(&chat->rooms, key, length, room)) {
    free(room);
    return NULL;
  }
  memcpy(room->name, name, length + 1);
  LIST_INIT(&room->here);
  LIST_INIT(&room->elsewhere);
  return room;
}

void room_enter(chat_t *chat, room_t *room, person_t *person) {
  (void)chat;
  person->room = room;
  LIST_INSERT_HEAD(person->member != NULL ? &room->here : &room->elsewhere, person, neighbours);
  room->on[person_actor(person)]++;
  room->count++;
}

void room_leave(chat_t *chat, person_t *person) {
  room_t *room = person->room;
  if (room == NULL) {
    return;
  }
  person->room = NULL;
  LIST_REMOVE(person, neighbours);
  room->on[person_actor(person)]--;
  room->count--;
  if (room->count == 0) {
    char key[NAME_SIZE];
    size_t length = fold(key, room->name);
    table_take(&chat->rooms, key, length);
    free(room);
  }
}
