// A transport in memory that does what the test says: how connects end, how much is written, what
// can be read, when there are no descriptors. Time stands still until the test lets it pass.
#ifndef TRP_TESTS_FAKE_NETWORK_H_INCLUDED
#define TRP_TESTS_FAKE_NETWORK_H_INCLUDED

#include "actors/net/transport.h"

enum { FAKE_HANDLES_MAX = 512, FAKE_OUTPUT_MAX = 1 << 20, FAKE_PARTED_MAX = 512 };

typedef enum fake_kind { FAKE_STREAM, FAKE_ATTEMPT, FAKE_LISTENER } fake_kind_t;

struct trp_handle {
  fake_kind_t kind;
  void *owner;
  unsigned wanted;
  bool open, tcp, was_reset, was_shut_down, hangup_told;
  troupe_address_t local, remote;
  int connect_result; // of an attempt; -EALREADY: it goes on
  // What can be read: bytes, then FIN or an error.
  char *input;
  size_t input_length, input_taken;
  bool fin;
  int read_error;
  int pending_error; // SO_ERROR
  // What was written.
  char *output;
  size_t output_length;
  size_t room; // that the kernel takes before it says EAGAIN
  int write_error;
  int shutdown_error;
  int options[4];        // the last values; -1: never set
  unsigned waiting;      // connections in a listener's backlog
  troupe_address_t peer; // theirs
};

struct trp_resolve {
  char host[256];
  uint16_t port;
  int family;
  unsigned hints;
  void *owner;
  bool open;
};

typedef struct fake_network {
  trp_transport_t base;
  trp_handle_t handles[FAKE_HANDLES_MAX]; // in the order in which they were made;
                                          // when all are used, closed ones again
  size_t handle_count;
  trp_resolve_t resolves[16];
  size_t resolve_count;
  int64_t now_ns, deadline_ns;
  bool no_ipv6;
  int descriptors;      // still free; -1: no limit
  int listen_errors[8]; // of the next calls of listen, in order; 0 for none
  size_t listen_error_count, listens;
  int connect_error; // of the next call of connect, once
  const char *connect_syscall;
  int adopt_error; // of all
  int take_error;  // of all that come from another network
  trp_fd_kind_t adopt_kind;
  uint16_t next_port;
  // How often they were called.
  size_t wants, reads, writes, accepts;
} fake_network_t;

void fake_network_start(fake_network_t *network);
void fake_network_stop(fake_network_t *network); // fails the test if a handle is open

/// Tells everybody what is ready, once.
void fake_network_turn(fake_network_t *network);

/// Lets time pass, and the timer go off if its time comes.
void fake_network_pass(fake_network_t *network, int64_t ms);

/// The handle made as the k-th, from 0; negative: counted from the last, -1.
trp_handle_t *fake_handle(fake_network_t *network, int k);
size_t fake_open_handles(const fake_network_t *network);

void fake_arrives(trp_handle_t *handle, const char *text);
void fake_arrives_much(trp_handle_t *handle, size_t length); // a pattern: byte k is k % 251

/// `count` connections wait at a listener.
void fake_knock(trp_handle_t *listener, unsigned count, const char *ip);

/// The k-th look-up ends, with an error or with addresses: IP literals, NULL behind the last.
void fake_resolved(fake_network_t *network, int k, int error, const char *const *ips);

/// Connections that one network has let go and no other has taken.
size_t fake_parted(void);

troupe_address_t fake_address(const char *ip, int port);

#endif
