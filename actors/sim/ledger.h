/// Private. What an actor knows of its sockets and servers: kept from what it was told, and from what
/// it said and was not answered, while it replays the beginning of a recording. From this an I/O actor
/// is brought to where the actor believes it to be.
#ifndef TRP_SIM_LEDGER_H_INCLUDED
#define TRP_SIM_LEDGER_H_INCLUDED

#include <troupe/address.h>

#include "actors/net/list.h"
#include "actors/net/resume.h"
#include "core/support/map.h"

/// A batch of commands; lives as long as one of them is not answered.
typedef struct trp_letter {
  unsigned references;
  trp_in_t in;
} trp_letter_t;

/// A command.
typedef struct trp_order {
  trp_link_t in_entry;
  trp_letter_t *letter;
  trp_message_t *message; // of the letter
  unsigned io;            // which I/O actor it was sent to, from 0
  uint64_t end;           // of a write: where it ends in what the actor writes to the socket
} trp_order_t;

/// A socket, a server, a block list, or another actor.
typedef struct trp_entry {
  trp_link_t in_ledger; // in the order in which they came
  uint64_t id;
  trp_link_t orders;
  bool is_open;           // a socket that is connected
  bool connected_by_self; // it was the actor that connected
  bool listens;           // a server
  bool has_options;
  trp_resumed_t known; // of a socket
  Troupe__Wire__Options options;
  troupe_address_t local, remote; // of a server: `local` is where it listens
  uint64_t dealt;                 // connections of a server
  uint64_t accepted;              // bytes that the actor has written
  uint64_t inherited;             // of them, those of owners before it
  uint8_t *heard;                 // of them, those that the peer has
  size_t heard_length, heard_capacity;
} trp_entry_t;

typedef struct trp_ledger {
  trp_link_t entries;
  trp_map_t by_id;
  trp_resumed_owner_t *owners; // for each I/O actor
  unsigned io_count;
  bool keeps_heard;
} trp_ledger_t;

/// 0 or TROUPE_ENOMEM.
int trp_ledger_init(trp_ledger_t *ledger, unsigned io_count, bool keeps_heard);
void trp_ledger_free(trp_ledger_t *ledger);

/// The actor is told a batch, or says one to the I/O actor `io`, from 0. 0 or TROUPE_ENOMEM.
int trp_ledger_told(trp_ledger_t *ledger, const trp_in_t *in);
int trp_ledger_said(trp_ledger_t *ledger, unsigned io, const trp_out_t *out);

#endif
