#include "tests/harness/harness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <troupe/error.h>
#include <unistd.h>

#include "tests/trace/tape.h"

static char path[4096];

static const char *path_of(const char *name) {
  snprintf(path, sizeof path, "%s/%s", trp_test_folder(), name);
  return path;
}

static void add_batch(trp_tape_t *tape, trp_record_type_t type, uint64_t subject, int64_t clock_ns,
                      const char *bytes) {
  trp_pool_t *pool = NULL;
  trp_out_t out;
  trp_in_t in;
  assert_int_equal(trp_pool_new(&pool), 0);
  trp_out_init(&out, type == TRP_RECORD_IN ? subject : 7, subject, pool);
  trp_message_t *message = trp_out_add(&out, TRP_KIND(EVENT_DATA), 77);
  assert_non_null(message);
  assert_int_equal(trp_out_copy(&out, message, bytes, strlen(bytes)), 0);
  assert_int_equal(trp_out_pack(&out), 0);
  trp_in_init(&in);
  assert_int_equal(trp_in_push(&in, trp_frame_hold(out.envelope)), 0);
  for (size_t i = 0; i < out.frame_count; i++) {
    assert_int_equal(trp_in_push(&in, trp_frame_hold(out.frames[i])), 0);
  }
  assert_int_equal(trp_in_open(&in), 0);
  trp_record_head_t head = {.type = (uint16_t)type, .clock_ns = clock_ns, .subject = subject};
  trp_tape_insert(tape, tape->count, head, "");
  trp_tape_set_batch(&tape->records[tape->count - 1], &in, 0, 1, NULL);
  trp_in_free(&in);
  trp_out_free(&out);
  trp_pool_close(&pool);
}

static void add_start(trp_tape_t *tape, const trp_start_t *start) {
  trp_record_head_t head = {.type = TRP_RECORD_START, .length = trp_start_size(start)};
  uint8_t body[1024];
  trp_format_start(body, start);
  trp_tape_insert(tape, tape->count, head, body);
}

static const trp_start_t a_start = {.id = 70,
                                    .name = "somebody",
                                    .index = 3,
                                    .group = 71,
                                    .io_actors = 2,
                                    .seed = UINT64_C(0x8000000000000001),
                                    .clock_ns = -5,
                                    .auto_select_family = -1,
                                    .attempt_timeout_ms = 250,
                                    .argument = "an argument",
                                    .argument_size = 12};

/// A small trace with a record of each kind.
static size_t write_small(const char *name) {
  trp_tape_t tape = {.flags = TRP_TRACE_COMPLETE};
  uint8_t value[8];
  add_start(&tape, &a_start);
  add_batch(&tape, TRP_RECORD_IN, 1, 100, "what came");
  trp_put_u64(value, (uint64_t)-4304);
  trp_tape_insert(&tape, tape.count,
                  (trp_record_head_t){.type = TRP_RECORD_CALL, .length = 8, .subject = 1}, value);
  add_batch(&tape, TRP_RECORD_OUT, 2, 100, "what went");
  trp_put_u64(value, 5000);
  trp_tape_insert(&tape, tape.count,
                  (trp_record_head_t){.type = TRP_RECORD_GAP, .length = 8, .subject = 50}, value);
  trp_put_u64(value, 42);
  trp_tape_insert(&tape, tape.count, (trp_record_head_t){.type = TRP_RECORD_END, .length = 8},
                  value);
  trp_tape_save(&tape, path_of(name));
  size_t count = tape.count;
  trp_tape_free(&tape);
  return count;
}

static size_t load(uint8_t **bytes) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  *bytes = malloc(65536);
  assert_non_null(*bytes);
  size_t length = fread(*bytes, 1, 65536, file);
  fclose(file);
  return length;
}

static void save(const char *name, const uint8_t *bytes, size_t length) {
  remove(path_of(name)); // some file systems write to the disk at once what is written over a file
  FILE *file = fopen(path_of(name), "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
}

static void everything_that_was_written_is_read(void **state) {
  (void)state;
  write_small("small");
  trp_reader_t *reader = NULL;
  trp_record_t record;
  trp_start_t start;
  int64_t value = 0;
  assert_int_equal(trp_reader_open(path, &reader), 0);
  const trp_trace_header_t *header = trp_reader_header(reader);
  assert_int_equal(header->major, TRP_TRACE_MAJOR);
  assert_int_equal(header->flags, TRP_TRACE_COMPLETE);
  assert_int_equal(header->version[0], TROUPE_VERSION_MAJOR);
  assert_int_equal(header->version[1], TROUPE_VERSION_MINOR);

  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(record.head.type, TRP_RECORD_START);
  assert_int_equal(trp_parse_start(record.body, record.head.length, &start), 0);
  assert_int_equal(start.id, 70);
  assert_string_equal(start.name, "somebody");
  assert_int_equal(start.index, 3);
  assert_int_equal(start.group, 71);
  assert_int_equal(start.io_actors, 2);
  assert_true(start.seed == UINT64_C(0x8000000000000001));
  assert_int_equal(start.clock_ns, -5);
  assert_int_equal(start.auto_select_family, -1);
  assert_int_equal(start.attempt_timeout_ms, 250);
  assert_int_equal(start.argument_size, 12);
  assert_string_equal(start.argument, "an argument");

  trp_in_t in;
  trp_in_init(&in);
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(record.head.type, TRP_RECORD_IN);
  assert_int_equal(record.head.sequence, 2);
  assert_int_equal(record.head.clock_ns, 100);
  assert_int_equal(record.head.subject, 1);
  assert_int_equal(trp_parse_batch(record.body, record.head.length, &in), 0);
  assert_int_equal(in.batch->n_messages, 1);
  assert_int_equal(in.batch->sender, 1);
  assert_memory_equal(trp_in_payload(&in, in.batch->messages[0]), "what came", 9);

  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(record.head.type, TRP_RECORD_CALL);
  assert_int_equal(record.head.subject, 1);
  assert_int_equal(trp_record_value(&record, &value), 0);
  assert_int_equal(value, -4304);

  trp_in_reset(&in);
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(record.head.type, TRP_RECORD_OUT);
  assert_int_equal(record.head.subject, 2);
  assert_int_equal(trp_parse_batch(record.body, record.head.length, &in), 0);
  assert_memory_equal(trp_in_payload(&in, in.batch->messages[0]), "what went", 9);
  trp_in_free(&in);

  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(record.head.type, TRP_RECORD_GAP);
  assert_int_equal(record.head.subject, 50);
  assert_int_equal(trp_record_value(&record, &value), 0);
  assert_int_equal(value, 5000);
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(record.head.type, TRP_RECORD_END);
  assert_int_equal(trp_record_value(&record, &value), 0);
  assert_int_equal(value, 42);
  assert_int_equal(trp_reader_next(reader, &record), 0);
  assert_int_equal(trp_reader_next(reader, &record), 0);
  assert_int_equal(record.position, trp_reader_size(reader));
  trp_reader_close(&reader);
  assert_null(reader);
}

/// Reads what there is, and everything in it. The number of whole records; `*result` is what the
/// reader ended with.
static size_t read_all(const char *name, int *result) {
  trp_reader_t *reader = NULL;
  trp_record_t record;
  size_t count = 0;
  *result = trp_reader_open(path_of(name), &reader);
  if (*result != 0) {
    return 0;
  }
  while ((*result = trp_reader_next(reader, &record)) == 1) {
    trp_start_t start;
    int64_t value = 0;
    trp_in_t in;
    trp_in_init(&in);
    count++;
    switch (record.head.type) {
    case TRP_RECORD_START:
      assert_int_equal(trp_parse_start(record.body, record.head.length, &start), 0);
      break;
    case TRP_RECORD_IN:
    case TRP_RECORD_OUT:
      assert_int_equal(trp_parse_batch(record.body, record.head.length, &in), 0);
      break;
    default:
      assert_int_equal(trp_record_value(&record, &value), 0);
      break;
    }
    trp_in_free(&in);
  }
  trp_reader_close(&reader);
  return count;
}

static void a_file_cut_at_any_byte_reads_to_its_last_whole_record(void **state) {
  (void)state;
  uint8_t *bytes = NULL;
  size_t ends[16] = {TRP_TRACE_HEADER_SIZE};
  size_t records = write_small("whole");
  size_t length = load(&bytes);
  trp_reader_t *reader = NULL;
  trp_record_t record;
  assert_int_equal(trp_reader_open(path, &reader), 0);
  for (size_t i = 0; i < records; i++) {
    assert_int_equal(trp_reader_next(reader, &record), 1);
    ends[i + 1] = (size_t)record.position + TRP_RECORD_HEAD_SIZE + (size_t)record.head.length;
  }
  trp_reader_close(&reader);
  assert_int_equal(ends[records], length);
  for (size_t cut = 0; cut <= length; cut++) {
    size_t whole = 0;
    int result = 0;
    while (whole < records && ends[whole + 1] <= cut) {
      whole++;
    }
    save("cut", bytes, cut);
    assert_int_equal(read_all("cut", &result), whole);
    if (cut < TRP_TRACE_HEADER_SIZE) {
      assert_int_equal(result, TROUPE_EBADTRACE);
    } else {
      assert_int_equal(result, ends[whole] == cut ? 0 : TROUPE_EOF);
    }
  }
  free(bytes);
}

static void a_byte_that_is_wrong_ends_the_reading_before_its_record(void **state) {
  (void)state;
  uint8_t *bytes = NULL;
  size_t records = write_small("whole");
  size_t length = load(&bytes);
  for (size_t at = 0; at < length; at++) {
    for (unsigned bits = 1; bits <= 255; bits += bits < 128 ? bits : 127) {
      int result = 0;
      bytes[at] ^= (uint8_t)bits;
      save("wrong", bytes, length);
      size_t read = read_all("wrong", &result);
      assert_true(read < records);
      assert_true(result == TROUPE_EBADTRACE || result == TROUPE_EOF ||
                  (at < TRP_TRACE_HEADER_SIZE && result == TROUPE_ETRACEVERSION));
      bytes[at] ^= (uint8_t)bits;
    }
  }
  free(bytes);
}

static void a_length_that_the_file_does_not_have_takes_no_memory(void **state) {
  (void)state;
  uint8_t *bytes = NULL;
  write_small("whole");
  size_t length = load(&bytes);
  static const uint64_t claims[] = {UINT64_MAX, UINT64_MAX - 40, INT64_MAX, UINT64_C(1) << 62,
                                    UINT64_C(1) << 40};
  for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
    int result = 0;
    trp_put_u64(bytes + TRP_TRACE_HEADER_SIZE + 8, claims[i]);
    save("claims", bytes, length);
    int64_t before = trp_test_rss_bytes();
    assert_int_equal(read_all("claims", &result), 0);
    assert_int_equal(result, TROUPE_EOF);
    assert_true(trp_test_rss_bytes() - before < 64 * 1024 * 1024);
  }
  free(bytes);
}

static void bodies_that_lie_about_their_parts_are_refused(void **state) {
  (void)state;
  trp_start_t start;
  uint8_t body[256] = {0};
  trp_format_start(body, &a_start);
  size_t length = trp_start_size(&a_start);
  assert_int_equal(trp_parse_start(body, length, &start), 0);
  assert_int_equal(trp_parse_start(body, length - 1, &start), TROUPE_EBADTRACE);
  assert_int_equal(trp_parse_start(body, length + 1, &start), TROUPE_EBADTRACE);
  assert_int_equal(trp_parse_start(body, 0, &start), TROUPE_EBADTRACE);
  trp_put_u32(body + 4, UINT32_MAX); // the name
  assert_int_equal(trp_parse_start(body, length, &start), TROUPE_EBADTRACE);
  trp_put_u32(body + 4, 64);
  assert_int_equal(trp_parse_start(body, length, &start), TROUPE_EBADTRACE);
  trp_format_start(body, &a_start);
  trp_put_u64(body + 56, UINT64_MAX); // the argument
  assert_int_equal(trp_parse_start(body, length, &start), TROUPE_EBADTRACE);
  trp_format_start(body, &a_start);
  trp_put_u32(body, UINT32_MAX); // the part of fixed size
  assert_int_equal(trp_parse_start(body, length, &start), TROUPE_EBADTRACE);

  static const uint32_t batches[][4] = {
      {0, 0, 0, 0}, {UINT32_MAX, 0, 0, 0}, {4, 0, 0, 0}, {1, UINT32_MAX, 0, 0}, {2, 4, 8, 0}};
  for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
    trp_in_t in;
    trp_in_init(&in);
    for (size_t k = 0; k < 4; k++) {
      trp_put_u32(body + 4 * k, batches[i][k]);
    }
    assert_int_equal(trp_parse_batch(body, 16, &in), TROUPE_EBADTRACE);
    trp_in_reset(&in);
    assert_int_equal(trp_parse_batch(body, 3, &in), TROUPE_EBADTRACE);
    trp_in_free(&in);
  }
}

static void what_is_no_trace_says_so(void **state) {
  (void)state;
  trp_reader_t *reader = NULL;
  uint8_t header[TRP_TRACE_HEADER_SIZE];
  assert_int_equal(trp_reader_open(path_of("nothing"), &reader), TROUPE_ENOENT);
  assert_int_equal(trp_reader_open(trp_test_folder(), &reader), TROUPE_EISDIR);
  save("empty", header, 0);
  assert_int_equal(trp_reader_open(path, &reader), TROUPE_EBADTRACE);
  save("text", (const uint8_t *)"This is a text about something else.", 36);
  assert_int_equal(trp_reader_open(path, &reader), TROUPE_EBADTRACE);
  assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
  assert_int_equal(trp_reader_open(path, &reader), TROUPE_EBADTRACE);
  trp_format_header(header, 0, 0);
  header[12]++; // the major version
  save("later", header, sizeof header);
  assert_int_equal(trp_reader_open(path, &reader), TROUPE_ETRACEVERSION);
  if (geteuid() != 0) {
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(trp_reader_open(path, &reader), TROUPE_EACCES);
  }
  assert_null(reader);
}

static void a_header_that_a_later_minor_version_made_longer_is_read(void **state) {
  (void)state;
  uint8_t *bytes = NULL;
  uint8_t longer[65536];
  size_t records = write_small("whole");
  size_t length = load(&bytes);
  enum { MORE = 24 };
  memcpy(longer, bytes, TRP_TRACE_HEADER_SIZE);
  memset(longer + TRP_TRACE_HEADER_SIZE, 0x5a, MORE);
  memcpy(longer + TRP_TRACE_HEADER_SIZE + MORE, bytes + TRP_TRACE_HEADER_SIZE,
         length - TRP_TRACE_HEADER_SIZE);
  longer[14]++;
  trp_put_u32(longer + 16, TRP_TRACE_HEADER_SIZE + MORE);
  trp_put_u32(longer + TRP_TRACE_HEADER_SIZE + MORE - 4,
              trp_crc(0, longer, TRP_TRACE_HEADER_SIZE + MORE - 4));
  save("longer", longer, length + MORE);
  int result = 0;
  assert_int_equal(read_all("longer", &result), records);
  assert_int_equal(result, 0);
  free(bytes);
}

static void a_file_that_grows_is_read_further(void **state) {
  (void)state;
  uint8_t *bytes = NULL;
  write_small("whole");
  size_t length = load(&bytes);
  trp_reader_t *reader = NULL;
  trp_record_t record;
  save("growing", bytes, TRP_TRACE_HEADER_SIZE);
  assert_int_equal(trp_reader_open(path, &reader), 0);
  FILE *file = fopen(path, "ab");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes + TRP_TRACE_HEADER_SIZE, 1, length - TRP_TRACE_HEADER_SIZE, file),
                   length - TRP_TRACE_HEADER_SIZE);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(trp_reader_next(reader, &record), 1);
  assert_int_equal(trp_reader_size(reader), length);
  trp_reader_close(&reader);
  free(bytes);
}

static void a_record_larger_than_the_window_is_read_whole(void **state) {
  (void)state;
  enum { LARGE = 3 * 1024 * 1024 };
  trp_tape_t tape = {.flags = TRP_TRACE_COMPLETE};
  char *text = malloc(LARGE + 1);
  assert_non_null(text);
  memset(text, 'x', LARGE);
  text[LARGE] = '\0';
  add_start(&tape, &a_start);
  add_batch(&tape, TRP_RECORD_IN, 1, 1, text);
  add_batch(&tape, TRP_RECORD_IN, 1, 2, "little");
  trp_tape_save(&tape, path_of("large"));
  trp_tape_free(&tape);
  free(text);
  int result = 0;
  assert_int_equal(read_all("large", &result), 3);
  assert_int_equal(result, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test_that_leaves_nothing(everything_that_was_written_is_read),
      trp_test(a_file_cut_at_any_byte_reads_to_its_last_whole_record),
      trp_test(a_byte_that_is_wrong_ends_the_reading_before_its_record),
      trp_test(a_length_that_the_file_does_not_have_takes_no_memory),
      trp_test(bodies_that_lie_about_their_parts_are_refused),
      trp_test_that_leaves_nothing(what_is_no_trace_says_so),
      trp_test(a_header_that_a_later_minor_version_made_longer_is_read),
      trp_test(a_file_that_grows_is_read_further),
      trp_test(a_record_larger_than_the_window_is_read_whole),
  };
  return TRP_RUN_TESTS("reader", tests);
}
