/// Handles that are closed, and whose peers are not.
#include <sys/socket.h>

#include "actors/io/transport_parts.h"

enum {
  DRAIN_SIZE = 16 * 1024,
};

static const int64_t ms_ns = 1000000;

static void on_linger_timer(uv_timer_t *timer);

void trp_uv_linger_drain(trp_handle_t *handle) {
  uint8_t waste[DRAIN_SIZE];
  ssize_t n = trp_fd_read(handle->fd, waste, sizeof waste);
  if (n == 0 || (n < 0 && n != TROUPE_EAGAIN)) {
    trp_uv_handle_shut(handle, false);
  }
}

bool trp_uv_linger_begin(trp_handle_t *handle) {
  trp_uv_transport_t *self = handle->transport;
  if (handle->listens || handle->has.socket.linger_ms == 0 || handle->type == TRP_FD_PIPE ||
      handle->connecting || shutdown(handle->fd, SHUT_WR) != 0 ||
      trp_uv_handle_want(&self->base, handle, TRP_READ) != 0) {
    return false;
  }
  trp_list_remove(&handle->in_transport);
  handle->lingers = true;
  handle->has.linger_until_ns = trp_uv_now(&self->base) + handle->has.socket.linger_ms * ms_ns;
  // In the order of their times; they mostly have the same limit, so its place is near the end.
  trp_link_t *after = self->lingering.previous;
  while (after != &self->lingering &&
         TRP_LIST_ENTRY(after, trp_handle_t, in_transport)->has.linger_until_ns >
             handle->has.linger_until_ns) {
    after = after->previous;
  }
  trp_list_append(after->next, &handle->in_transport);
  if (self->lingering.next == &handle->in_transport) {
    trp_uv_start_timer(self, &self->linger_timer, on_linger_timer, handle->has.linger_until_ns);
  }
  return true;
}

static void on_linger_timer(uv_timer_t *timer) {
  trp_uv_transport_t *self = timer->data;
  self->now_ns = 0;
  trp_link_t *link = self->lingering.next;
  while (link != &self->lingering) {
    trp_handle_t *handle = TRP_LIST_ENTRY(link, trp_handle_t, in_transport);
    if (handle->has.linger_until_ns > trp_uv_now(&self->base)) {
      trp_uv_start_timer(self, timer, on_linger_timer, handle->has.linger_until_ns);
      return;
    }
    link = link->next;
    trp_uv_handle_shut(handle, false);
  }
}
