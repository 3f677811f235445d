/// Private. The options of a socket, as they stand or as they are changed.
#ifndef TRP_OPTIONS_H_INCLUDED
#define TRP_OPTIONS_H_INCLUDED

#include "actors/net/transport.h"
#include "core/message/wire.h"

/// Zeroed: nothing set.
typedef struct trp_socket_options {
  uint8_t no_delay, keep_alive, linger_close; // of Troupe__Wire__Choice
  bool pause, reset_ends;
  uint32_t keep_alive_delay_s;
  uint32_t timeout_ms;
  uint32_t linger_ms;
  uint32_t connect_deadline_ms, first_byte_deadline_ms, write_stall_deadline_ms;
} trp_socket_options_t;

/// What is set in `from` replaces what is in `into`. NULL sets nothing.
void trp_options_merge(trp_socket_options_t *into, const Troupe__Wire__Options *from);

/// The other way: all that is set in `from`. `into` is as its INIT.
void trp_options_put(const trp_socket_options_t *from, Troupe__Wire__Options *into);

/// Tells the system those that are its own. It may refuse: Node ignores that, too.
void trp_options_apply(const trp_socket_options_t *options, trp_transport_t *transport,
                       trp_handle_t *handle);

#endif
