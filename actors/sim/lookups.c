/// Names, and what they are found to be.
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "actors/sim/network.h"

#define MS INT64_C(1000000)

static void add_addresses(trp_resolve_t *request, const char *literals, uint16_t port, int family) {
  while (*literals != '\0') {
    size_t length = strcspn(literals, " ");
    troupe_address_t address = {0};
    if (request->count < sizeof request->addresses / sizeof *request->addresses &&
        troupe_address_parse(&address, literals, length, port) == 0 &&
        (family == 0 || address.family == family)) {
      request->addresses[request->count++] = address;
    }
    literals += length;
    literals += strspn(literals, " ");
  }
}

static void find(const trp_network_t *network, const char *host, uint16_t port, int family,
                 trp_resolve_t *request) {
  bool named = false;
  for (size_t i = 0; i < network->host_count; i++) {
    if (strcmp(host, network->hosts[i].name) == 0) {
      named = true;
      add_addresses(request, network->hosts[i].addresses, port, family);
    }
  }
  if (!named && strcmp(host, "localhost") == 0) {
    add_addresses(request, "::1 127.0.0.1", port, family);
  }
}

int trp_network_resolve(trp_network_t *network, trp_transport_t *transport, const char *host,
                        uint16_t port, int family, void *owner, trp_resolve_t **request) {
  trp_resolve_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    network->no_memory = true;
    return TROUPE_ENOMEM;
  }
  made->transport = transport;
  made->owner = owner;
  made->due_ns = network->now_ns + (int64_t)trp_dice_scale(network->dice, 50000, 5000000);
  if (trp_fault(network->faults, TRP_FAULT_LOOKUP_DELAY)) {
    made->due_ns += (int64_t)trp_dice_scale(network->dice, 1, 10000) * MS;
  }
  if (trp_fault(network->faults, TRP_FAULT_LOOKUP_FAILS)) {
    made->error = trp_dice_below(network->dice, 2) == 0 ? (int)TROUPE_ENOTFOUND
                                                        : (int)TROUPE_EAI_AGAIN;
  } else {
    find(network, host, port, family, made);
  }
  if (made->error == 0 && made->count == 0) {
    made->error = TROUPE_ENOTFOUND;
  }
  trp_list_append(&network->resolves, &made->in_network);
  *request = made;
  return 0;
}

void trp_network_cancel(trp_resolve_t *request) {
  trp_list_remove(&request->in_network);
  free(request);
}
