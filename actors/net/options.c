#include "actors/net/options.h"

#include <limits.h>

#define UNSET TROUPE__WIRE__CHOICE__CHOICE_UNSET
#define ON TROUPE__WIRE__CHOICE__CHOICE_ON

static void merge_choice(uint8_t *into, Troupe__Wire__Choice from);
static int clamp(uint32_t value);

void trp_options_merge(trp_socket_options_t *into, const Troupe__Wire__Options *from) {
  if (from == NULL) {
    return;
  }
  merge_choice(&into->no_delay, from->no_delay);
  if (from->linger_close != UNSET) {
    merge_choice(&into->linger_close, from->linger_close);
    into->linger_ms = from->linger_ms;
  }
  if (from->keep_alive != UNSET) {
    merge_choice(&into->keep_alive, from->keep_alive);
    into->keep_alive_delay_s = from->keep_alive_initial_delay_s;
  }
  if (from->set_timeout) {
    into->timeout_ms = from->timeout_ms;
  }
  if (from->set_deadlines) {
    into->connect_deadline_ms = from->connect_deadline_ms;
    into->first_byte_deadline_ms = from->first_byte_deadline_ms;
    into->write_stall_deadline_ms = from->write_stall_deadline_ms;
  }
  into->pause |= from->pause;
  into->reset_ends |= from->reset_ends;
}

void trp_options_put(const trp_socket_options_t *from, Troupe__Wire__Options *into) {
  into->no_delay = (Troupe__Wire__Choice)from->no_delay;
  into->linger_close = (Troupe__Wire__Choice)from->linger_close;
  into->linger_ms = from->linger_ms;
  into->keep_alive = (Troupe__Wire__Choice)from->keep_alive;
  into->keep_alive_initial_delay_s = from->keep_alive_delay_s;
  into->set_timeout = true;
  into->timeout_ms = from->timeout_ms;
  into->set_deadlines = true;
  into->connect_deadline_ms = from->connect_deadline_ms;
  into->first_byte_deadline_ms = from->first_byte_deadline_ms;
  into->write_stall_deadline_ms = from->write_stall_deadline_ms;
  into->pause = from->pause;
  into->reset_ends = from->reset_ends;
}

void trp_options_apply(const trp_socket_options_t *options, trp_transport_t *transport,
                       trp_handle_t *handle) {
  const trp_transport_ops_t *ops = transport->ops;
  if (options->no_delay != UNSET) {
    ops->set_option(transport, handle, TRP_OPTION_NO_DELAY, options->no_delay == ON);
  }
  if (options->keep_alive != UNSET) {
    ops->set_option(transport, handle, TRP_OPTION_KEEP_ALIVE, options->keep_alive == ON);
    if (options->keep_alive == ON && options->keep_alive_delay_s > 0) {
      ops->set_option(transport, handle, TRP_OPTION_KEEP_ALIVE_DELAY_S,
                      clamp(options->keep_alive_delay_s));
    }
  }
  if (options->linger_close != UNSET) {
    ops->set_option(transport, handle, TRP_OPTION_LINGER_CLOSE,
                    options->linger_close == ON ? clamp(options->linger_ms) : 0);
  }
}

/// A number that is no choice of ours leaves the option alone.
static void merge_choice(uint8_t *into, Troupe__Wire__Choice from) {
  if (from == ON || from == TROUPE__WIRE__CHOICE__CHOICE_OFF) {
    *into = (uint8_t)from;
  }
}

static int clamp(uint32_t value) {
  return value > INT_MAX ? INT_MAX : (int)value;
}
