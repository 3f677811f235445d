// A peer with plain blocking sockets, for what neither Node nor troupe would do by itself; and the
// launcher that hands descriptors to both players.
//
//   peer SCRIPT              plays a script, such as "connect 127.0.0.1 80; send hello; fin; eof"
//   peer launch COMMAND...   makes descriptors, tells of them in the environment, runs the command
//
// A script's steps, of which each prints a line when it is done:
//   connect HOST PORT   unix PATH        a connection
//   listen HOST PORT    accept           a server; it prints "port N" first
//   full HOST PORT                       a server whose queue is full: who connects waits
//   reserve                              a port that is free on all addresses, and stays so for
//                                        those who listen; it prints "port N" first
//   send N | TEXT       receive N        bytes of the pattern, or a text
//   eof                                  reads to the end, or to the error
//   stuffed                              waits until what it does not read blocks the other side
//   fin   reset   close                  ends its side; closes with RST; closes
//   wait                                 for a line on the standard input

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  LIMIT_S = 10,      // then the peer ends, whatever it waits for
  FULL_ATTEMPTS = 8, // more than any queue of length 0 takes
  FULL_WAIT_MS = 100,
  SETS = 8, // of descriptors
  PATTERN_SIZE = 65521,
  STUFFED_LOOKS = 10, // so often in a row as many bytes wait as before
  STUFFED_WAIT_MS = 20,
};

typedef struct {
  struct sockaddr_storage storage;
  socklen_t length;
} address_t;

typedef struct {
  int listener;
  int fd;
  size_t offset; // of the pattern
} peer_t;

static int play(const char *script);
static int launch(char **command);

int main(int argc, char **argv) {
  if (argc >= 3 && strcmp(argv[1], "launch") == 0) {
    return launch(argv + 2);
  }
  if (argc != 2) {
    fprintf(stderr, "usage: peer SCRIPT | peer launch COMMAND...\n");
    return 2;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  (void)alarm(LIMIT_S);
  return play(argv[1]);
}

// ---- Scripts ----

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vprintf(format, arguments);
  va_end(arguments);
  (void)putchar('\n');
  (void)fflush(stdout);
}

static void say_error(const char *step) {
  say("%s failed: %s", step, strerrorname_np(errno));
}

static bool parse_address(address_t *address, const char *host, const char *port) {
  memset(address, 0, sizeof *address);
  struct sockaddr_in *v4 = (struct sockaddr_in *)&address->storage;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->storage;
  uint16_t number = htons((uint16_t)atoi(port));
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = number;
    address->length = sizeof *v4;
    return true;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = number;
    address->length = sizeof *v6;
    return true;
  }
  return false;
}

static int connect_to(const address_t *address) {
  int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

static int listen_on(address_t *address, int backlog) {
  int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (const struct sockaddr *)&address->storage, address->length) != 0 ||
      listen(fd, backlog) != 0 ||
      getsockname(fd, (struct sockaddr *)&address->storage, &address->length) != 0) {
    return -1;
  }
  say("port %u", ntohs(((struct sockaddr_in *)&address->storage)->sin_port));
  return fd;
}

// Who binds a port of the kernel's choice, or connects, does not get this one.
static int reserve(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (const struct sockaddr *)&address, length) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
    return -1;
  }
  say("port %u", ntohs(address.sin_port));
  return fd;
}

// Connects until the kernel leaves an attempt unanswered. The descriptors stay open on purpose.
static bool fill(const address_t *address) {
  for (int i = 0; i < FULL_ATTEMPTS; i++) {
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
      return false;
    }
    (void)connect(fd, (const struct sockaddr *)&address->storage, address->length);
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    if (poll(&wanted, 1, FULL_WAIT_MS) == 0) {
      return true;
    }
  }
  errno = EMFILE;
  return false;
}

static bool send_bytes(peer_t *peer, const char *what) {
  size_t length = strlen(what);
  char *bytes = strdup(what);
  if (length > 0 && strspn(what, "0123456789") == length) {
    length = (size_t)atol(what);
    free(bytes);
    bytes = malloc(length + 1);
    for (size_t i = 0; bytes != NULL && i < length; i++) {
      size_t at = (peer->offset + i) % PATTERN_SIZE;
      bytes[i] = (char)(33 + (at * 31 + at / 89) % 93); // as the players do it
    }
    peer->offset += length;
  }
  bool sent = bytes != NULL;
  for (size_t done = 0; sent && done < length;) {
    ssize_t count = write(peer->fd, bytes + done, length - done);
    sent = count > 0;
    done += count > 0 ? (size_t)count : 0;
  }
  free(bytes);
  return sent;
}

static void receive(const peer_t *peer, size_t wanted) {
  uint32_t hash = 2166136261U;
  char text[41] = "";
  for (size_t done = 0; done < wanted;) {
    unsigned char bytes[65536];
    size_t most = wanted - done < sizeof bytes ? wanted - done : sizeof bytes;
    ssize_t count = read(peer->fd, bytes, most);
    if (count <= 0) {
      say("received %s", count == 0 ? "end" : strerrorname_np(errno));
      return;
    }
    for (ssize_t i = 0; i < count; i++) {
      hash = (hash ^ bytes[i]) * 16777619U;
      if (done < sizeof text - 1) {
        text[done] = (char)bytes[i];
      }
      done++;
    }
  }
  if (wanted < sizeof text) {
    say("received %zu \"%.*s\"", wanted, (int)wanted, text);
  } else {
    say("received %zu %08x", wanted, hash);
  }
}

static void read_to_end(const peer_t *peer) {
  char bytes[65536];
  for (;;) {
    ssize_t count = read(peer->fd, bytes, sizeof bytes);
    if (count <= 0) {
      say("eof %s", count == 0 ? "FIN" : strerrorname_np(errno));
      return;
    }
  }
}

static void wait_until_stuffed(const peer_t *peer) {
  int before = 0;
  for (int same = 0; same < STUFFED_LOOKS;) {
    int waiting = 0;
    (void)ioctl(peer->fd, FIONREAD, &waiting);
    same = waiting > 0 && waiting == before ? same + 1 : 0;
    before = waiting;
    (void)poll(NULL, 0, STUFFED_WAIT_MS);
  }
}

static void close_fd(peer_t *peer, bool reset) {
  if (reset) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  }
  (void)close(peer->fd);
  peer->fd = -1;
}

static bool step(peer_t *peer, const char *verb, const char *first, const char *second) {
  address_t address;
  if (strcmp(verb, "connect") == 0) {
    peer->fd = parse_address(&address, first, second) ? connect_to(&address) : -1;
    if (peer->fd < 0) {
      return false;
    }
    say("connected");
  } else if (strcmp(verb, "unix") == 0) {
    struct sockaddr_un *local = (struct sockaddr_un *)&address.storage;
    memset(&address, 0, sizeof address);
    local->sun_family = AF_UNIX;
    (void)snprintf(local->sun_path, sizeof local->sun_path, "%s", first);
    address.length = sizeof *local;
    peer->fd = connect_to(&address);
    if (peer->fd < 0) {
      return false;
    }
    say("connected");
  } else if (strcmp(verb, "listen") == 0 || strcmp(verb, "full") == 0) {
    bool full = verb[0] == 'f';
    peer->listener = parse_address(&address, first, second) ? listen_on(&address, full ? 0 : 16)
                                                            : -1;
    if (peer->listener < 0 || (full && !fill(&address))) {
      return false;
    }
    say(full ? "full" : "listening");
  } else if (strcmp(verb, "reserve") == 0) {
    peer->fd = reserve();
    if (peer->fd < 0) {
      return false;
    }
    say("reserved");
  } else if (strcmp(verb, "accept") == 0) {
    peer->fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer->fd < 0) {
      return false;
    }
    say("accepted");
  } else if (strcmp(verb, "send") == 0) {
    if (!send_bytes(peer, first)) {
      return false;
    }
    say("sent %s", first);
  } else if (strcmp(verb, "receive") == 0) {
    receive(peer, (size_t)atol(first));
  } else if (strcmp(verb, "eof") == 0) {
    read_to_end(peer);
  } else if (strcmp(verb, "stuffed") == 0) {
    wait_until_stuffed(peer);
  } else if (strcmp(verb, "fin") == 0) {
    if (shutdown(peer->fd, SHUT_WR) != 0) {
      return false;
    }
    say("fin");
  } else if (strcmp(verb, "reset") == 0 || strcmp(verb, "close") == 0) {
    close_fd(peer, verb[0] == 'r');
    say("%s", verb);
  } else if (strcmp(verb, "wait") == 0) {
    char line[16];
    if (fgets(line, sizeof line, stdin) == NULL) {
      return false;
    }
  } else {
    errno = EINVAL;
    return false;
  }
  return true;
}

static int play(const char *script) {
  peer_t peer = {.listener = -1, .fd = -1};
  char *copy = strdup(script);
  char *rest = copy;
  for (char *text = strsep(&rest, ";"); text != NULL; text = strsep(&rest, ";")) {
    char verb[16] = "";
    char first[108] = "";
    char second[16] = "";
    if (sscanf(text, "%15s %107s %15s", verb, first, second) >= 1 &&
        !step(&peer, verb, first, second)) {
      say_error(verb);
      break;
    }
  }
  free(copy);
  return 0;
}

// ---- The launcher ----

static bool ipv6_is_there(void) {
  address_t address;
  (void)parse_address(&address, "::1", "0");
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool there = fd >= 0 && bind(fd, (struct sockaddr *)&address.storage, address.length) == 0;
  if (fd >= 0) {
    (void)close(fd);
  }
  return there;
}

static int tcp_listener(bool listening, address_t *address) {
  (void)parse_address(address, "127.0.0.1", "0");
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address->storage, address->length) != 0 ||
      (listening && listen(fd, 16) != 0) ||
      getsockname(fd, (struct sockaddr *)&address->storage, &address->length) != 0) {
    return -1;
  }
  return fd;
}

static bool tcp_pair(int pair[2]) {
  address_t address;
  int listener = tcp_listener(true, &address);
  pair[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || pair[0] < 0 ||
      connect(pair[0], (struct sockaddr *)&address.storage, address.length) != 0) {
    return false;
  }
  pair[1] = accept(listener, NULL, NULL);
  (void)close(listener);
  return pair[1] >= 0;
}

// All of these descriptors are inherited by the command: none of them closes when it is executed.
static int launch(char **command) {
  char text[2048] = "";
  size_t used = 0;
  for (int i = 0; i < SETS; i++) {
    address_t address;
    int local[2];
    int tcp[2];
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, local) != 0 || !tcp_pair(tcp) || pipe(ends) != 0) {
      perror("peer: launch");
      return 1;
    }
    used += (size_t)snprintf(text + used, sizeof text - used,
                             "unix:%d:%d tcp:%d:%d pipe:%d:%d listener:%d bound:%d file:%d ",
                             local[0], local[1], tcp[0], tcp[1], ends[0], ends[1],
                             tcp_listener(true, &address), tcp_listener(false, &address),
                             open("/dev/null", O_RDWR));
  }
  (void)setenv("TROUPE_PLAY_FDS", text, 1);
  const char *io_actors = getenv("TROUPE_PLAY_IO_ACTORS");
  bool several = io_actors != NULL && strcmp(io_actors, "1") != 0;
  char has[64];
  snprintf(has, sizeof has, "%s %s", ipv6_is_there() ? "ipv6" : "", several ? "" : "one-io-actor");
  (void)setenv("TROUPE_PLAY_HAS", has, 1);
  (void)execvp(command[0], command);
  perror(command[0]);
  return 127;
}
