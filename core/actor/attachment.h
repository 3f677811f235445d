/// Private. What an attached thread waits on: one descriptor that is readable as long as there is
/// something to dispatch. It is an epoll that holds the inbox's descriptor, an eventfd and a
/// timerfd, so that senders pay nothing for it. All calls: the actor's thread.
#ifndef TRP_ATTACHMENT_H_INCLUDED
#define TRP_ATTACHMENT_H_INCLUDED

#include <stdbool.h>
#include <stdint.h>

typedef struct trp_attachment {
  int epoll, event, timer;
  bool raised; // the eventfd is set
  bool by_hand;
  int64_t armed_ns; // what the timerfd is set to; TRP_FOREVER: not
} trp_attachment_t;

/// 0, TROUPE_EMFILE or TROUPE_ENOMEM. `inbox_fd` is only waited for.
int trp_attachment_open(trp_attachment_t *attachment, int inbox_fd);
void trp_attachment_close(trp_attachment_t *attachment);

/// Makes the descriptor readable, until it is lowered again.
void trp_attachment_raise(trp_attachment_t *attachment);
void trp_attachment_lower(trp_attachment_t *attachment);

/// Makes it readable at `deadline_ns`, too (TRP_FOREVER: never). It may be readable earlier, for an
/// earlier deadline that is no more: timers that are put off again and again cost no system call.
void trp_attachment_arm(trp_attachment_t *attachment, int64_t deadline_ns, int64_t now_ns);

#endif
