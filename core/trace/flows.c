/// Streams side by side. Only one of the two sides of a stream is ever ahead, so there is one queue.
#include "core/trace/flows.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

static trp_piece_t *make_piece(trp_said_t said);
static trp_flow_t *find_flow(trp_flows_t *flows, uint64_t id);
static int match(trp_flow_t *flow, trp_side_t side, trp_piece_t *piece,
                 trp_flow_difference_t *difference);
static void drop_first(trp_flow_t *flow);

bool trp_flows_takes(const trp_message_t *message) {
  switch (message->kind) {
  case TRP_KIND(COMMAND_WRITE):
    return message->length > 0;
  case TRP_KIND(COMMAND_END):
  case TRP_KIND(COMMAND_DESTROY):
  case TRP_KIND(COMMAND_RESET):
  case TRP_KIND(COMMAND_CONNECT):
  case TRP_KIND(COMMAND_ADOPT):
  case TRP_KIND(COMMAND_GIVE):
  case TRP_KIND(COMMAND_SEND):
  case TRP_KIND(EVENT_MESSAGE):
    return true;
  default:
    return false;
  }
}

int trp_flows_add(trp_flows_t *flows, trp_side_t side, uint64_t to, trp_said_t said,
                  trp_flow_difference_t *difference) {
  bool message = said.message->kind == TRP_KIND(EVENT_MESSAGE);
  trp_flow_t *flow = find_flow(flows, message ? to : said.message->subject);
  trp_piece_t *piece = flow == NULL ? NULL : make_piece(said);
  if (piece == NULL) {
    return TROUPE_ENOMEM;
  }
  if (flow->first != NULL && flow->ahead != side) {
    int result = match(flow, side, piece, difference);
    if (result <= 0) {
      return result;
    }
  }
  flow->ahead = side;
  if (flow->first == NULL) {
    flow->first = piece;
  } else {
    flow->last->next = piece;
  }
  flow->last = piece;
  return 0;
}

void trp_flows_doubt(trp_flows_t *flows, uint64_t id) {
  trp_flow_t *flow = trp_map_get(&flows->map, id);
  if (flow != NULL) {
    flow->unsure = true;
  }
}

int trp_flows_rest(const trp_flows_t *flows, trp_side_t side, trp_flow_difference_t *difference) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&flows->map, &cursor, NULL, &value)) {
    const trp_flow_t *flow = value;
    if (flow->first != NULL && flow->ahead == side && !(side == TRP_GOT && flow->unsure)) {
      *difference = (trp_flow_difference_t){.flow = flow,
                                            .expected = side == TRP_EXPECTED ? flow->first : NULL,
                                            .got = side == TRP_GOT ? flow->first : NULL};
      return TROUPE_EDIFFERS;
    }
  }
  return 0;
}

void trp_flows_free(trp_flows_t *flows) {
  size_t cursor = 0;
  void *value = NULL;
  while (trp_map_iterate(&flows->map, &cursor, NULL, &value)) {
    trp_flow_t *flow = value;
    while (flow->first != NULL) {
      drop_first(flow);
    }
    free(flow);
  }
  trp_map_free(&flows->map);
}

static trp_piece_t *make_piece(trp_said_t said) {
  size_t length = said.payload == NULL ? 0 : said.message->length;
  trp_piece_t *piece = malloc(sizeof *piece + length);
  if (piece != NULL) {
    *piece = (trp_piece_t){.kind = said.message->kind, .length = length};
    if (length > 0) {
      memcpy(piece->bytes, said.payload, length);
    }
  }
  return piece;
}

static trp_flow_t *find_flow(trp_flows_t *flows, uint64_t id) {
  trp_flow_t *flow = trp_map_get(&flows->map, id);
  if (flow == NULL) {
    flow = calloc(1, sizeof *flow);
    if (flow != NULL && trp_map_put(&flows->map, id, flow) != 0) {
      free(flow);
      return NULL;
    }
    if (flow != NULL) {
      flow->id = id;
    }
  }
  return flow;
}

static size_t common_length(const trp_piece_t *a, const trp_piece_t *b) {
  size_t most = a->length - a->done < b->length - b->done ? a->length - a->done
                                                          : b->length - b->done;
  size_t same = 0;
  while (same < most && a->bytes[a->done + same] == b->bytes[b->done + same]) {
    same++;
  }
  return same;
}

/// Compares a piece of the side that is behind. 1: some of it is left, and nothing of the other; 0: it
/// is used up; or TROUPE_EDIFFERS. Unless 1 the piece is consumed.
static int match(trp_flow_t *flow, trp_side_t side, trp_piece_t *piece,
                 trp_flow_difference_t *difference) {
  while (flow->first != NULL) {
    trp_piece_t *other = flow->first;
    size_t same = common_length(piece, other);
    bool stream = piece->kind == TRP_KIND(COMMAND_WRITE);
    bool whole = same == piece->length - piece->done && same == other->length - other->done;
    bool parts = same == piece->length - piece->done || same == other->length - other->done;
    piece->done += same;
    other->done += same;
    flow->position += stream && piece->kind == other->kind ? same : 0;
    if (piece->kind != other->kind || !(stream ? parts : whole)) {
      // The queue keeps it, so that it can be told.
      piece->next = NULL;
      flow->last->next = piece;
      flow->last = piece;
      *difference = (trp_flow_difference_t){.flow = flow,
                                            .expected = side == TRP_EXPECTED ? piece : other,
                                            .got = side == TRP_GOT ? piece : other};
      return TROUPE_EDIFFERS;
    }
    bool used_up = piece->done == piece->length;
    if (other->done == other->length) {
      drop_first(flow);
    }
    if (used_up) {
      free(piece);
      return 0;
    }
  }
  return 1;
}

static void drop_first(trp_flow_t *flow) {
  trp_piece_t *piece = flow->first;
  flow->first = piece->next;
  free(piece);
}
