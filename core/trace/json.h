/// Private. The details of messages as JSON, by their descriptors.
#ifndef TRP_JSON_H_INCLUDED
#define TRP_JSON_H_INCLUDED

#include "core/message/wire.h"

/// Text that is counted whole and written as far as there is room.
typedef struct trp_json {
  char *bytes;
  size_t size;
  size_t length; // of all, without the zero
} trp_json_t;

void trp_json_init(trp_json_t *json, char *bytes, size_t size);

/// An object of the fields of a message that are not zero. Ids are strings as trp_print_id() has
/// them, bytes and strings are strings, addresses their text.
void trp_json_message(trp_json_t *json, const trp_message_t *message);

#endif
