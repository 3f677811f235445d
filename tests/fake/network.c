#include "tests/fake/network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "tests/harness/harness.h"

static fake_network_t *network_of(trp_transport_t *transport) {
  return (fake_network_t *)(void *)transport;
}

static trp_handle_t *make(fake_network_t *network, fake_kind_t kind) {
  trp_handle_t *handle = NULL;
  if (network->handle_count < FAKE_HANDLES_MAX) {
    handle = &network->handles[network->handle_count++];
  } else {
    for (size_t i = 0; i < FAKE_HANDLES_MAX && handle == NULL; i++) {
      handle = network->handles[i].open ? NULL : &network->handles[i];
    }
    assert_non_null(handle);
    free(handle->input);
    free(handle->output);
  }
  *handle = (trp_handle_t){.kind = kind, .open = true, .tcp = true, .room = SIZE_MAX};
  memset(handle->options, -1, sizeof handle->options);
  if (network->descriptors > 0) {
    network->descriptors--;
  }
  return handle;
}

static int fake_listen(trp_transport_t *transport, const trp_listen_spec_t *spec,
                       trp_handle_t **handle, const char **syscall) {
  fake_network_t *network = network_of(transport);
  size_t call = network->listens++;
  *syscall = "listen";
  if (call < network->listen_error_count && network->listen_errors[call] != 0) {
    return network->listen_errors[call];
  }
  trp_handle_t *made = make(network, FAKE_LISTENER);
  made->local = spec->address;
  made->tcp = spec->address.family != TROUPE_FAMILY_UNIX;
  if (made->tcp && made->local.port == 0) {
    made->local.port = network->next_port++;
  }
  *handle = made;
  return 0;
}

static int fake_adopt(trp_transport_t *transport, int fd, trp_fd_kind_t *kind,
                      trp_handle_t **handle) {
  fake_network_t *network = network_of(transport);
  (void)fd;
  if (network->adopt_error != 0) {
    return network->adopt_error;
  }
  *kind = network->adopt_kind;
  *handle = make(network, network->adopt_kind == TRP_FD_STREAM ? FAKE_STREAM : FAKE_LISTENER);
  (*handle)->local = fake_address("127.0.0.1", 7000);
  return 0;
}

static int fake_adopt_listen(trp_transport_t *transport, trp_handle_t *handle, int backlog) {
  (void)transport;
  (void)handle;
  (void)backlog;
  return 0;
}

static int fake_accept(trp_transport_t *transport, trp_handle_t *listener,
                       trp_handle_t **connection, troupe_address_t *remote) {
  fake_network_t *network = network_of(transport);
  network->accepts++;
  if (listener->waiting == 0) {
    return -EAGAIN;
  }
  if (network->descriptors == 0) {
    return -EMFILE;
  }
  listener->waiting--;
  *connection = make(network, FAKE_STREAM);
  (*connection)->local = listener->local;
  (*connection)->remote = *remote = listener->peer;
  return 0;
}

/// What has left one network and not yet come to another, by its descriptor.
static struct {
  troupe_address_t local, remote;
  bool tcp, used;
} parted[FAKE_PARTED_MAX];

static int fake_let_go(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  assert_true(handle->open);
  assert_int_equal(handle->wanted, 0);
  int fd = 0;
  while (fd < FAKE_PARTED_MAX && parted[fd].used) {
    fd++;
  }
  assert_true(fd < FAKE_PARTED_MAX);
  parted[fd].used = true;
  parted[fd].local = handle->local;
  parted[fd].remote = handle->remote;
  parted[fd].tcp = handle->tcp;
  handle->open = false;
  return fd;
}

static int fake_take(trp_transport_t *transport, int fd, bool tcp, trp_handle_t **handle) {
  fake_network_t *network = network_of(transport);
  assert_true(fd >= 0 && fd < FAKE_PARTED_MAX && parted[fd].used);
  assert_int_equal(parted[fd].tcp, tcp);
  parted[fd].used = false;
  if (network->take_error != 0) {
    return network->take_error;
  }
  trp_handle_t *made = make(network, FAKE_STREAM);
  made->local = parted[fd].local;
  made->remote = parted[fd].remote;
  made->tcp = tcp;
  *handle = made;
  return 0;
}

size_t fake_parted(void) {
  size_t count = 0;
  for (int i = 0; i < FAKE_PARTED_MAX; i++) {
    count += parted[i].used;
  }
  return count;
}

static int fake_connect(trp_transport_t *transport, const troupe_address_t *remote,
                        const troupe_address_t *local, trp_handle_t **handle,
                        const char **syscall) {
  fake_network_t *network = network_of(transport);
  int error = network->connect_error;
  *syscall = network->connect_syscall == NULL ? "connect" : network->connect_syscall;
  network->connect_error = 0;
  if (error != 0) {
    return error;
  }
  if (network->descriptors == 0) {
    return -EMFILE;
  }
  trp_handle_t *made = make(network, FAKE_ATTEMPT);
  made->remote = *remote;
  made->tcp = remote->family != TROUPE_FAMILY_UNIX;
  made->local = local == NULL ? fake_address("127.0.0.1", 50000) : *local;
  made->connect_result = -EALREADY;
  made->wanted = TRP_WRITE;
  *handle = made;
  return 0;
}

static int fake_connected(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  assert_true(handle->open);
  if (handle->connect_result == 0) {
    handle->kind = FAKE_STREAM;
  }
  return handle->connect_result;
}

static ssize_t fake_read(trp_transport_t *transport, trp_handle_t *handle, void *bytes,
                         size_t length) {
  network_of(transport)->reads++;
  assert_true(handle->open);
  assert_true(length > 0);
  size_t left = handle->input_length - handle->input_taken;
  if (left == 0) {
    return handle->read_error != 0 ? handle->read_error : handle->fin ? 0 : -EAGAIN;
  }
  length = length < left ? length : left;
  memcpy(bytes, handle->input + handle->input_taken, length);
  handle->input_taken += length;
  return (ssize_t)length;
}

static ssize_t fake_write(trp_transport_t *transport, trp_handle_t *handle,
                          const struct iovec *parts, int count) {
  network_of(transport)->writes++;
  assert_true(handle->open);
  assert_false(handle->was_shut_down);
  if (handle->write_error != 0) {
    return handle->write_error;
  }
  if (handle->output == NULL) {
    handle->output = malloc(FAKE_OUTPUT_MAX + 1);
    assert_non_null(handle->output);
  }
  size_t taken = 0;
  for (int i = 0; i < count; i++) {
    size_t length = parts[i].iov_len < handle->room ? parts[i].iov_len : handle->room;
    assert_true(handle->output_length + length <= FAKE_OUTPUT_MAX);
    memcpy(handle->output + handle->output_length, parts[i].iov_base, length);
    handle->output_length += length;
    handle->room -= handle->room == SIZE_MAX ? 0 : length;
    taken += length;
    if (length < parts[i].iov_len) {
      break;
    }
  }
  handle->output[handle->output_length] = '\0';
  return taken == 0 ? -EAGAIN : (ssize_t)taken;
}

static int fake_shutdown(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  assert_true(handle->open);
  assert_false(handle->was_shut_down);
  handle->was_shut_down = true;
  return handle->shutdown_error;
}

static void fake_close(trp_transport_t *transport, trp_handle_t *handle) {
  fake_network_t *network = network_of(transport);
  assert_true(handle->open);
  handle->open = false;
  handle->wanted = 0;
  if (network->descriptors >= 0) {
    network->descriptors++;
  }
}

static int fake_reset(trp_transport_t *transport, trp_handle_t *handle) {
  if (!handle->tcp) {
    return TROUPE_ERR_INVALID_HANDLE_TYPE;
  }
  handle->was_reset = true;
  fake_close(transport, handle);
  return 0;
}

static int fake_error(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return handle->pending_error;
}

static int fake_want(trp_transport_t *transport, trp_handle_t *handle, unsigned mask) {
  network_of(transport)->wants++;
  assert_true(handle->open);
  assert_int_not_equal(handle->wanted, mask); // it costs a system call
  handle->wanted = mask;
  return 0;
}

static void fake_set_owner(trp_transport_t *transport, trp_handle_t *handle, void *owner) {
  (void)transport;
  handle->owner = owner;
}

static bool fake_is_tcp(trp_transport_t *transport, trp_handle_t *handle) {
  (void)transport;
  return handle->tcp;
}

static void fake_names(trp_transport_t *transport, trp_handle_t *handle, troupe_address_t *local,
                       troupe_address_t *remote) {
  (void)transport;
  assert_true(handle->open);
  if (local != NULL) {
    *local = handle->local;
  }
  if (remote != NULL) {
    *remote = handle->remote;
  }
}

static int fake_credentials(trp_transport_t *transport, trp_handle_t *handle,
                            trp_credentials_t *credentials) {
  (void)transport;
  if (handle->remote.family != TROUPE_FAMILY_UNIX) {
    return TROUPE_ENOTSUP;
  }
  *credentials = (trp_credentials_t){.pid = 7, .uid = 8, .gid = 9};
  return 0;
}

static int fake_set_option(trp_transport_t *transport, trp_handle_t *handle, trp_option_t option,
                           int value) {
  (void)transport;
  handle->options[option] = value;
  return 0;
}

static int fake_resolve(trp_transport_t *transport, const char *host, uint16_t port, int family,
                        unsigned hints, void *owner, trp_resolve_t **request) {
  fake_network_t *network = network_of(transport);
  assert_true(network->resolve_count < 16);
  trp_resolve_t *made = &network->resolves[network->resolve_count++];
  *made = (trp_resolve_t){
      .port = port, .family = family, .hints = hints, .owner = owner, .open = true};
  strncpy(made->host, host, sizeof made->host - 1);
  *request = made;
  return 0;
}

static void fake_cancel(trp_transport_t *transport, trp_resolve_t *request) {
  (void)transport;
  assert_true(request->open);
  request->open = false;
}

static int64_t fake_now(trp_transport_t *transport) {
  return network_of(transport)->now_ns;
}

static void fake_set_timer(trp_transport_t *transport, int64_t deadline_ns) {
  network_of(transport)->deadline_ns = deadline_ns;
}

static bool fake_has_ipv6(trp_transport_t *transport) {
  return !network_of(transport)->no_ipv6;
}

static const trp_transport_ops_t fake_ops = {
    .listen = fake_listen,
    .adopt = fake_adopt,
    .adopt_listen = fake_adopt_listen,
    .accept = fake_accept,
    .let_go = fake_let_go,
    .take = fake_take,
    .connect = fake_connect,
    .connected = fake_connected,
    .read = fake_read,
    .write = fake_write,
    .shutdown = fake_shutdown,
    .reset = fake_reset,
    .close = fake_close,
    .error = fake_error,
    .want = fake_want,
    .set_owner = fake_set_owner,
    .is_tcp = fake_is_tcp,
    .names = fake_names,
    .credentials = fake_credentials,
    .set_option = fake_set_option,
    .resolve = fake_resolve,
    .cancel = fake_cancel,
    .now = fake_now,
    .set_timer = fake_set_timer,
    .has_ipv6 = fake_has_ipv6,
};

void fake_network_start(fake_network_t *network) {
  *network = (fake_network_t){.base = {.ops = &fake_ops},
                              .now_ns = 1000000000,
                              .deadline_ns = TRP_NEVER,
                              .descriptors = -1,
                              .next_port = 40000};
}

void fake_network_stop(fake_network_t *network) {
  assert_int_equal(fake_open_handles(network), 0);
  for (size_t i = 0; i < network->handle_count; i++) {
    free(network->handles[i].input);
    free(network->handles[i].output);
  }
  for (size_t i = 0; i < network->resolve_count; i++) {
    assert_false(network->resolves[i].open);
  }
}

static unsigned ready_of(trp_handle_t *handle) {
  unsigned mask = 0;
  bool ends = handle->fin || handle->read_error != 0 || handle->pending_error != 0;
  switch (handle->kind) {
  case FAKE_LISTENER:
    mask = handle->waiting > 0 ? TRP_READ : 0;
    break;
  case FAKE_ATTEMPT:
    mask = handle->connect_result != -EALREADY ? TRP_WRITE : 0;
    break;
  case FAKE_STREAM:
    mask = (handle->input_taken < handle->input_length || ends ? TRP_READ : 0) |
           (handle->room > 0 || handle->write_error != 0 ? TRP_WRITE : 0) |
           (ends && !handle->hangup_told ? TRP_HANGUP : 0);
    break;
  default:
    break;
  }
  mask &= handle->wanted;
  return mask & TRP_READ && handle->read_error != 0 ? mask | TRP_BROKEN : mask;
}

void fake_network_turn(fake_network_t *network) {
  size_t count = network->handle_count;
  for (size_t i = 0; i < count; i++) {
    trp_handle_t *handle = &network->handles[i];
    unsigned mask = handle->open ? ready_of(handle) : 0;
    if (mask != 0) {
      handle->hangup_told |= (mask & TRP_HANGUP) != 0;
      network->base.callbacks.ready(network->base.context, handle->owner, mask);
    }
  }
}

void fake_network_pass(fake_network_t *network, int64_t ms) {
  network->now_ns += ms * 1000000;
  if (network->deadline_ns <= network->now_ns) {
    network->deadline_ns = TRP_NEVER;
    network->base.callbacks.timer(network->base.context);
  }
}

trp_handle_t *fake_handle(fake_network_t *network, int k) {
  size_t index = k >= 0 ? (size_t)k : network->handle_count - (size_t)(-k);
  assert_true(index < network->handle_count);
  return &network->handles[index];
}

size_t fake_open_handles(const fake_network_t *network) {
  size_t count = 0;
  for (size_t i = 0; i < network->handle_count; i++) {
    count += network->handles[i].open;
  }
  return count;
}

static void append_input(trp_handle_t *handle, const char *bytes, size_t length) {
  handle->input = realloc(handle->input, handle->input_length + length);
  assert_non_null(handle->input);
  memcpy(handle->input + handle->input_length, bytes, length);
  handle->input_length += length;
}

void fake_arrives(trp_handle_t *handle, const char *text) {
  append_input(handle, text, strlen(text));
}

void fake_arrives_much(trp_handle_t *handle, size_t length) {
  char *bytes = malloc(length);
  assert_non_null(bytes);
  for (size_t i = 0; i < length; i++) {
    bytes[i] = (char)((handle->input_length + i) % 251);
  }
  append_input(handle, bytes, length);
  free(bytes);
}

void fake_knock(trp_handle_t *listener, unsigned count, const char *ip) {
  assert_int_equal(listener->kind, FAKE_LISTENER);
  listener->waiting += count;
  listener->peer = fake_address(ip, 60000);
}

void fake_resolved(fake_network_t *network, int k, int error, const char *const *ips) {
  trp_resolve_t *request = &network->resolves[k];
  troupe_address_t addresses[16];
  trp_resolved_t result = {.error = error, .addresses = addresses};
  assert_true(request->open);
  request->open = false;
  for (; ips != NULL && ips[result.count] != NULL; result.count++) {
    addresses[result.count] = fake_address(ips[result.count], request->port);
  }
  network->base.callbacks.resolved(network->base.context, request->owner, &result);
}

troupe_address_t fake_address(const char *ip, int port) {
  troupe_address_t address = {0};
  assert_int_equal(troupe_address_parse(&address, ip, strlen(ip), (uint16_t)port), 0);
  return address;
}
