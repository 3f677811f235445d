/// Pipes in memory. What one actor sends to another stays in order; which sender's batch comes next
/// is the dice's choice, as it is the kernel's in a real system.
#include <stdlib.h>
#include <troupe/error.h>

#include "actors/sim/world.h"
#include "core/message/id.h"
#include "core/support/assert.h"

typedef struct letter {
  struct letter *next;
  size_t count;
  trp_frame_t *frames[];
} letter_t;

typedef struct sender {
  struct sender *next;
  uint64_t id;
  letter_t *first, **last;
} sender_t;

struct trp_sim_inbox {
  trp_inbox_t base;
  trp_sim_t *sim;
  uint64_t self;
  sender_t *senders;
  size_t waiting; // senders with a letter
};

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in);
static int64_t now(trp_inbox_t *inbox);

static const trp_inbox_ops_t inbox_ops = {
    .receive = receive, .send = trp_sim_inbox_send, .now = now, .close = trp_sim_inbox_close};

static trp_sim_inbox_t *self_of(trp_inbox_t *inbox) {
  return (trp_sim_inbox_t *)(void *)inbox;
}

int trp_sim_open_inbox(trp_sim_t *sim, uint64_t self, trp_sim_inbox_t **inbox) {
  trp_sim_inbox_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->base.ops = &inbox_ops;
  made->sim = sim;
  made->self = self;
  int error = trp_map_put(&sim->inboxes, self, made);
  if (error != 0) {
    free(made);
    return error;
  }
  *inbox = made;
  return 0;
}

trp_inbox_t *trp_sim_inbox_base(trp_sim_inbox_t *inbox) {
  return &inbox->base;
}

void trp_sim_inbox_play(trp_sim_inbox_t *inbox, const trp_inbox_ops_t *ops) {
  inbox->base.ops = ops;
}

void trp_sim_inbox_go_live(trp_sim_inbox_t *inbox) {
  inbox->base.ops = &inbox_ops;
}

trp_sim_t *trp_sim_inbox_world(trp_inbox_t *inbox) {
  return self_of(inbox)->sim;
}

bool trp_sim_inbox_has_some(const trp_sim_inbox_t *inbox) {
  return inbox != NULL && inbox->waiting > 0;
}

static void free_letter(letter_t *letter) {
  for (size_t i = 0; i < letter->count; i++) {
    trp_frame_release(letter->frames[i]);
  }
  free(letter);
}

/// Each side of a pipe has frames of its own.
static letter_t *new_letter(trp_frame_t *envelope, trp_frame_t *const *frames, size_t count) {
  letter_t *made = calloc(1, sizeof *made + (count + 1) * sizeof(trp_frame_t *));
  if (made == NULL) {
    return NULL;
  }
  for (size_t i = 0; i < count + 1; i++) {
    const trp_frame_t *frame = i == 0 ? envelope : frames[i - 1];
    made->frames[i] = trp_frame_copy(frame->bytes, frame->size);
    if (made->frames[i] == NULL) {
      free_letter(made);
      return NULL;
    }
    made->count++;
  }
  return made;
}

static sender_t *find_sender(trp_sim_inbox_t *inbox, uint64_t id) {
  sender_t **link = &inbox->senders;
  while (*link != NULL && (*link)->id != id) {
    link = &(*link)->next;
  }
  if (*link == NULL) {
    sender_t *made = calloc(1, sizeof *made);
    if (made != NULL) {
      made->id = id;
      made->last = &made->first;
      *link = made;
    }
  }
  return *link;
}

/// Consumes the letter; to an inbox that is closed it is lost, as over a real pipe.
static int deliver(trp_sim_t *sim, uint64_t from, uint64_t to, letter_t *letter) {
  trp_sim_inbox_t *inbox = trp_map_get(&sim->inboxes, to);
  if (inbox == NULL) {
    free_letter(letter);
    return 0;
  }
  sender_t *sender = find_sender(inbox, from);
  if (sender == NULL) {
    free_letter(letter);
    return TROUPE_ENOMEM;
  }
  inbox->waiting += sender->first == NULL ? 1 : 0;
  letter->next = NULL;
  *sender->last = letter;
  sender->last = &letter->next;
  return 0;
}

/// What everybody can see of a batch while it is under way.
static void watch(trp_sim_inbox_t *inbox, uint64_t to, const letter_t *letter) {
  trp_in_t in;
  bool by_io = trp_id_is_io_actor(inbox->self);
  if (trp_id_is_io_actor(to)) {
    return;
  }
  trp_in_init(&in);
  int error = 0;
  for (size_t i = 0; i < letter->count && error == 0; i++) {
    error = trp_in_push(&in, trp_frame_hold(letter->frames[i]));
  }
  if (error == 0) {
    error = trp_in_open(&in);
  }
  if (error == 0) {
    (by_io ? trp_sim_watch_events : trp_sim_watch_messages)(inbox->sim, to, &in);
  } else if (error == TROUPE_EBADMESSAGE) {
    trp_sim_fail(inbox->sim, "%s sends what cannot be read", by_io ? "an I/O actor" : "an actor");
  }
  trp_in_free(&in);
}

int trp_sim_inbox_send(trp_inbox_t *inbox, trp_out_t *out) {
  trp_sim_inbox_t *self = self_of(inbox);
  int error = out->envelope == NULL ? trp_out_pack(out) : 0;
  if (error != 0) {
    return error;
  }
  letter_t *letter = new_letter(out->envelope, out->frames, out->frame_count);
  if (letter == NULL) {
    return TROUPE_ENOMEM;
  }
  watch(self, out->to, letter);
  error = deliver(self->sim, self->self, out->to, letter);
  if (error == 0) {
    trp_out_reset(out);
  }
  return error;
}

void trp_sim_send_last(trp_inbox_t *inbox, uint64_t to, const void *bytes, size_t length) {
  trp_sim_inbox_t *self = self_of(inbox);
  trp_frame_t *frame = trp_frame_copy(bytes, length);
  letter_t *letter = frame == NULL ? NULL : new_letter(frame, NULL, 0);
  if (letter == NULL || deliver(self->sim, self->self, to, letter) != 0) {
    self->sim->network.no_memory = true;
  }
  trp_frame_release(frame);
}

/// One letter of a sender that the dice choose.
static letter_t *take_letter(trp_sim_inbox_t *inbox) {
  if (inbox->waiting == 0) {
    return NULL;
  }
  uint64_t pick = trp_dice_below(&inbox->sim->dice, inbox->waiting);
  sender_t *sender = inbox->senders;
  while (sender->first == NULL || pick-- > 0) {
    sender = sender->next;
  }
  letter_t *letter = sender->first;
  sender->first = letter->next;
  if (sender->first == NULL) {
    sender->last = &sender->first;
    inbox->waiting--;
  }
  return letter;
}

static int open_letter(trp_sim_inbox_t *inbox, letter_t *letter, trp_in_t *in) {
  int error = 0;
  for (size_t i = 0; i < letter->count && error == 0; i++) {
    error = trp_in_push(in, letter->frames[i]);
    letter->frames[i] = error == 0 ? NULL : letter->frames[i];
  }
  free_letter(letter);
  in->received_ns = inbox->sim->now_ns;
  error = error == 0 ? trp_in_open(in) : error;
  return error == 0 ? 1 : error;
}

/// Whether a fault befalls the actor that is about to receive.
static int suffer(trp_sim_t *sim, trp_task_t *task) {
  if (sim->killing) {
    return TROUPE_ESTOPPED;
  }
  if (!task->killed && trp_fault(&sim->faults, TRP_FAULT_DEAD_ACTOR)) {
    task->killed = true;
    trp_sim_watch_killed(sim, task->actor);
  }
  if (task->killed) {
    return TROUPE_ECANCELED;
  }
  if (trp_fault(&sim->faults, TRP_FAULT_SLOW_ACTOR)) {
    task->not_before_ns = sim->now_ns + (int64_t)trp_dice_scale(&sim->dice, 1000, 500000) * 1000;
  }
  return 0;
}

static int receive(trp_inbox_t *inbox, int64_t deadline_ns, trp_in_t *in) {
  trp_sim_inbox_t *self = self_of(inbox);
  trp_sim_t *sim = self->sim;
  if (!trp_id_is_io_actor(self->self)) {
    trp_task_t *task = sim->running;
    TROUPE_ASSERT(task->actor == self->self);
    int error = suffer(sim, task);
    if (error != 0) {
      return error;
    }
    task->state = TRP_TASK_RECEIVING;
    task->deadline_ns = deadline_ns;
    trp_sim_yield(sim);
    task->state = TRP_TASK_READY;
    if (sim->killing) {
      return TROUPE_ESTOPPED;
    }
  }
  letter_t *letter = take_letter(self);
  if (letter == NULL) {
    return 0;
  }
  int result = open_letter(self, letter, in);
  if (result == 1 && !trp_id_is_io_actor(self->self)) {
    trp_sim_watch_taken(sim, self->self, in);
  }
  return result;
}

static int64_t now(trp_inbox_t *inbox) {
  return self_of(inbox)->sim->now_ns;
}

void trp_sim_inbox_close(trp_inbox_t *inbox) {
  trp_sim_inbox_t *self = self_of(inbox);
  trp_map_remove(&self->sim->inboxes, self->self);
  while (self->senders != NULL) {
    sender_t *sender = self->senders;
    self->senders = sender->next;
    while (sender->first != NULL) {
      letter_t *letter = sender->first;
      sender->first = letter->next;
      free_letter(letter);
    }
    free(sender);
  }
  free(self);
}
