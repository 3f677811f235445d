// Addresses and the start of a connection: see target.h.

#include "bench/load/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/load/process.h"

static void parse_path(load_target_t *target);
static void parse_host_and_port(load_target_t *target);
static bool is_ipv4_loopback(const load_target_t *target);
static int leave_from(int fd, uint32_t source);

void load_target_parse(load_target_t *target, const char *text, uint32_t sources) {
  memset(target, 0, sizeof *target);
  target->text = text;
  target->sources = sources > 0 ? sources : 1;
  if (strchr(text, '/') != NULL) {
    parse_path(target);
  } else {
    parse_host_and_port(target);
  }
  if (target->sources > 1 && !is_ipv4_loopback(target)) {
    target->sources = 1;
  }
}

int load_target_connect(const load_target_t *target, uint64_t serial) {
  int family = target->address.ss_family;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -errno;
  }
  int error = 0;
  if (family != AF_UNIX) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (target->sources > 1) {
    error = leave_from(fd, (uint32_t)(serial % target->sources));
  }
  if (error == 0 && connect(fd, (const struct sockaddr *)&target->address, target->length) != 0 &&
      errno != EINPROGRESS) {
    error = -errno;
  }
  if (error != 0) {
    close(fd);
    return error;
  }
  return fd;
}

static void parse_path(load_target_t *target) {
  struct sockaddr_un *address = (struct sockaddr_un *)&target->address;
  size_t length = strlen(target->text);
  if (length >= sizeof address->sun_path) {
    load_die("the path %s is longer than a Unix address can be (%zu bytes)", target->text,
             sizeof address->sun_path - 1);
  }
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, target->text, length + 1);
  target->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

static void parse_host_and_port(load_target_t *target) {
  const char *colon = strrchr(target->text, ':');
  if (colon == NULL || colon == target->text || colon[1] == '\0') {
    load_die("%s is not HOST:PORT", target->text);
  }
  const char *start = target->text;
  const char *end = colon;
  if (*start == '[' && end[-1] == ']') {
    start++;
    end--;
  }
  char host[256];
  int written = snprintf(host, sizeof host, "%.*s", (int)(end - start), start);
  if (written <= 0 || (size_t)written >= sizeof host) {
    load_die("%s: the host has no sensible length", target->text);
  }
  struct addrinfo hints = {
      .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(host, colon + 1, &hints, &found);
  if (error != 0) {
    load_die("%s: %s", target->text, gai_strerror(error));
  }
  memcpy(&target->address, found->ai_addr, found->ai_addrlen);
  target->length = found->ai_addrlen;
  freeaddrinfo(found);
}

static bool is_ipv4_loopback(const load_target_t *target) {
  const struct sockaddr_in *address = (const struct sockaddr_in *)&target->address;
  return address->sin_family == AF_INET && ntohl(address->sin_addr.s_addr) >> 24 == 127;
}

// The side that closes first keeps its port for a minute. One address has 28,000 ports to give;
// thousands of connections per second need more addresses, and all of 127.0.0.0/8 is ours.
static int leave_from(int fd, uint32_t source) {
  int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK + source)}};
  return bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
}
