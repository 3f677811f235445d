/*
 * Names: each belongs to one person, on whichever actor that one lives. A name has its home on the
 * actor that its hash picks; who wants it asks there, and what that actor says holds.
 */
#include <stdlib.h>
#include <string.h>

#include "chat.h"

typedef struct {
  uint64_t owner;
  char key[NAME_SIZE];
} owned_t;

static unsigned home_of(const chat_t *chat, const char *name) {
  char key[NAME_SIZE];
  size_t length = fold(key, name);
  uint64_t hash = 5381;
  for (size_t i = 0; i < length; i++) {
    hash = hash * 33 + (unsigned char)key[i];
  }
  return (unsigned)(hash % chat->config->actors);
}

void name_claim(chat_t *chat, member_t *member, const char *name) {
  unsigned home = home_of(chat, name);
  memcpy(member->claimed, name, strlen(name) + 1);
  if (home == chat->index) {
    name_answered(chat, member->person.id, name, name_grant(chat, member->person.id, name));
  } else if (chat->peers[home].gone) {
    name_answered(chat, member->person.id, name, false);
  } else {
    send_note(chat, home, CLAIM, member->person.id, name, false);
  }
}

void name_release(chat_t *chat, uint64_t person, const char *name) {
  unsigned home = home_of(chat, name);
  if (home == chat->index) {
    name_forget(chat, person, name);
  } else if (!chat->peers[home].gone) {
    send_note(chat, home, RELEASE, person, name, false);
  }
}

bool name_grant(chat_t *chat, uint64_t person, const char *name) {
  owned_t *owned = calloc(1, sizeof *owned);
  if (owned == NULL) {
    return false;
  }
  size_t length = fold(owned->key, name);
  owned->owner = person;
  const owned_t *there = table_get(&chat->names, owned->key, length);
  if (there != NULL) {
    free(owned);
    return there->owner == person; /* other capital letters, perhaps */
  }
  if (!table_put(&chat->names, owned->key, length, owned)) {
    free(owned);
    return false;
  }
  return true;
}

void name_forget(chat_t *chat, uint64_t person, const char *name) {
  char key[NAME_SIZE];
  size_t length = fold(key, name);
  const owned_t *there = table_get(&chat->names, key, length);
  if (there != NULL && there->owner == person) {
    free(table_take(&chat->names, key, length));
  }
}

void name_answered(chat_t *chat, uint64_t person, const char *name, bool granted) {
  person_t *found = person_find(chat, person);
  member_t *member = found == NULL ? NULL : found->member;
  if (member == NULL || member->leaving) {
    if (granted) {
      name_release(chat, person, name); /* it left meanwhile */
    }
    return;
  }
  member->claimed[0] = '\0';
  if (!granted) {
    member_tell(member, "! %s is somebody else's name\n", name);
    return;
  }
  char old[NAME_SIZE], new_key[NAME_SIZE];
  fold(old, member->person.name);
  fold(new_key, name);
  if (member->owns_name && strcmp(old, new_key) != 0) {
    name_release(chat, person, member->person.name);
  }
  member->owns_name = true;
  member_rename(member, name);
}

static bool free_owned(void *value, void *context) {
  (void)context;
  free(value);
  return true;
}

void names_free(chat_t *chat) {
  table_each(&chat->names, free_owned, NULL);
  table_free(&chat->names);
}

typedef struct {
  chat_t *chat;
  unsigned actor;
} lost_t;

static bool forget_if_lost(void *value, void *context) {
  owned_t *owned = value;
  const lost_t *lost = context;
  if (person_actor(&(person_t){.id = owned->owner}) == lost->actor) {
    table_take(&lost->chat->names, owned->key, strlen(owned->key));
    free(owned);
  }
  return true;
}

void names_lose_actor(chat_t *chat, unsigned actor) {
  table_each(&chat->names, forget_if_lost, &(lost_t){.chat = chat, .actor = actor});
  member_t *member = NULL;
  LIST_FOREACH(member, &chat->members, neighbours) {
    if (member->claimed[0] != '\0' && home_of(chat, member->claimed) == actor) {
      char name[NAME_SIZE];
      memcpy(name, member->claimed, sizeof name);
      name_answered(chat, member->person.id, name, false);
      member_pump(member);
    }
  }
}
