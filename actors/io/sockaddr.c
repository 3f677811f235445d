/// Addresses in the kernel's form and in ours.
#include "actors/io/sockaddr.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static const size_t path_offset = offsetof(struct sockaddr_un, sun_path);

_Static_assert(TROUPE_PATH_MAX == sizeof(((struct sockaddr_un *)0)->sun_path),
               "a path fills the kernel's address to the last byte");

static socklen_t make_ipv4(const troupe_address_t *from, struct sockaddr_storage *to) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(from->port)};
  memcpy(&in.sin_addr, from->bytes, sizeof in.sin_addr);
  memcpy(to, &in, sizeof in);
  return sizeof in;
}

static socklen_t make_ipv6(const troupe_address_t *from, struct sockaddr_storage *to) {
  struct sockaddr_in6 in = {.sin6_family = AF_INET6,
                            .sin6_port = htons(from->port),
                            .sin6_flowinfo = htonl(from->flowlabel),
                            .sin6_scope_id = from->scope_id};
  memcpy(&in.sin6_addr, from->bytes, sizeof in.sin6_addr);
  memcpy(to, &in, sizeof in);
  return sizeof in;
}

static socklen_t make_unix(const troupe_address_t *from, struct sockaddr_storage *to) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  size_t length = from->path_length;
  memcpy(un.sun_path, from->path, length);
  if (length > 0 && from->path[0] != '\0' && length < sizeof un.sun_path) {
    length++;
  }
  memcpy(to, &un, sizeof un);
  return (socklen_t)(path_offset + length);
}

socklen_t trp_sockaddr_make(const troupe_address_t *from, struct sockaddr_storage *to) {
  memset(to, 0, sizeof *to);
  switch (from->family) {
  case TROUPE_FAMILY_IPV4:
    return make_ipv4(from, to);
  case TROUPE_FAMILY_IPV6:
    return make_ipv6(from, to);
  case TROUPE_FAMILY_UNIX:
    return make_unix(from, to);
  default:
    return 0;
  }
}

static void read_unix(const struct sockaddr_storage *from, socklen_t length, troupe_address_t *to) {
  if (length <= path_offset) {
    return;
  }
  struct sockaddr_un un;
  memcpy(&un, from, sizeof un);
  size_t size = (size_t)length - path_offset;
  if (size > sizeof un.sun_path) {
    size = sizeof un.sun_path; // of a path with 108 bytes the kernel counts a NUL that did not fit
  }
  if (un.sun_path[0] != '\0') {
    size = strnlen(un.sun_path, size);
  }
  to->family = TROUPE_FAMILY_UNIX;
  to->path_length = (uint8_t)size;
  memcpy(to->path, un.sun_path, size);
}

void trp_sockaddr_read(const struct sockaddr_storage *from, socklen_t length,
                       troupe_address_t *to) {
  memset(to, 0, sizeof *to);
  if (length < sizeof from->ss_family) {
    return;
  }
  if (from->ss_family == AF_INET) {
    struct sockaddr_in in;
    memcpy(&in, from, sizeof in);
    to->family = TROUPE_FAMILY_IPV4;
    to->port = ntohs(in.sin_port);
    memcpy(to->bytes, &in.sin_addr, sizeof in.sin_addr);
  } else if (from->ss_family == AF_INET6) {
    struct sockaddr_in6 in;
    memcpy(&in, from, sizeof in);
    to->family = TROUPE_FAMILY_IPV6;
    to->port = ntohs(in.sin6_port);
    to->flowlabel = ntohl(in.sin6_flowinfo);
    to->scope_id = in.sin6_scope_id;
    memcpy(to->bytes, &in.sin6_addr, sizeof in.sin6_addr);
  } else if (from->ss_family == AF_UNIX) {
    read_unix(from, length, to);
  }
}

int trp_sockaddr_family(const troupe_address_t *address) {
  switch (address->family) {
  case TROUPE_FAMILY_IPV4:
    return AF_INET;
  case TROUPE_FAMILY_IPV6:
    return AF_INET6;
  case TROUPE_FAMILY_UNIX:
    return AF_UNIX;
  default:
    return AF_UNSPEC;
  }
}
