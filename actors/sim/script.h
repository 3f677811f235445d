/// Private. What a recording says of its actor's peers: what each of them goes on to say behind the
/// event up to which the actor is replayed, and when.
#ifndef TRP_SIM_SCRIPT_H_INCLUDED
#define TRP_SIM_SCRIPT_H_INCLUDED

#include <troupe/sim.h>

#include "core/support/map.h"

typedef enum trp_cue_kind { TRP_CUE_SAY, TRP_CUE_END, TRP_CUE_RESET } trp_cue_kind_t;

/// Something that a peer does.
typedef struct trp_cue {
  struct trp_cue *next;
  trp_cue_kind_t kind;
  int64_t at_ns;      // behind the cut
  uint64_t had_heard; // how many bytes the actor had written to it by then
  size_t length;
  uint8_t bytes[];
} trp_cue_t;

/// One peer. What it does ends with an END or a RESET.
typedef struct trp_role {
  struct trp_role *next;
  uint64_t socket; // the actor's
  bool arrives;    // its connection comes behind the cut
  int64_t at_ns;   // then
  troupe_address_t address, to;
  trp_cue_t *first, **last;
  uint64_t written; // by the actor, so far
  bool gone;        // the actor has no such socket any more
} trp_role_t;

typedef struct trp_script {
  const troupe_sim_recording_t *recording;
  uint64_t events;     // that are replayed
  int64_t clock_ns;    // at the cut
  int64_t length_ns;   // of what is behind it
  uint64_t actor;      // its id
  unsigned io_threads; // of its system
  trp_role_t *roles, **last;
  trp_map_t by_socket;
  trp_map_t ports; // of servers that listen behind the cut, and 1
} trp_script_t;

/// Reads the whole recording. Zeroed before, freed in any case. Returns 0, TROUPE_EINCOMPLETE: it does
/// not hold all that drove the actor, TROUPE_EINVAL: it has more I/O actors than there may be, or an
/// error of troupe_trace_open().
int trp_script_read(trp_script_t *script, const troupe_sim_recording_t *recording);
void trp_script_free(trp_script_t *script);

/// The port that a server got, which asked for any, behind the cut; 0: it is not known.
uint16_t trp_script_port(const trp_script_t *script, uint64_t server);

#endif
