/// Private. Short names for what protoc-c makes of proto/troupe.proto.
#ifndef TRP_WIRE_H_INCLUDED
#define TRP_WIRE_H_INCLUDED

#include "troupe.pb-c.h"

typedef Troupe__Wire__Message trp_message_t;
typedef Troupe__Wire__Batch trp_wire_batch_t;

/// TRP_KIND(EVENT_DATA), TRP_FLAG(NOTIFY), TRP_DETAIL(HELLO): a message's kind, a bit of its flags,
/// the case of its detail.
#define TRP_KIND(name) TROUPE__WIRE__KIND__##name
#define TRP_FLAG(name) ((uint32_t)TROUPE__WIRE__FLAG__FLAG_##name)
#define TRP_DETAIL(name) TROUPE__WIRE__MESSAGE__DETAIL_##name

#endif
