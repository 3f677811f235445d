/// Private. What connections were sent, as streams: the pieces in which it was sent play no part.
/// Two sides, the recording's and the replay's; what one is ahead of the other waits here.
#ifndef TRP_FLOWS_H_INCLUDED
#define TRP_FLOWS_H_INCLUDED

#include "core/support/map.h"
#include "core/trace/compare.h"

typedef enum trp_side { TRP_EXPECTED = 0, TRP_GOT = 1 } trp_side_t;

/// Bytes of a stream, or something that happens behind them.
typedef struct trp_piece {
  struct trp_piece *next;
  Troupe__Wire__Kind kind; // COMMAND_WRITE: bytes
  size_t length, done;
  uint8_t bytes[];
} trp_piece_t;

/// One connection, or one actor that is sent messages.
typedef struct trp_flow {
  uint64_t id;
  trp_piece_t *first, *last; // what the side that is ahead has more
  trp_side_t ahead;
  uint64_t position; // bytes that were the same
  bool unsure;       // where it is ahead, nobody knows whether the recording was, too
} trp_flow_t;

/// Zeroed it is empty.
typedef struct trp_flows {
  trp_map_t map; // of trp_flow_t, by id
} trp_flows_t;

/// Where the two differ first; `flow` is NULL when they do not. The pieces are borrowed, as long as
/// nothing is added; NULL: nothing more.
typedef struct trp_flow_difference {
  const trp_flow_t *flow;
  const trp_piece_t *expected;
  const trp_piece_t *got;
} trp_flow_difference_t;

/// Whether a message is a part of a stream; what is not is not compared.
bool trp_flows_takes(const trp_message_t *message);

/// Adds what one side says to `to`. Returns 0, TROUPE_EDIFFERS with `*difference`, or TROUPE_ENOMEM.
int trp_flows_add(trp_flows_t *flows, trp_side_t side, uint64_t to, trp_said_t said,
                  trp_flow_difference_t *difference);

/// Of what was sent to `id` in the recording the end may be missing.
void trp_flows_doubt(trp_flows_t *flows, uint64_t id);

/// Whether one side has more than the other. 0 or TROUPE_EDIFFERS with the first that was found.
int trp_flows_rest(const trp_flows_t *flows, trp_side_t side, trp_flow_difference_t *difference);

void trp_flows_free(trp_flows_t *flows);

#endif
