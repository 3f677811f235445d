#include "core/trace/kinds.h"

int trp_connection_of(trp_map_t *servers, const trp_message_t *message, uint64_t *connection) {
  *connection = message->subject;
  switch (message->kind) {
  case TRP_KIND(EVENT_CONNECTION):
    *connection = message->detail_case == TRP_DETAIL(CONNECTION) ? message->connection->socket : 0;
    return trp_map_put(servers, message->subject, servers);
  case TRP_KIND(COMMAND_LISTEN):
  case TRP_KIND(EVENT_LISTENING):
  case TRP_KIND(EVENT_DROP):
  case TRP_KIND(EVENT_PARKED):
  case TRP_KIND(EVENT_UNPARKED):
  case TRP_KIND(EVENT_COUNTED):
  case TRP_KIND(COMMAND_COUNT):
  case TRP_KIND(COMMAND_CLOSE):
    *connection = 0;
    return trp_map_put(servers, message->subject, servers);
  case TRP_KIND(COMMAND_CREDIT):
  case TRP_KIND(COMMAND_OPTIONS):
  case TRP_KIND(EVENT_ERROR):
  case TRP_KIND(EVENT_CLOSE):
    if (trp_map_get(servers, message->subject) != NULL) {
      *connection = 0;
    }
    return 0;
  case TRP_KIND(COMMAND_CONNECT):
  case TRP_KIND(COMMAND_ADOPT):
  case TRP_KIND(COMMAND_WRITE):
  case TRP_KIND(COMMAND_END):
  case TRP_KIND(COMMAND_DESTROY):
  case TRP_KIND(COMMAND_RESET):
  case TRP_KIND(COMMAND_PAUSE):
  case TRP_KIND(COMMAND_RESUME):
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
  case TRP_KIND(EVENT_FROZEN):
  case TRP_KIND(EVENT_HANDED):
  case TRP_KIND(EVENT_GIVEN):
  case TRP_KIND(EVENT_GIVE_FAILED):
    return 0;
  default:
    *connection = 0;
    return 0;
  }
}
