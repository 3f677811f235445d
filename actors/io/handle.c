/// A descriptor of our own under uv_poll.
///
/// What one has to know about libuv here (1.44):
///
/// uv_poll reports a reset, a refused connect and every other pending error as UV_EBADF, and stops
/// watching. So every status below 0 is taken for "ready for all that is wanted": the call that
/// follows meets the true error. What is wanted is watched again in settle().
///
/// uv_poll_start() costs a system call at once and another one before the loop waits, even when
/// nothing changes. So want() only notes, and settle() tells libuv the sum of a turn; and a handle
/// that stops reading stays watched until something really comes for it.
///
/// uv_close() of a uv_poll takes the descriptor out of epoll and out of the events that wait to be
/// told in this turn, so close() may follow at once, and the same number may be opened again before
/// the turn is over. The memory has to live on until libuv calls back; then it goes into a list for
/// the next handle.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/io/transport_parts.h"

enum {
  SPARE_HANDLES = 256, // kept for the next connections
};

static void on_poll(uv_poll_t *poll, int status, int events);

static trp_handle_t *handle_of(uv_poll_t *poll) {
  return (trp_handle_t *)(void *)poll;
}

trp_handle_t *trp_uv_handle_take(trp_uv_transport_t *self) {
  trp_link_t *link = trp_uv_first(&self->spare);
  trp_handle_t *handle;
  if (link != NULL) {
    trp_list_remove(link);
    self->spare_count--;
    handle = TRP_LIST_ENTRY(link, trp_handle_t, unsettled);
  } else {
    handle = malloc(sizeof *handle);
  }
  if (handle != NULL) {
    memset(handle, 0, sizeof *handle);
    handle->transport = self;
    handle->fd = -1;
    trp_list_init(&handle->unsettled);
    trp_list_init(&handle->in_transport);
  }
  return handle;
}

void trp_uv_handle_give_back(trp_handle_t *handle) {
  trp_uv_transport_t *self = handle->transport;
  if (self->closed || self->spare_count >= SPARE_HANDLES) {
    free(handle);
    return;
  }
  trp_list_append(&self->spare, &handle->unsettled);
  self->spare_count++;
}

void trp_uv_handle_free_spare(trp_uv_transport_t *self) {
  for (trp_link_t *link; (link = trp_list_take(&self->spare)) != NULL;) {
    free(TRP_LIST_ENTRY(link, trp_handle_t, unsettled));
  }
}

static void on_closed(uv_handle_t *poll) {
  trp_uv_handle_give_back(handle_of((uv_poll_t *)poll));
}

/// The word of `ours` with the descriptor's bit; NULL: there is none yet.
static uint64_t *word_of(const trp_uv_transport_t *self, int fd) {
  size_t word = (size_t)fd / 64;
  return word < self->ours_words ? &self->ours[word] : NULL;
}

static uint64_t bit_of(int fd) {
  return UINT64_C(1) << ((unsigned)fd % 64);
}

bool trp_uv_handle_has(const trp_uv_transport_t *self, int fd) {
  const uint64_t *word = word_of(self, fd);
  return word != NULL && (*word & bit_of(fd)) != 0;
}

int trp_uv_handle_attach(trp_handle_t *handle, int fd, trp_fd_type_t type) {
  trp_uv_transport_t *self = handle->transport;
  if (word_of(self, fd) == NULL) {
    size_t words = ((size_t)fd / 64 + 1) * 2;
    uint64_t *grown = realloc(self->ours, words * sizeof *grown);
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    memset(grown + self->ours_words, 0, (words - self->ours_words) * sizeof *grown);
    self->ours = grown;
    self->ours_words = words;
  }
  handle->fd = fd;
  handle->type = (uint8_t)type;
  *word_of(self, fd) |= bit_of(fd);
  trp_list_append(&self->open, &handle->in_transport);
  return 0;
}

void trp_uv_handle_detach(trp_handle_t *handle) {
  trp_uv_transport_t *self = handle->transport;
  if (handle->fd >= 0) {
    *word_of(self, handle->fd) &= ~bit_of(handle->fd);
    handle->fd = -1;
  }
  trp_list_remove(&handle->unsettled);
  trp_list_remove(&handle->in_transport);
  if (handle->watched) {
    uv_close((uv_handle_t *)&handle->poll, on_closed);
  } else {
    trp_uv_handle_give_back(handle);
  }
}

void trp_uv_handle_shut(trp_handle_t *handle, bool reset) {
  int fd = handle->fd;
  trp_path_t *path = handle->listens ? handle->has.path : NULL;
  trp_uv_handle_detach(handle);
  if (reset) {
    trp_fd_reset(fd);
  } else {
    close(fd);
  }
  trp_path_remove(&path);
}

void trp_uv_handle_shut_all(trp_link_t *list) {
  for (trp_link_t *link; (link = trp_list_take(list)) != NULL;) {
    trp_uv_handle_shut(TRP_LIST_ENTRY(link, trp_handle_t, in_transport), false);
  }
}

int trp_uv_handle_watch(trp_handle_t *handle) {
  if (handle->watched) {
    return 0;
  }
  int error = uv_poll_init(handle->transport->loop, &handle->poll, handle->fd);
  if (error == 0) {
    handle->watched = true;
  }
  return error;
}

static void unsettle(trp_handle_t *handle) {
  if (!trp_list_holds(&handle->unsettled)) {
    trp_list_append(&handle->transport->unsettled, &handle->unsettled);
  }
}

int trp_uv_handle_want(trp_transport_t *transport, trp_handle_t *handle, unsigned mask) {
  (void)transport;
  if (handle->wanted == mask) {
    return 0;
  }
  int error = mask == 0 ? 0 : trp_uv_handle_watch(handle);
  if (error == 0) {
    handle->wanted = (uint8_t)mask;
    unsettle(handle);
  }
  return error;
}

/// What can come: the end of a handle comes once.
static unsigned expected(const trp_handle_t *handle) {
  return handle->hung ? handle->wanted & ~(unsigned)TRP_HANGUP : handle->wanted;
}

static void arm(trp_handle_t *handle) {
  unsigned needed = expected(handle);
  unsigned added = needed & ~(unsigned)handle->armed;
  unsigned spare = handle->armed & ~needed;
  bool exact = handle->exact;
  handle->exact = false;
  if (added == 0 && !exact && (spare & TRP_WRITE) == 0) {
    return; // watched for too much, if at all, and it may never come. (A socket is nearly always
            // writable: that would come.)
  }
  if (added == 0 && spare == 0) {
    return;
  }
  handle->armed = (uint8_t)needed;
  if (needed == 0) {
    uv_poll_stop(&handle->poll);
    return;
  }
  int events = ((needed & TRP_READ) != 0 ? UV_READABLE : 0) |
               ((needed & TRP_WRITE) != 0 ? UV_WRITABLE : 0) |
               ((needed & TRP_HANGUP) != 0 ? UV_DISCONNECT : 0);
  // Can only say that somebody else watches this descriptor in the same loop, and uv_poll_init()
  // would have said so before.
  uv_poll_start(&handle->poll, events, on_poll);
}

void trp_uv_transport_settle(trp_uv_transport_t *transport) {
  trp_link_t *link;
  while ((link = trp_uv_first(&transport->unsettled)) != NULL) {
    trp_list_remove(link);
    arm(TRP_LIST_ENTRY(link, trp_handle_t, unsettled));
  }
  transport->now_ns = 0;
}

static unsigned mask_of(int events) {
  return ((events & UV_READABLE) != 0 ? (unsigned)TRP_READ : 0U) |
         ((events & UV_WRITABLE) != 0 ? (unsigned)TRP_WRITE : 0U) |
         ((events & UV_DISCONNECT) != 0 ? (unsigned)TRP_HANGUP : 0U);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  trp_handle_t *handle = handle_of(poll);
  trp_uv_transport_t *self = handle->transport;
  unsigned came = mask_of(events);
  if (status < 0) {
    came = handle->wanted;
    handle->armed = 0; // libuv has stopped watching
    unsettle(handle);
  }
  unsigned told = came & expected(handle);
  if (told != came || (told & TRP_HANGUP) != 0) {
    handle->exact = true;
    unsettle(handle);
  }
  if (told == 0) {
    return;
  }
  if ((told & TRP_HANGUP) != 0) {
    handle->hung = true;
  }
  if (status < 0 && (told & TRP_READ) != 0) {
    told |= TRP_BROKEN;
  }
  self->activity++;
  if (handle->lingers) {
    trp_uv_linger_drain(handle);
  } else {
    self->base.callbacks.ready(self->base.context, poll->data, told);
  }
}
