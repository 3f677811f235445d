/// The descriptors of an attached thread.
#include "core/actor/attachment.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/message/inbox.h"

static int add(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void close_if_open(int fd) {
  if (fd >= 0) {
    close(fd);
  }
}

int trp_attachment_open(trp_attachment_t *attachment, int inbox_fd) {
  attachment->raised = false;
  attachment->armed_ns = TRP_FOREVER;
  attachment->epoll = epoll_create1(EPOLL_CLOEXEC);
  attachment->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  attachment->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (attachment->epoll >= 0 && attachment->event >= 0 && attachment->timer >= 0 &&
      add(attachment->epoll, inbox_fd) == 0 && add(attachment->epoll, attachment->event) == 0 &&
      add(attachment->epoll, attachment->timer) == 0) {
    return 0;
  }
  int error = errno == EMFILE || errno == ENFILE ? TROUPE_EMFILE : TROUPE_ENOMEM;
  trp_attachment_close(attachment);
  return error;
}

void trp_attachment_close(trp_attachment_t *attachment) {
  close_if_open(attachment->epoll);
  close_if_open(attachment->event);
  close_if_open(attachment->timer);
}

void trp_attachment_raise(trp_attachment_t *attachment) {
  if (attachment->raised) {
    return;
  }
  uint64_t one = 1;
  // It is not blocked by a full counter: it is only ever 0 or 1.
  while (write(attachment->event, &one, sizeof one) < 0 && errno == EINTR) {
  }
  attachment->raised = true;
}

void trp_attachment_lower(trp_attachment_t *attachment) {
  if (!attachment->raised) {
    return;
  }
  uint64_t count = 0;
  while (read(attachment->event, &count, sizeof count) < 0 && errno == EINTR) {
  }
  attachment->raised = false;
}

void trp_attachment_arm(trp_attachment_t *attachment, int64_t deadline_ns, int64_t now_ns) {
  bool fired = attachment->armed_ns <= now_ns;
  if (!fired && deadline_ns >= attachment->armed_ns) {
    return;
  }
  struct itimerspec at = {{0}, {0}}; // which disarms it, and makes it unreadable when it has fired
  if (deadline_ns != TRP_FOREVER) {
    int64_t ns = deadline_ns < 1 ? 1 : deadline_ns;
    at.it_value.tv_sec = ns / 1000000000;
    at.it_value.tv_nsec = ns % 1000000000;
  }
  timerfd_settime(attachment->timer, TFD_TIMER_ABSTIME, &at, NULL);
  attachment->armed_ns = deadline_ns;
}
