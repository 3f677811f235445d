#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <troupe/troupe.h>
#include <unistd.h>

#include "bench/scaling/scaling.h"

enum { SOURCES = 32, SLEEP_MS = 100, BACKLOG = 4096 };

static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  service_t *service = context;
  if (troupe_actor_index() == 0 && atomic_load(&service->sleeps)) {
    sleep_ms(SLEEP_MS);
  }
  char answer[65536];
  size_t length = troupe_chunk_length(chunk);
  length = length < sizeof answer ? length : sizeof answer;
  memset(answer, (int)troupe_actor_index(), length);
  troupe_socket_write(socket, answer, length, NULL, NULL);
}

static void on_close(troupe_socket_t socket, bool had_error, void *context) {
  service_t *service = context;
  (void)socket;
  (void)had_error;
  atomic_fetch_sub(&service->open[troupe_actor_index()], 1);
}

static void on_connection(troupe_server_t server, troupe_socket_t socket, void *context) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data, .on_close = on_close};
  service_t *service = context;
  (void)server;
  troupe_socket_set_handlers(socket, &handlers, service);
  atomic_fetch_add(&service->open[troupe_actor_index()], 1);
  atomic_fetch_add(&service->served[troupe_actor_index()], 1);
}

static int serving_actor(void *argument) {
  static const troupe_server_handlers_t handlers = {.on_connection = on_connection};
  service_t *service = argument;
  troupe_server_t server;
  troupe_address_t address = {0};
  const troupe_listen_options_t listen = {
      .host = "127.0.0.1", .backlog = BACKLOG, .policy = service->policy};
  int error = troupe_server_new(&(troupe_server_options_t){.no_delay = TROUPE_ON}, &handlers,
                                service, &server);
  if (error == 0) {
    error = troupe_server_listen(server, &listen);
  }
  if (error == 0) {
    error = troupe_server_listen_wait(server, 10000);
  }
  if (error == 0) {
    error = troupe_server_address(server, &address);
  }
  if (error == 0 && troupe_actor_index() + 1 == service->actors) {
    atomic_store(&service->port, address.port);
  }
  return error < 0 ? error : troupe_actor_run();
}

static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

_Noreturn static void be_the_service(service_t *service) {
  troupe_system_t *system = NULL;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const troupe_system_options_t options = {.io_threads = service->io_threads};
  int error = troupe_system_new(&options, &system);
  if (error == 0) {
    troupe_spawn_options_t spawn = {
        .name = "serving", .main = serving_actor, .argument = service, .copies = service->actors};
    error = troupe_spawn(system, &spawn, NULL);
  }
  if (error < 0) {
    atomic_store(&service->port, error);
    _exit(1);
  }
  for (;;) {
    pause();
  }
}

process_t service_start(unsigned actors, unsigned io_threads, troupe_policy_t policy) {
  process_t process = {0};
  service_t *service = mmap(NULL, sizeof *service, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (service == MAP_FAILED) {
    give_up("mmap");
  }
  service->actors = actors;
  service->io_threads = io_threads;
  service->policy = policy;
  raise_file_limit();
  fflush(stdout);
  process.service = service;
  process.pid = fork();
  if (process.pid < 0) {
    give_up("fork");
  }
  if (process.pid == 0) {
    be_the_service(service);
  }
  while (atomic_load(&service->port) == 0) {
    sleep_ms(1);
  }
  if (atomic_load(&service->port) < 0) {
    fprintf(stderr, "the service: %s\n", troupe_error_message(atomic_load(&service->port)));
    exit(1);
  }
  return process;
}

void service_stop(process_t *process) {
  kill(process->pid, SIGKILL);
  waitpid(process->pid, NULL, 0);
  munmap(process->service, sizeof *process->service);
}

int service_connect(const process_t *process) {
  static unsigned next;
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(0x7f000001U + next++ % SOURCES)};
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)atomic_load(&process->service->port)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0 ||
      bind(fd, (const struct sockaddr *)&from, sizeof from) != 0 ||
      connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
    give_up("connect");
  }
  return fd;
}

void send_all(int fd, const void *bytes, size_t length) {
  for (size_t sent = 0; sent < length;) {
    ssize_t n = send(fd, (const char *)bytes + sent, length - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR) {
      give_up("send");
    }
    sent += n > 0 ? (size_t)n : 0;
  }
}

void receive_all(int fd, void *bytes, size_t length) {
  for (size_t got = 0; got < length;) {
    ssize_t n = recv(fd, (char *)bytes + got, length - got, 0);
    if (n == 0 || (n < 0 && errno != EINTR)) {
      give_up("recv");
    }
    got += n > 0 ? (size_t)n : 0;
  }
}

int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void sleep_ms(int64_t ms) {
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

void give_up(const char *what) {
  fprintf(stderr, "bench/scaling: %s: %s\n", what, strerror(errno));
  exit(1);
}
