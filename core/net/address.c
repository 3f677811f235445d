/// Texts of addresses, read and written: <troupe/address.h>.
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <troupe/address.h>

#include "core/actor/actor.h"
#include "core/trace/calls.h"

_Static_assert(IF_NAMESIZE + INET6_ADDRSTRLEN < TROUPE_ADDRESS_TEXT_SIZE, "an IPv6 text fits");
_Static_assert(TROUPE_PATH_MAX < TROUPE_ADDRESS_TEXT_SIZE, "a path fits");

static uint32_t index_of(const char *interface);
static bool read_zone(const char *zone, uint32_t *scope_id);
static size_t cut(char *text, size_t size, const char *from, size_t length);
static size_t path_length(const troupe_address_t *address);

int troupe_address_parse(troupe_address_t *address, const char *text, size_t length,
                         uint16_t port) {
  char copy[TROUPE_ADDRESS_TEXT_SIZE];
  if (address == NULL || text == NULL || length >= sizeof copy ||
      memchr(text, '\0', length) != NULL) {
    return TROUPE_ERR_INVALID_ADDRESS;
  }
  memcpy(copy, text, length);
  copy[length] = '\0';
  troupe_address_t parsed = {.port = port};
  if (inet_pton(AF_INET, copy, parsed.bytes) == 1) {
    parsed.family = TROUPE_FAMILY_IPV4;
    *address = parsed;
    return 0;
  }
  char *zone = strchr(copy, '%');
  if (zone != NULL) {
    *zone++ = '\0';
    if (!read_zone(zone, &parsed.scope_id)) {
      return TROUPE_ERR_INVALID_ADDRESS;
    }
  }
  if (inet_pton(AF_INET6, copy, parsed.bytes) != 1) {
    return TROUPE_ERR_INVALID_ADDRESS;
  }
  parsed.family = TROUPE_FAMILY_IPV6;
  *address = parsed;
  return 0;
}

/// The characters that Node allows in a zone. An interface that is not there leaves the scope 0, as
/// in Node: the kernel then refuses a link-local address.
static bool read_zone(const char *zone, uint32_t *scope_id) {
  static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:";
  size_t length = strlen(zone);
  if (length == 0 || strspn(zone, allowed) != length) {
    return false;
  }
  *scope_id = index_of(zone);
  if (*scope_id == 0 && length <= 9 && strspn(zone, allowed) == strspn(zone, "0123456789")) {
    for (size_t i = 0; i < length; i++) {
      *scope_id = *scope_id * 10 + (uint32_t)(zone[i] - '0');
    }
  }
  return true;
}

/// 0: there is no such interface. In an actor the answer is in its trace: the machine that replays
/// may have other ones.
static uint32_t index_of(const char *interface) {
  trp_actor_t *actor = trp_actor_current();
  int64_t index = 0;
  if (actor != NULL && trp_actor_recall(actor, TRP_CALL_SCOPE, &index)) {
    return index < 0 ? 0 : (uint32_t)index;
  }
  index = if_nametoindex(interface);
  if (actor != NULL) {
    trp_actor_called(actor, TRP_CALL_SCOPE, index);
  }
  return (uint32_t)index;
}

int troupe_address_path(troupe_address_t *address, const char *path, size_t length) {
  if (address == NULL || path == NULL || length == 0) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  if (length > TROUPE_PATH_MAX) {
    return TROUPE_ENAMETOOLONG;
  }
  if (memchr(path + 1, '\0', length - 1) != NULL) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  *address = (troupe_address_t){.family = TROUPE_FAMILY_UNIX, .path_length = (uint8_t)length};
  memcpy(address->path, path, length);
  return 0;
}

size_t troupe_address_text(const troupe_address_t *address, char *text, size_t size) {
  char whole[TROUPE_ADDRESS_TEXT_SIZE];
  switch (address == NULL ? TROUPE_FAMILY_NONE : address->family) {
  case TROUPE_FAMILY_IPV4:
    inet_ntop(AF_INET, address->bytes, whole, sizeof whole);
    break;
  case TROUPE_FAMILY_IPV6:
    inet_ntop(AF_INET6, address->bytes, whole, sizeof whole);
    if (address->scope_id != 0) {
      size_t used = strlen(whole);
      char name[IF_NAMESIZE];
      if (if_indextoname(address->scope_id, name) != NULL) {
        snprintf(whole + used, sizeof whole - used, "%%%s", name);
      } else {
        snprintf(whole + used, sizeof whole - used, "%%%u", (unsigned)address->scope_id);
      }
    }
    break;
  case TROUPE_FAMILY_UNIX: {
    size_t length = cut(text, size, address->path, path_length(address));
    if (length > 0 && text[0] == '\0') {
      text[0] = '@';
    }
    return length;
  }
  default:
    whole[0] = '\0';
    break;
  }
  return cut(text, size, whole, strlen(whole));
}

static size_t cut(char *text, size_t size, const char *from, size_t length) {
  if (size == 0 || text == NULL) {
    return 0;
  }
  if (length >= size) {
    length = size - 1;
  }
  memcpy(text, from, length);
  text[length] = '\0';
  return length;
}

bool troupe_address_equal(const troupe_address_t *a, const troupe_address_t *b) {
  static const troupe_address_t none;
  a = a == NULL ? &none : a;
  b = b == NULL ? &none : b;
  if (a->family != b->family) {
    return false;
  }
  switch (a->family) {
  case TROUPE_FAMILY_IPV4:
    return a->port == b->port && memcmp(a->bytes, b->bytes, 4) == 0;
  case TROUPE_FAMILY_IPV6:
    return a->port == b->port && memcmp(a->bytes, b->bytes, 16) == 0 &&
           a->scope_id == b->scope_id && a->flowlabel == b->flowlabel;
  case TROUPE_FAMILY_UNIX:
    return a->path_length == b->path_length && memcmp(a->path, b->path, path_length(a)) == 0;
  default:
    return true;
  }
}

/// Of an address that was made by hand it may be longer than the path can be.
static size_t path_length(const troupe_address_t *address) {
  return address->path_length <= TROUPE_PATH_MAX ? address->path_length : (size_t)TROUPE_PATH_MAX;
}
