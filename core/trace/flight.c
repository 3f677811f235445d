/// Rings in a mapped file. A record is written behind what is counted, and then counted, by one store
/// of eight bytes: a reader sees all of it or nothing.
#include "core/trace/flight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <troupe/error.h>
#include <troupe/export.h>
#include <unistd.h>

#include "core/message/id.h"
#include "core/trace/crc.h"
#include "core/trace/flight_format.h"

enum {
  SIZE_DEFAULT = 16 * 1024 * 1024,
  THREADS_DEFAULT = 64,
  PAYLOAD_DEFAULT = 64,
  RING_LEAST = 2 * TRP_FLIGHT_PAGE,
  LARGEST_PART = 4, // of a ring
};

struct trp_ring {
  trp_flight_t *flight;
  uint8_t *head;
  uint8_t *bytes;
  size_t size;
  uint64_t end; // of what is counted
  uint64_t user;
  uint64_t sequence;
  bool taken; // guarded by the flight's lock
};

struct trp_flight {
  atomic_uint users;
  atomic_flag lock; // held for some stores while a ring is taken or given back
  uint8_t *bytes;
  size_t size;
  size_t payload_bytes;
  size_t ring_count, next;
  trp_ring_t rings[];
};

/// A record on its way into a ring.
typedef struct {
  trp_ring_t *ring;
  uint64_t at;
  uint8_t *straight; // where `at` is, when the record does not go over the ring's end: its checksum
                     // is made at once then, of all of it
  uint32_t checksum;
} cursor_t;

static int make_file(const char *path, size_t size, uint8_t **bytes);
static void format_head(uint8_t *head, size_t count, size_t ring_size);
static void store(uint8_t *at, uint64_t value);
static void put(cursor_t *cursor, const void *bytes, size_t length);
static void copy_in(trp_ring_t *ring, uint64_t at, const void *bytes, size_t length);
static bool begin(cursor_t *cursor, trp_ring_t *ring, trp_record_head_t *head);
static void finish(cursor_t *cursor, trp_record_head_t *head);

int trp_flight_open(const troupe_flight_options_t *options, unsigned more, trp_flight_t **flight) {
  if (options == NULL || options->path == NULL ||
      options->threads > TRP_FLIGHT_RINGS_MAX - TRP_IO_ACTORS_MAX) {
    return TROUPE_EINVAL;
  }
  size_t size = options->size_bytes == 0 ? SIZE_DEFAULT : options->size_bytes;
  size_t count = (options->threads == 0 ? THREADS_DEFAULT : options->threads) + (size_t)more;
  size_t ring_size = size / count / TRP_FLIGHT_PAGE * TRP_FLIGHT_PAGE;
  // The head of the file takes a page of what the rings leave, or of the last one.
  if (ring_size * count + TRP_FLIGHT_PAGE > size && ring_size > TRP_FLIGHT_PAGE) {
    ring_size -= TRP_FLIGHT_PAGE;
  }
  if (ring_size < RING_LEAST || ring_size > UINT32_MAX) {
    return TROUPE_EINVAL;
  }
  trp_flight_t *made = calloc(1, sizeof *made + count * sizeof made->rings[0]);
  if (made == NULL) {
    return TROUPE_ENOMEM;
  }
  made->size = TRP_FLIGHT_PAGE + count * ring_size;
  int error = make_file(options->path, made->size, &made->bytes);
  if (error != 0) {
    free(made);
    return error;
  }
  atomic_init(&made->users, 1);
  atomic_flag_clear(&made->lock);
  made->payload_bytes = options->payload_bytes == 0 ? PAYLOAD_DEFAULT : options->payload_bytes;
  made->ring_count = count;
  for (size_t i = 0; i < count; i++) {
    trp_ring_t *ring = &made->rings[i];
    ring->flight = made;
    ring->head = made->bytes + TRP_FLIGHT_PAGE + i * ring_size;
    ring->bytes = ring->head + TRP_FLIGHT_PAGE;
    ring->size = ring_size - TRP_FLIGHT_PAGE;
  }
  format_head(made->bytes, count, ring_size);
  *flight = made;
  return 0;
}

void trp_flight_release(trp_flight_t *flight) {
  if (flight != NULL && atomic_fetch_sub(&flight->users, 1) == 1) {
    munmap(flight->bytes, flight->size);
    free(flight);
  }
}

/// All of its blocks are there before anything is written: a disk that is full later is no matter.
static int make_file(const char *path, size_t size, uint8_t **bytes) {
  if (unlink(path) != 0 && errno != ENOENT) {
    return -errno;
  }
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return -errno;
  }
  int failed = posix_fallocate(fd, 0, (off_t)size);
  void *mapped = MAP_FAILED;
  if (failed == 0) {
    mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    failed = mapped == MAP_FAILED ? errno : 0;
  }
  close(fd);
  if (failed != 0) {
    unlink(path);
    return -failed;
  }
  *bytes = mapped;
  return 0;
}

static void put_u16(uint8_t *bytes, uint16_t value) {
  bytes[0] = (uint8_t)value;
  bytes[1] = (uint8_t)(value >> 8);
}

static void format_head(uint8_t *head, size_t count, size_t ring_size) {
  memcpy(head, TRP_FLIGHT_MAGIC, sizeof TRP_FLIGHT_MAGIC - 1);
  put_u16(head + 12, TRP_FLIGHT_MAJOR);
  put_u16(head + 14, TRP_FLIGHT_MINOR);
  trp_put_u32(head + 16, TRP_FLIGHT_HEADER_SIZE);
  trp_put_u32(head + 20, (uint32_t)count);
  trp_put_u32(head + 24, (uint32_t)ring_size);
  put_u16(head + 28, TROUPE_VERSION_MAJOR);
  put_u16(head + 30, TROUPE_VERSION_MINOR);
  put_u16(head + 32, TROUPE_VERSION_PATCH);
  trp_put_u32(head + TRP_FLIGHT_HEADER_SIZE - 4, trp_crc(0, head, TRP_FLIGHT_HEADER_SIZE - 4));
}

static void lock(trp_flight_t *flight) {
  while (atomic_flag_test_and_set_explicit(&flight->lock, memory_order_acquire)) {
  }
}

static void unlock(trp_flight_t *flight) {
  atomic_flag_clear_explicit(&flight->lock, memory_order_release);
}

trp_ring_t *trp_ring_take(trp_flight_t *flight, const trp_start_t *start) {
  trp_ring_t *ring = NULL;
  lock(flight);
  for (size_t i = 0; i < flight->ring_count && ring == NULL; i++) {
    trp_ring_t *next = &flight->rings[(flight->next + i) % flight->ring_count];
    if (!next->taken) {
      ring = next;
      ring->taken = true;
      flight->next = (flight->next + i + 1) % flight->ring_count;
    }
  }
  unlock(flight);
  if (ring == NULL) {
    return NULL;
  }
  atomic_fetch_add(&flight->users, 1);
  trp_start_t shown = *start;
  shown.argument = NULL;
  shown.argument_size = 0;
  size_t size = trp_start_size(&shown);
  ring->user++;
  ring->sequence = 0;
  store(ring->head + 8, 0);
  trp_format_start(ring->head + TRP_FLIGHT_START_AT, &shown);
  trp_put_u32(ring->head + 16, (uint32_t)size);
  trp_put_u32(ring->head + 20, trp_crc(0, ring->head + TRP_FLIGHT_START_AT, size));
  store(ring->head + 8, ring->user);
  return ring;
}

void trp_ring_give(trp_ring_t *ring) {
  trp_flight_t *flight = ring->flight;
  lock(flight);
  ring->taken = false;
  unlock(flight);
  trp_flight_release(flight);
}

trp_flight_t *trp_ring_flight(const trp_ring_t *ring) {
  return ring->flight;
}

void trp_ring_batch(trp_ring_t *ring, uint16_t type, int64_t clock_ns, uint64_t subject,
                    const trp_frame_t *envelope, trp_message_t *const *messages, size_t count,
                    trp_frame_t *const *frames) {
  size_t most = ring->flight->payload_bytes;
  trp_record_head_t head = {.type = type == TRP_RECORD_IN ? TRP_RECORD_IN_CUT : TRP_RECORD_OUT_CUT,
                            .clock_ns = clock_ns,
                            .subject = subject,
                            .length = 4 + envelope->size};
  for (size_t i = 0; i < count; i++) {
    if (messages[i]->frame != 0) {
      head.length += TRP_CUT_HEAD_SIZE + (messages[i]->length < most ? messages[i]->length : most);
    }
  }
  cursor_t cursor;
  if (!begin(&cursor, ring, &head)) {
    return;
  }
  uint8_t bytes[TRP_CUT_HEAD_SIZE] = {0};
  trp_put_u32(bytes, (uint32_t)envelope->size);
  put(&cursor, bytes, 4);
  put(&cursor, envelope->bytes, envelope->size);
  for (size_t i = 0; i < count; i++) {
    const trp_message_t *message = messages[i];
    if (message->frame != 0) {
      size_t kept = message->length < most ? message->length : most;
      trp_put_u32(bytes, (uint32_t)kept);
      trp_put_u32(bytes + 4, 0); // no hash: it would cost more than all the rest
      put(&cursor, bytes, sizeof bytes);
      put(&cursor, frames[message->frame - 1]->bytes + message->offset, kept);
    }
  }
  finish(&cursor, &head);
}

void trp_ring_value(trp_ring_t *ring, uint16_t type, int64_t clock_ns, uint64_t subject,
                    int64_t value) {
  uint8_t bytes[TRP_RECORD_VALUE_SIZE];
  trp_record_head_t head = {
      .type = type, .clock_ns = clock_ns, .subject = subject, .length = sizeof bytes};
  cursor_t cursor;
  if (begin(&cursor, ring, &head)) {
    trp_put_u64(bytes, (uint64_t)value);
    put(&cursor, bytes, sizeof bytes);
    finish(&cursor, &head);
  }
}

static bool begin(cursor_t *cursor, trp_ring_t *ring, trp_record_head_t *head) {
  if (head->length > ring->size / LARGEST_PART) {
    ring->sequence++; // the hole in the numbers tells
    return false;
  }
  head->sequence = ++ring->sequence;
  size_t offset = (size_t)(ring->end % ring->size);
  *cursor = (cursor_t){.ring = ring, .at = ring->end + TRP_RECORD_HEAD_SIZE};
  if (offset + TRP_RECORD_HEAD_SIZE + (size_t)head->length <= ring->size) {
    cursor->straight = ring->bytes + offset + TRP_RECORD_HEAD_SIZE;
  } else {
    cursor->checksum = trp_record_checksum(head);
  }
  return true;
}

/// The head goes in last, since it has the checksum; then the record is counted.
static void finish(cursor_t *cursor, trp_record_head_t *head) {
  trp_ring_t *ring = cursor->ring;
  uint8_t bytes[TRP_RECORD_HEAD_SIZE];
  head->checksum = cursor->checksum;
  trp_format_head(bytes, head);
  if (cursor->straight != NULL) {
    uint8_t *begin = cursor->straight - head->length - sizeof bytes;
    memcpy(begin + 4, bytes + 4, sizeof bytes - 4);
    trp_put_u32(begin, trp_crc(0, begin + 4, sizeof bytes - 4 + (size_t)head->length));
  } else {
    copy_in(ring, ring->end, bytes, sizeof bytes);
  }
  uint64_t size = (cursor->at - ring->end + 7) / 8 * 8;
  uint8_t tail[TRP_FLIGHT_TAIL_SIZE];
  trp_put_u32(tail, (uint32_t)size);
  trp_put_u32(tail + 4, (uint32_t)ring->user);
  copy_in(ring, ring->end + size, tail, sizeof tail);
  ring->end += size + sizeof tail;
  store(ring->head, ring->end);
}

static void put(cursor_t *cursor, const void *bytes, size_t length) {
  cursor->at += length;
  if (cursor->straight != NULL) {
    memcpy(cursor->straight, bytes, length);
    cursor->straight += length;
    return;
  }
  cursor->checksum = trp_crc(cursor->checksum, bytes, length);
  copy_in(cursor->ring, cursor->at - length, bytes, length);
}

static void copy_in(trp_ring_t *ring, uint64_t at, const void *bytes, size_t length) {
  size_t offset = (size_t)(at % ring->size);
  size_t first = length < ring->size - offset ? length : ring->size - offset;
  if (length > 0) {
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a ring has bytes
    memcpy(ring->bytes + offset, bytes, first);
    memcpy(ring->bytes, (const uint8_t *)bytes + first, length - first);
  }
}

/// Little endian, and in one piece, behind all that was written before.
static void store(uint8_t *at, uint64_t value) {
  uint8_t bytes[sizeof value];
  uint64_t as_stored = 0;
  trp_put_u64(bytes, value);
  memcpy(&as_stored, bytes, sizeof as_stored);
  atomic_store_explicit((_Atomic uint64_t *)(void *)at, as_stored, memory_order_release);
}
