/// Lists of what an actor has open, for people.
#include <troupe/handle.h>

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/actor/state.h"
#include "core/message/id.h"

const char trp_made_inside[] = "";

static size_t collect(const trp_actor_t *actor, troupe_handle_t *handles);
static void describe(const trp_object_t *object, troupe_handle_t *handle);
static int compare(const void *left, const void *right);
static int put_address(const troupe_address_t *address, const char *before, char *text,
                       size_t size);

/// Described once each, and then sorted: few bytes are moved, as the descriptions are large and
/// lists are short.
int troupe_actor_handles(troupe_handle_t *handles, size_t capacity) {
  trp_actor_t *actor = trp_actor_current();
  if (actor == NULL) {
    return TROUPE_EWRONGTHREAD;
  }
  size_t count = collect(actor, NULL);
  if (handles == NULL || capacity == 0 || count == 0) {
    return count > INT_MAX ? INT_MAX : (int)count;
  }
  troupe_handle_t *all = handles;
  if (capacity < count) {
    all = calloc(count, sizeof *all);
    if (all == NULL) {
      return TROUPE_ENOMEM;
    }
  }
  collect(actor, all);
  qsort(all, count, sizeof *all, compare);
  if (all != handles) {
    memcpy(handles, all, capacity * sizeof *all);
    free(all);
  }
  return count > INT_MAX ? INT_MAX : (int)count;
}

/// Fills `handles` if it is not NULL; returns how many there are.
static size_t collect(const trp_actor_t *actor, troupe_handle_t *handles) {
  size_t count = 0;
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&actor->objects, &cursor, NULL, &value)) {
    const trp_object_t *object = value;
    if (object->type->describe == NULL || object->made_at == trp_made_inside) {
      continue;
    }
    if (handles != NULL) {
      describe(object, &handles[count]);
    }
    count++;
  }
  return count;
}

static void describe(const trp_object_t *object, troupe_handle_t *handle) {
  *handle = (troupe_handle_t){
      .id = object->id,
      .owner = {object->actor->start.id},
      .holds = object->holding,
  };
  trp_made_at_copy(object->made_at, handle->made_at);
  object->type->describe(object, handle);
}

void trp_made_at_copy(const char *made_at, char text[TROUPE_MADE_AT_SIZE]) {
  size_t length = made_at == NULL ? 0 : strlen(made_at);
  size_t room = TROUPE_MADE_AT_SIZE - 1;
  snprintf(text, TROUPE_MADE_AT_SIZE, "%s",
           made_at == NULL ? "" : made_at + (length > room ? length - room : 0));
}

static int compare(const void *left, const void *right) {
  const troupe_handle_t *a = left;
  const troupe_handle_t *b = right;
  if (a->kind != b->kind) {
    return a->kind < b->kind ? -1 : 1;
  }
  return a->id < b->id ? -1 : a->id > b->id;
}

char *trp_object_made_at(const trp_object_t *object, trp_out_t *out) {
  const char *text = object->made_at;
  size_t length = text == NULL ? 0 : strlen(text);
  size_t room = TROUPE_MADE_AT_SIZE - 1;
  return trp_out_text(out, length > room ? text + (length - room) : text);
}

// ---- In words ----

int troupe_handle_text(const troupe_handle_t *handle, char *text, size_t size) {
  static const char *const kinds[] = {
      [TROUPE_HANDLE_SOCKET] = "socket",
      [TROUPE_HANDLE_SERVER] = "server",
      [TROUPE_HANDLE_TIMER] = "timer",
      [TROUPE_HANDLE_ABORT] = "abort token",
  };
  if (handle == NULL || text == NULL || size == 0) {
    return TROUPE_EINVAL;
  }
  unsigned kind = (unsigned)handle->kind;
  const char *name = kind < sizeof kinds / sizeof *kinds && kinds[kind] != NULL ? kinds[kind]
                                                                                : "handle";
  char local[TROUPE_ADDRESS_TEXT_SIZE + 32];
  char remote[TROUPE_ADDRESS_TEXT_SIZE + 32];
  put_address(&handle->local, ", ", local, sizeof local);
  put_address(&handle->remote, " to ", remote, sizeof remote);
  int length = snprintf(
      text, size, "%s %" PRIu32 "/%" PRIu64 ", %s%s%s%s%.*s", name, trp_id_creator(handle->id),
      handle->id & TRP_ID_COUNTER_MAX, handle->state == NULL ? "" : handle->state, local, remote,
      handle->made_at[0] == '\0' ? "" : ", made at ", (int)sizeof handle->made_at, handle->made_at);
  return length < 0 ? TROUPE_EINVAL : length;
}

/// "[::1]:80"; a Unix socket without a name is "unix".
static int put_address(const troupe_address_t *address, const char *before, char *text,
                       size_t size) {
  char bare[TROUPE_ADDRESS_TEXT_SIZE];
  troupe_address_text(address, bare, sizeof bare);
  switch (address->family) {
  case TROUPE_FAMILY_IPV4:
    return snprintf(text, size, "%s%s:%u", before, bare, (unsigned)address->port);
  case TROUPE_FAMILY_IPV6:
    return snprintf(text, size, "%s[%s]:%u", before, bare, (unsigned)address->port);
  case TROUPE_FAMILY_UNIX:
    return snprintf(text, size, "%s%s", before, bare[0] == '\0' ? "unix" : bare);
  default:
    text[0] = '\0';
    return 0;
  }
}
