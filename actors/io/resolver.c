/// Looks names up with getaddrinfo() on threads of its own.
///
/// The resolver is counted: by its maker, and by each of its threads. So a thread that is stuck in
/// getaddrinfo() when the resolver is freed keeps what it needs, and the last one out frees it.
#include "actors/io/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "actors/io/condition.h"
#include "actors/io/sockaddr.h"
#include "core/net/hints.h"
#include "core/support/thread.h"

_Static_assert((int)TRP_HINT_V4MAPPED == AI_V4MAPPED && (int)TRP_HINT_ALL == AI_ALL &&
                   (int)TRP_HINT_ADDRCONFIG == AI_ADDRCONFIG,
               "hints are handed on as they are");

typedef enum { WAITING, RUNNING, DONE } stage_t;

struct trp_resolve {
  trp_resolve_t *next, *previous;
  void *owner;
  stage_t stage;
  bool cancelled; // while it is running: its thread frees it
  int family;
  unsigned hints;
  uint16_t port;
  int error;
  troupe_address_t *addresses;
  size_t count;
  char host[];
};

typedef struct {
  trp_resolve_t *first, *last;
  size_t count;
} queue_t;

typedef enum { NO_THREAD, ALIVE, ENDED } thread_state_t;

typedef struct {
  pthread_t thread;
  thread_state_t state;
} slot_t;

struct trp_resolver {
  trp_resolver_options_t options;
  pthread_mutex_t mutex; // guards all that follows; held for a few lines at a time, and while
                         // `wake` is called
  pthread_cond_t work;   // there is something to do, or nothing will come any more
  pthread_cond_t ended;  // a thread has ended
  queue_t waiting, done;
  slot_t slots[TRP_RESOLVER_THREADS];
  int alive, idle;
  int references;
  bool closed;
};

static void *serve(void *argument);
static void look_up(trp_resolve_t *request);

// ---- Queues ----

static void append(queue_t *queue, trp_resolve_t *request) {
  request->next = NULL;
  request->previous = queue->last;
  if (queue->last == NULL) {
    queue->first = request;
  } else {
    queue->last->next = request;
  }
  queue->last = request;
  queue->count++;
}

static void take_out(queue_t *queue, trp_resolve_t *request) {
  if (request->previous == NULL) {
    queue->first = request->next;
  } else {
    request->previous->next = request->next;
  }
  if (request->next == NULL) {
    queue->last = request->previous;
  } else {
    request->next->previous = request->previous;
  }
  queue->count--;
}

static trp_resolve_t *take_first(queue_t *queue) {
  trp_resolve_t *first = queue->first;
  if (first != NULL) {
    take_out(queue, first);
  }
  return first;
}

static void free_request(trp_resolve_t *request) {
  free(request->addresses);
  free(request);
}

static void free_requests(queue_t *queue) {
  trp_resolve_t *request = queue->first;
  while (request != NULL) {
    trp_resolve_t *next = request->next;
    free_request(request);
    request = next;
  }
  *queue = (queue_t){0};
}

// ---- The loop's side ----

int trp_resolver_new(const trp_resolver_options_t *options, trp_resolver_t **resolver) {
  trp_resolver_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->options = *options;
  made->references = 1;
  int error = -pthread_mutex_init(&made->mutex, NULL);
  if (error != 0) {
    goto no_mutex;
  }
  if ((error = trp_io_condition_init(&made->work)) != 0) {
    goto no_work;
  }
  if ((error = trp_io_condition_init(&made->ended)) != 0) {
    goto no_ended;
  }
  *resolver = made;
  return 0;
no_ended:
  pthread_cond_destroy(&made->work);
no_work:
  pthread_mutex_destroy(&made->mutex);
no_mutex:
  free(made);
  return error;
}

static void destroy(trp_resolver_t *resolver) {
  pthread_cond_destroy(&resolver->ended);
  pthread_cond_destroy(&resolver->work);
  pthread_mutex_destroy(&resolver->mutex);
  free(resolver);
}

/// A thread that says that it has ended does nothing more than return, so joining it takes no time.
static void join_ended(trp_resolver_t *resolver) {
  for (int i = 0; i < TRP_RESOLVER_THREADS; i++) {
    if (resolver->slots[i].state == ENDED) {
      pthread_join(resolver->slots[i].thread, NULL);
      resolver->slots[i].state = NO_THREAD;
    }
  }
}

static int add_thread(trp_resolver_t *resolver) {
  join_ended(resolver);
  for (int i = 0; i < TRP_RESOLVER_THREADS; i++) {
    slot_t *slot = &resolver->slots[i];
    if (slot->state == NO_THREAD) {
      int error = trp_thread_start(&slot->thread, "troupe-resolve", 0, serve, resolver);
      if (error == 0) {
        slot->state = ALIVE;
        resolver->alive++;
        resolver->references++;
      }
      return error;
    }
  }
  return TROUPE_EAGAIN;
}

int trp_resolver_start(trp_resolver_t *resolver, const char *host, uint16_t port, int family,
                       unsigned hints, void *owner, trp_resolve_t **request) {
  size_t size = strlen(host) + 1;
  trp_resolve_t *made = calloc(1, sizeof *made + size);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  memcpy(made->host, host, size);
  made->owner = owner;
  made->port = port;
  made->family = family;
  made->hints = hints;
  made->stage = WAITING;
  int error = 0;
  pthread_mutex_lock(&resolver->mutex);
  append(&resolver->waiting, made);
  if (resolver->waiting.count > (size_t)resolver->idle && resolver->alive < TRP_RESOLVER_THREADS) {
    error = add_thread(resolver);
  }
  if (error != 0 && resolver->alive == 0) {
    take_out(&resolver->waiting, made);
  } else {
    error = 0; // those that are there will come to it
    pthread_cond_signal(&resolver->work);
  }
  pthread_mutex_unlock(&resolver->mutex);
  if (error != 0) {
    free_request(made);
    return error;
  }
  *request = made;
  return 0;
}

void trp_resolver_cancel(trp_resolver_t *resolver, trp_resolve_t *request) {
  pthread_mutex_lock(&resolver->mutex);
  switch (request->stage) {
  case WAITING:
    take_out(&resolver->waiting, request);
    break;
  case DONE:
    take_out(&resolver->done, request);
    break;
  case RUNNING:
    request->cancelled = true;
    request = NULL;
    break;
  }
  pthread_mutex_unlock(&resolver->mutex);
  if (request != NULL) {
    free_request(request);
  }
}

void trp_resolver_dispatch(trp_resolver_t *resolver) {
  pthread_mutex_lock(&resolver->mutex);
  join_ended(resolver);
  trp_resolve_t *request;
  while ((request = take_first(&resolver->done)) != NULL) {
    pthread_mutex_unlock(&resolver->mutex);
    trp_resolved_t result = {
        .error = request->error, .addresses = request->addresses, .count = request->count};
    resolver->options.resolved(resolver->options.context, request->owner, &result);
    free_request(request);
    pthread_mutex_lock(&resolver->mutex);
  }
  pthread_mutex_unlock(&resolver->mutex);
}

int trp_resolver_threads(trp_resolver_t *resolver) {
  pthread_mutex_lock(&resolver->mutex);
  int count = 0;
  for (int i = 0; i < TRP_RESOLVER_THREADS; i++) {
    count += resolver->slots[i].state != NO_THREAD;
  }
  pthread_mutex_unlock(&resolver->mutex);
  return count;
}

int trp_resolver_free(trp_resolver_t **resolver, int64_t deadline_ns) {
  trp_resolver_t *gone = *resolver;
  if (gone == NULL) {
    return 0;
  }
  *resolver = NULL;
  pthread_mutex_lock(&gone->mutex);
  gone->closed = true;
  free_requests(&gone->waiting);
  free_requests(&gone->done);
  pthread_cond_broadcast(&gone->work);
  while (gone->alive > 0 && trp_io_condition_wait(&gone->ended, &gone->mutex, deadline_ns)) {
  }
  join_ended(gone);
  for (int i = 0; i < TRP_RESOLVER_THREADS; i++) {
    if (gone->slots[i].state == ALIVE) {
      pthread_detach(gone->slots[i].thread);
    }
  }
  bool stuck = gone->alive > 0;
  gone->references--;
  bool last = gone->references == 0;
  pthread_mutex_unlock(&gone->mutex);
  if (last) {
    destroy(gone);
  }
  return stuck ? TROUPE_ETIMEDOUT : 0;
}

// ---- The threads' side ----

/// Waits for a request. NULL: it is time to end.
static trp_resolve_t *wait_for_work(trp_resolver_t *resolver) {
  int64_t deadline_ns = (int64_t)uv_hrtime() + resolver->options.idle_ns;
  bool in_time = true;
  while (!resolver->closed && resolver->waiting.count == 0 && in_time) {
    resolver->idle++;
    in_time = trp_io_condition_wait(&resolver->work, &resolver->mutex, deadline_ns);
    resolver->idle--;
  }
  return resolver->closed ? NULL : take_first(&resolver->waiting);
}

/// The last that a thread does with the resolver. Returns whether it has to free it.
static bool leave(trp_resolver_t *resolver) {
  for (int i = 0; i < TRP_RESOLVER_THREADS; i++) {
    slot_t *slot = &resolver->slots[i];
    if (slot->state == ALIVE && pthread_equal(slot->thread, pthread_self())) {
      slot->state = ENDED;
    }
  }
  resolver->alive--;
  resolver->references--;
  if (!resolver->closed) {
    resolver->options.wake(resolver->options.context); // to be joined
  }
  pthread_cond_signal(&resolver->ended);
  return resolver->references == 0;
}

static void *serve(void *argument) {
  trp_resolver_t *resolver = argument;
  pthread_mutex_lock(&resolver->mutex);
  trp_resolve_t *request;
  while ((request = wait_for_work(resolver)) != NULL) {
    request->stage = RUNNING;
    pthread_mutex_unlock(&resolver->mutex);
    look_up(request);
    pthread_mutex_lock(&resolver->mutex);
    if (request->cancelled || resolver->closed) {
      free_request(request);
    } else {
      request->stage = DONE;
      append(&resolver->done, request);
      resolver->options.wake(resolver->options.context);
    }
  }
  bool last = leave(resolver);
  pthread_mutex_unlock(&resolver->mutex);
  if (last) {
    destroy(resolver);
  }
  return NULL;
}

/// As libuv numbers them. Node makes ENOTFOUND of "no such name" and of "a name without addresses".
static int error_of(int result) {
  switch (result) {
  case EAI_NONAME:
  case EAI_NODATA:
    return TROUPE_ENOTFOUND;
  case EAI_ADDRFAMILY:
    return TROUPE_EAI_ADDRFAMILY;
  case EAI_AGAIN:
    return TROUPE_EAI_AGAIN;
  case EAI_BADFLAGS:
    return TROUPE_EAI_BADFLAGS;
  case EAI_FAIL:
    return TROUPE_EAI_FAIL;
  case EAI_FAMILY:
    return TROUPE_EAI_FAMILY;
  case EAI_MEMORY:
    return TROUPE_EAI_MEMORY;
  case EAI_OVERFLOW:
    return TROUPE_EAI_OVERFLOW;
  case EAI_SERVICE:
    return TROUPE_EAI_SERVICE;
  case EAI_SOCKTYPE:
    return TROUPE_EAI_SOCKTYPE;
  case EAI_SYSTEM:
    return errno > 0 ? -errno : TROUPE_EAI_FAIL;
  default:
    return TROUPE_EAI_FAIL;
  }
}

static int family_of(int family) {
  return family == TROUPE_FAMILY_IPV4   ? AF_INET
         : family == TROUPE_FAMILY_IPV6 ? AF_INET6
                                        : AF_UNSPEC;
}

static void keep_addresses(trp_resolve_t *request, const struct addrinfo *list) {
  size_t count = 0;
  for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
    count++;
  }
  request->addresses = count == 0 ? NULL : calloc(count, sizeof *request->addresses);
  if (count > 0 && request->addresses == NULL) {
    request->error = TROUPE_EAI_MEMORY;
    return;
  }
  for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
    struct sockaddr_storage address;
    if (one->ai_addrlen <= sizeof address) {
      troupe_address_t *kept = &request->addresses[request->count];
      memcpy(&address, one->ai_addr, one->ai_addrlen);
      trp_sockaddr_read(&address, one->ai_addrlen, kept);
      kept->port = request->port;
      request->count += kept->family != TROUPE_FAMILY_NONE;
    }
  }
  if (request->count == 0) {
    request->error = TROUPE_ENOTFOUND;
  }
}

static void look_up(trp_resolve_t *request) {
  struct addrinfo wanted = {.ai_family = family_of(request->family),
                            .ai_socktype = SOCK_STREAM,
                            .ai_flags = (int)request->hints};
  struct addrinfo *list = NULL;
  int result = getaddrinfo(request->host, NULL, &wanted, &list);
  if (result != 0) {
    request->error = error_of(result);
    return;
  }
  keep_addresses(request, list);
  freeaddrinfo(list);
}
