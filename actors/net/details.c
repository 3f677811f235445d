#include "actors/net/details.h"

#include <string.h>

#include "core/net/ip.h"

static const char *put_address_text(trp_out_t *out, const troupe_address_t *address);

Troupe__Wire__Error *trp_put_error(trp_out_t *out, const trp_failure_t *failure) {
  Troupe__Wire__Error *error = trp_out_take(out, sizeof *error);
  if (error == NULL) {
    return NULL;
  }
  *error = (Troupe__Wire__Error)TROUPE__WIRE__ERROR__INIT;
  error->code = failure->code;
  error->port = failure->port;
  if (failure->syscall != NULL) {
    error->syscall = (char *)failure->syscall; // a literal: outlives the batch
  }
  if (failure->text != NULL) {
    error->address = trp_out_text(out, failure->text);
  } else if (failure->address != NULL) {
    error->address = (char *)put_address_text(out, failure->address);
    if (error->port == 0) {
      error->port = failure->address->port;
    }
  }
  if (failure->local != NULL) {
    error->has_local = true;
    error->local_address = (char *)put_address_text(out, failure->local);
    error->local_port = failure->local->port;
  }
  if (error->address == NULL || error->local_address == NULL) {
    return NULL;
  }
  if (failure->part_count > 0) {
    error->errors = trp_out_take(out, failure->part_count * sizeof(Troupe__Wire__Error *));
    if (error->errors == NULL) {
      return NULL;
    }
    for (size_t i = 0; i < failure->part_count; i++) {
      error->errors[i] = trp_put_error(out, failure->parts[i]);
      if (error->errors[i] == NULL) {
        return NULL;
      }
    }
    error->n_errors = failure->part_count;
  }
  return error;
}

troupe_address_t trp_any_address(uint8_t family, uint16_t port) {
  return (troupe_address_t){.family = family, .port = port};
}

bool trp_same_address(const troupe_address_t *a, const troupe_address_t *b) {
  if (a->family != b->family) {
    return false;
  }
  if (a->family == TROUPE_FAMILY_UNIX) {
    return a->path_length == b->path_length && memcmp(a->path, b->path, a->path_length) == 0;
  }
  return a->port == b->port && a->scope_id == b->scope_id &&
         memcmp(a->bytes, b->bytes, trp_ip_size(a->family)) == 0;
}

uint64_t trp_ip_hash(const uint8_t bytes[16]) {
  uint64_t high, low;
  memcpy(&high, bytes, sizeof high);
  memcpy(&low, bytes + sizeof high, sizeof low);
  uint64_t hash = (high ^ (low * UINT64_C(0x9E3779B97F4A7C15))) * UINT64_C(0xBF58476D1CE4E5B9);
  return hash ^ (hash >> 29);
}

static const char *put_address_text(trp_out_t *out, const troupe_address_t *address) {
  char text[TROUPE_ADDRESS_TEXT_SIZE];
  troupe_address_text(address, text, sizeof text);
  return trp_out_text(out, text);
}

bool trp_put_credentials(trp_out_t *out, trp_transport_t *transport, trp_handle_t *handle,
                         Troupe__Wire__Credentials **wire) {
  trp_credentials_t credentials;
  *wire = NULL;
  if (transport->ops->credentials == NULL ||
      transport->ops->credentials(transport, handle, &credentials) != 0) {
    return true;
  }
  *wire = trp_out_take(out, sizeof **wire);
  if (*wire == NULL) {
    return false;
  }
  **wire = (Troupe__Wire__Credentials)TROUPE__WIRE__CREDENTIALS__INIT;
  (*wire)->pid = credentials.pid;
  (*wire)->uid = credentials.uid;
  (*wire)->gid = credentials.gid;
  return true;
}
