/// The file is read whole, since it has one fixed size, and may be written to meanwhile. Nothing in
/// it is believed: a ring is read back from its end as far as sizes, marks and checksums agree.
#include "core/trace/flight_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <troupe/error.h>
#include <unistd.h>

#include "core/support/array.h"
#include "core/trace/crc.h"
#include "core/trace/flight_format.h"

/// Where a record of a ring stands, and when it was written.
typedef struct {
  uint64_t at; // in the count of all bytes written
  int64_t clock_ns;
} place_t;

typedef struct {
  const uint8_t *head;
  const uint8_t *bytes;
  size_t size; // of the bytes
  trp_start_t start;
  bool start_told;
  place_t *places; // the oldest first
  size_t count, next;
} ring_t;

struct trp_flight_file {
  trp_trace_header_t header;
  uint8_t *bytes;
  size_t size;
  ring_t *rings;
  size_t ring_count;
  uint8_t *record; // a record that goes over the end of its ring, put together
  size_t capacity;
};

static int read_all(trp_flight_file_t *flight, int fd);
static int parse_head(trp_flight_file_t *flight);
static int find_records(ring_t *ring);
static void copy_out(const ring_t *ring, uint64_t at, void *to, size_t length);
static int check_record(const ring_t *ring, uint64_t at, size_t size, trp_record_head_t *head);
static int take(trp_flight_file_t *flight, ring_t *ring, trp_record_t *record);

int trp_flight_file_open(const char *path, trp_flight_file_t **flight) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    return -errno;
  }
  trp_flight_file_t *made = calloc(1, sizeof *made);
  int error = made == NULL ? TROUPE_ENOMEM : read_all(made, fd);
  close(fd);
  if (error == 0) {
    error = parse_head(made);
  }
  for (size_t i = 0; error == 0 && i < made->ring_count; i++) {
    error = find_records(&made->rings[i]);
  }
  if (error != 0) {
    trp_flight_file_close(&made);
    return error;
  }
  *flight = made;
  return 0;
}

void trp_flight_file_close(trp_flight_file_t **flight) {
  trp_flight_file_t *f = *flight;
  if (f == NULL) {
    return;
  }
  *flight = NULL;
  for (size_t i = 0; i < f->ring_count; i++) {
    free(f->rings[i].places);
  }
  free(f->rings);
  free(f->bytes);
  free(f->record);
  free(f);
}

const trp_trace_header_t *trp_flight_file_header(const trp_flight_file_t *flight) {
  return &flight->header;
}

uint64_t trp_flight_file_size(const trp_flight_file_t *flight) {
  return flight->size;
}

static int read_all(trp_flight_file_t *flight, int fd) {
  struct stat status;
  uint8_t magic[sizeof TRP_FLIGHT_MAGIC - 1];
  if (fstat(fd, &status) != 0) {
    return -errno;
  }
  // Everything else is the trace reader's, with its errors.
  if (!S_ISREG(status.st_mode) || pread(fd, magic, sizeof magic, 0) != (ssize_t)sizeof magic ||
      memcmp(magic, TRP_FLIGHT_MAGIC, sizeof magic) != 0) {
    return TROUPE_ENOTSUP;
  }
  if ((uint64_t)status.st_size > SIZE_MAX / 2) {
    return TROUPE_ENOMEM;
  }
  size_t size = (size_t)status.st_size;
  flight->bytes = malloc(size);
  if (flight->bytes == NULL) {
    return TROUPE_ENOMEM;
  }
  while (flight->size < size) {
    ssize_t count = pread(fd, flight->bytes + flight->size, size - flight->size,
                          (off_t)flight->size);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return -errno;
    }
    if (count == 0) {
      break; // it has become shorter
    }
    flight->size += (size_t)count;
  }
  return 0;
}

static uint16_t get_u16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static int parse_head(trp_flight_file_t *flight) {
  const uint8_t *head = flight->bytes;
  if (flight->size < TRP_FLIGHT_PAGE) {
    return TROUPE_EBADTRACE;
  }
  flight->header.major = get_u16(head + 12);
  flight->header.minor = get_u16(head + 14);
  flight->header.size = trp_get_u32(head + 16);
  if (flight->header.major > TRP_FLIGHT_MAJOR) {
    return TROUPE_ETRACEVERSION;
  }
  if (flight->header.size < TRP_FLIGHT_HEADER_SIZE || flight->header.size > TRP_FLIGHT_PAGE ||
      trp_get_u32(head + flight->header.size - 4) != trp_crc(0, head, flight->header.size - 4)) {
    return TROUPE_EBADTRACE;
  }
  size_t count = trp_get_u32(head + 20);
  size_t ring_size = trp_get_u32(head + 24);
  for (size_t i = 0; i < 3; i++) {
    flight->header.version[i] = get_u16(head + 28 + 2 * i);
  }
  if (ring_size <= TRP_FLIGHT_PAGE || ring_size % 8 != 0 || count > TRP_FLIGHT_RINGS_MAX) {
    return TROUPE_EBADTRACE;
  }
  // A file that was cut has the rings that are whole.
  size_t there = (flight->size - TRP_FLIGHT_PAGE) / ring_size;
  count = count < there ? count : there;
  flight->rings = calloc(count == 0 ? 1 : count, sizeof *flight->rings);
  if (flight->rings == NULL) {
    return TROUPE_ENOMEM;
  }
  flight->ring_count = count;
  for (size_t i = 0; i < count; i++) {
    ring_t *ring = &flight->rings[i];
    ring->head = flight->bytes + TRP_FLIGHT_PAGE + i * ring_size;
    ring->bytes = ring->head + TRP_FLIGHT_PAGE;
    ring->size = ring_size - TRP_FLIGHT_PAGE;
  }
  return 0;
}

/// Goes back from the end, record by record.
static int find_records(ring_t *ring) {
  uint64_t end = trp_get_u64(ring->head);
  uint64_t user = trp_get_u64(ring->head + 8);
  uint32_t start_size = trp_get_u32(ring->head + 16);
  const uint8_t *start = ring->head + TRP_FLIGHT_START_AT;
  if (user == 0 || start_size > TRP_FLIGHT_PAGE - TRP_FLIGHT_START_AT ||
      trp_crc(0, start, start_size) != trp_get_u32(ring->head + 20) ||
      trp_parse_start(start, start_size, &ring->start) != 0) {
    return 0; // never used, or being taken at that moment
  }
  ring->start.argument = NULL;
  uint64_t oldest = end > ring->size ? end - ring->size : 0;
  size_t capacity = 0;
  for (uint64_t at = end; at - oldest >= TRP_FLIGHT_TAIL_SIZE + TRP_RECORD_HEAD_SIZE;) {
    uint8_t tail[TRP_FLIGHT_TAIL_SIZE];
    copy_out(ring, at - sizeof tail, tail, sizeof tail);
    size_t size = trp_get_u32(tail);
    if (size < TRP_RECORD_HEAD_SIZE || size % 8 != 0 || size > at - oldest - TRP_FLIGHT_TAIL_SIZE ||
        trp_get_u32(tail + 4) != (uint32_t)user) {
      break;
    }
    at -= TRP_FLIGHT_TAIL_SIZE + size;
    trp_record_head_t head;
    if (check_record(ring, at, size, &head) != 0) {
      break;
    }
    place_t *places = trp_array_room(ring->places, &capacity, ring->count, sizeof *places);
    if (places == NULL) {
      return TROUPE_ENOMEM;
    }
    ring->places = places;
    places[ring->count++] = (place_t){.at = at, .clock_ns = head.clock_ns};
  }
  for (size_t i = 0; i < ring->count / 2; i++) {
    place_t saved = ring->places[i];
    ring->places[i] = ring->places[ring->count - 1 - i];
    ring->places[ring->count - 1 - i] = saved;
  }
  return 0;
}

static void copy_out(const ring_t *ring, uint64_t at, void *to, size_t length) {
  size_t offset = (size_t)(at % ring->size);
  size_t first = length < ring->size - offset ? length : ring->size - offset;
  memcpy(to, ring->bytes + offset, first);
  memcpy((uint8_t *)to + first, ring->bytes, length - first);
}

static int check_record(const ring_t *ring, uint64_t at, size_t size, trp_record_head_t *head) {
  uint8_t bytes[TRP_RECORD_HEAD_SIZE];
  copy_out(ring, at, bytes, sizeof bytes);
  trp_parse_head(bytes, head);
  if (head->length > size - sizeof bytes || size - sizeof bytes - head->length >= 8) {
    return TROUPE_EBADTRACE;
  }
  uint32_t checksum = trp_crc(0, bytes + 4, sizeof bytes - 4);
  size_t length = (size_t)head->length;
  size_t offset = (size_t)((at + sizeof bytes) % ring->size);
  size_t first = length < ring->size - offset ? length : ring->size - offset;
  checksum = trp_crc(checksum, ring->bytes + offset, first);
  checksum = trp_crc(checksum, ring->bytes, length - first);
  return checksum == head->checksum ? 0 : TROUPE_EBADTRACE;
}

int trp_flight_file_next(trp_flight_file_t *flight, trp_record_t *record,
                         const trp_start_t **start) {
  ring_t *earliest = NULL;
  for (size_t i = 0; i < flight->ring_count; i++) { // as many as there are threads
    ring_t *ring = &flight->rings[i];
    if (ring->next < ring->count &&
        (earliest == NULL ||
         ring->places[ring->next].clock_ns < earliest->places[earliest->next].clock_ns)) {
      earliest = ring;
    }
  }
  if (earliest == NULL) {
    return 0;
  }
  *start = &earliest->start;
  return take(flight, earliest, record);
}

static int take(trp_flight_file_t *flight, ring_t *ring, trp_record_t *record) {
  place_t place = ring->places[ring->next];
  uint8_t bytes[TRP_RECORD_HEAD_SIZE];
  *record = (trp_record_t){.position = (uint64_t)(ring->bytes - flight->bytes) +
                                       place.at % ring->size};
  if (!ring->start_told) {
    // In front of the first that is left, at its time: when the actor began may be long ago.
    ring->start_told = true;
    record->head = (trp_record_head_t){.type = TRP_RECORD_START, .clock_ns = place.clock_ns};
    return 1;
  }
  ring->next++;
  copy_out(ring, place.at, bytes, sizeof bytes);
  trp_parse_head(bytes, &record->head);
  size_t length = (size_t)record->head.length;
  size_t offset = (size_t)((place.at + sizeof bytes) % ring->size);
  if (length <= ring->size - offset) {
    record->body = ring->bytes + offset;
    return 1;
  }
  if (length > flight->capacity) {
    uint8_t *grown = realloc(flight->record, length); // less than a ring
    if (grown == NULL) {
      return TROUPE_ENOMEM;
    }
    flight->record = grown;
    flight->capacity = length;
  }
  copy_out(ring, place.at + sizeof bytes, flight->record, length);
  record->body = flight->record;
  return 1;
}
