/// Private. What traces need to know of kinds of messages.
#ifndef TRP_KINDS_H_INCLUDED
#define TRP_KINDS_H_INCLUDED

#include <stdbool.h>

#include "core/message/wire.h"

/// Whether a message of this kind may be about a socket. CREDIT, OPTIONS, ERROR and CLOSE may be
/// about a server, too.
static inline bool trp_kind_is_of_socket(Troupe__Wire__Kind kind) {
  switch (kind) {
  case TRP_KIND(COMMAND_CONNECT):
  case TRP_KIND(COMMAND_ADOPT):
  case TRP_KIND(COMMAND_WRITE):
  case TRP_KIND(COMMAND_END):
  case TRP_KIND(COMMAND_DESTROY):
  case TRP_KIND(COMMAND_RESET):
  case TRP_KIND(COMMAND_PAUSE):
  case TRP_KIND(COMMAND_RESUME):
  case TRP_KIND(COMMAND_CREDIT):
  case TRP_KIND(COMMAND_OPTIONS):
  case TRP_KIND(COMMAND_FREEZE):
  case TRP_KIND(COMMAND_GIVE):
  case TRP_KIND(EVENT_LOOKUP):
  case TRP_KIND(EVENT_CONNECTION_ATTEMPT):
  case TRP_KIND(EVENT_CONNECTION_ATTEMPT_FAILED):
  case TRP_KIND(EVENT_CONNECTION_ATTEMPT_TIMEOUT):
  case TRP_KIND(EVENT_CONNECT):
  case TRP_KIND(EVENT_DATA):
  case TRP_KIND(EVENT_END):
  case TRP_KIND(EVENT_WRITTEN):
  case TRP_KIND(EVENT_FINISH):
  case TRP_KIND(EVENT_TIMEOUT):
  case TRP_KIND(EVENT_ERROR):
  case TRP_KIND(EVENT_CLOSE):
  case TRP_KIND(EVENT_FROZEN):
  case TRP_KIND(EVENT_HANDED):
  case TRP_KIND(EVENT_GIVEN):
  case TRP_KIND(EVENT_GIVE_FAILED):
    return true;
  default:
    return false;
  }
}

#endif
