/// Private. What all parts of actors/net share: the whole of one I/O actor's socket logic, and what
/// its objects have in common.
///
/// Everything runs in the I/O actor's thread: inside a callback of the transport, trp_net_execute()
/// or trp_net_flush(). Nothing blocks. Memory of an object that is gone stays valid until the end
/// of the turn, so that who has just used it need not ask.
#ifndef TRP_NET_CONTEXT_H_INCLUDED
#define TRP_NET_CONTEXT_H_INCLUDED

#include "actors/net/list.h"
#include "actors/net/net.h"
#include "actors/net/siblings.h"
#include "actors/net/texts.h"
#include "actors/net/timers.h"
#include "actors/net/writes.h"
#include "core/message/credit.h"
#include "core/message/id.h"
#include "core/support/map.h"

typedef enum trp_tag {
  TRP_TAG_BURIED, // gone; its memory goes at the end of the turn
  TRP_TAG_STREAM,
  TRP_TAG_MEMBER,
  TRP_TAG_BLOCKS,
  TRP_TAG_LISTENER,
  TRP_TAG_CONNECTOR,
  TRP_TAG_ATTEMPT,
} trp_tag_t;

/// What the transport's callbacks and the table of ids point to; the structs begin with it.
typedef struct trp_subject {
  trp_tag_t tag;
  struct trp_subject *next_buried;
  void (*release)(struct trp_net *net, struct trp_subject *subject); // frees the memory
  uint64_t id;
} trp_subject_t;

typedef struct trp_owner trp_owner_t;
typedef struct trp_stream trp_stream_t;
typedef struct trp_member trp_member_t;
typedef struct trp_listener trp_listener_t;
typedef struct trp_connector trp_connector_t;

struct trp_net {
  uint64_t self;
  uint64_t last_counter; // of the ids that this I/O actor makes
  trp_transport_t *transport;
  const trp_transport_ops_t *ops;
  trp_inbox_t *inbox;
  trp_pool_t *pool;
  int64_t now_ns;        // of the callback that runs
  uint64_t cause_sender; // the command that runs, or 0
  uint64_t cause_sequence;
  trp_map_t owners;   // actor's id -> trp_owner_t
  trp_map_t refused;  // ids of actors whose HELLO was refused, until somebody asks
  trp_map_t subjects; // id -> trp_subject_t
  trp_siblings_t siblings;
  trp_map_t dealt; // id of a connection that another I/O actor serves -> what is counted of it
  uint64_t window; // of each owner
  trp_link_t dirty_owners;  // have events to be sent
  trp_link_t ended_owners;  // said bye in this turn
  trp_link_t dirty_streams; // have something to write, or may want something else of the transport
  trp_link_t due_streams;   // somebody waits for a write that has become whole
  trp_link_t owing_streams; // closed, but there was no memory to say so
  trp_link_t owing_members;
  trp_link_t dropping; // members with connections dropped in this turn
  trp_link_t listeners;
  trp_due_t retry;   // of what could not be sent
  bool retry_parked; // a descriptor has become free
  size_t parked;     // listeners that are parked
  trp_timers_t timers;
  trp_write_store_t write_store;
  trp_texts_t texts; // where things were made
  trp_subject_t *buried;
  trp_stream_t *spare_streams;
  size_t spare_stream_count;
  trp_net_counters_t counters;
};

/// One command as it is carried out.
typedef struct trp_command {
  trp_net_t *net;
  trp_owner_t *owner; // the sender; NULL for the system
  uint64_t sender;
  const trp_in_t *in;
  const trp_message_t *message;
} trp_command_t;

/// Whether the subject is an id out of the sender's own range, as it must be where a command gives a
/// new thing its id.
static inline bool trp_command_names_its_own(const trp_command_t *command) {
  uint64_t subject = command->message->subject;
  return trp_id_creator(subject) == trp_id_creator(command->sender) && !trp_id_is_actor(subject);
}

/// A descriptor that a command hands over is ours, also when the command is refused: closes it.
void trp_net_discard_descriptor(trp_net_t *net, int fd);

/// Out of the table (if it is in) and, at the end of the turn, out of memory.
void trp_subject_bury(trp_net_t *net, trp_subject_t *subject);

/// Closes a handle of any kind; what waits for a free descriptor is tried again at the end of the
/// turn.
void trp_net_close_handle(trp_net_t *net, trp_handle_t *handle);

/// A fresh id for a connection that this I/O actor accepted and `io` serves; 0: used up.
uint64_t trp_net_new_id(trp_net_t *net, unsigned io);

#endif
