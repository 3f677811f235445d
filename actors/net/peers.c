#include "actors/net/peers.h"

#include <stdlib.h>
#include <string.h>

#include "actors/net/details.h"
#include "core/net/ip.h"

static trp_peer_t *find(const trp_peers_t *peers, const uint8_t key[16]);

bool trp_peer_key(const troupe_address_t *address, unsigned prefix, uint8_t key[16]) {
  if (trp_ip_from_address(address, key) == 0) {
    return false;
  }
  if (prefix == 0 || prefix >= 128 || trp_ip_is_mapped(key)) {
    return true;
  }
  if (prefix % 8 != 0) {
    key[prefix / 8] &= (uint8_t)(0xff00U >> (prefix % 8));
  }
  size_t whole = (prefix + 7) / 8;
  memset(key + whole, 0, 16 - whole);
  return true;
}

uint32_t trp_peers_count(const trp_peers_t *peers, const uint8_t key[16]) {
  const trp_peer_t *peer = find(peers, key);
  return peer == NULL ? 0 : peer->count;
}

trp_peer_t *trp_peers_add(trp_peers_t *peers, const uint8_t key[16]) {
  trp_peer_t *peer = find(peers, key);
  if (peer == NULL) {
    peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
      return NULL;
    }
    uint64_t hash = trp_ip_hash(key);
    memcpy(peer->key, key, sizeof peer->key);
    peer->next = trp_map_get(&peers->map, hash);
    if (trp_map_put(&peers->map, hash, peer) != 0) {
      free(peer);
      return NULL;
    }
  }
  peer->count++;
  return peer;
}

void trp_peers_remove(trp_peers_t *peers, trp_peer_t *peer) {
  if (--peer->count > 0) {
    return;
  }
  uint64_t hash = trp_ip_hash(peer->key);
  trp_peer_t *first = trp_map_get(&peers->map, hash);
  if (first == peer) {
    if (peer->next == NULL) {
      trp_map_remove(&peers->map, hash);
    } else {
      (void)trp_map_put(&peers->map, hash, peer->next); // replaces: cannot fail
    }
  } else {
    while (first->next != peer) {
      first = first->next;
    }
    first->next = peer->next;
  }
  free(peer);
}

void trp_peers_free(trp_peers_t *peers) {
  size_t cursor = 0;
  void *value;
  while (trp_map_iterate(&peers->map, &cursor, NULL, &value)) {
    for (trp_peer_t *peer = value; peer != NULL;) {
      trp_peer_t *next = peer->next;
      free(peer);
      peer = next;
    }
  }
  trp_map_free(&peers->map);
}

static trp_peer_t *find(const trp_peers_t *peers, const uint8_t key[16]) {
  trp_peer_t *peer = trp_map_get(&peers->map, trp_ip_hash(key));
  while (peer != NULL && memcmp(peer->key, key, sizeof peer->key) != 0) {
    peer = peer->next;
  }
  return peer;
}
