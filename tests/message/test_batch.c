#include "tests/harness/harness.h"

#include "core/message/batch.h"
#include "core/message/credit.h"
#include "core/message/frame_zmq.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

enum { SENDER = 77, RECEIVER = 99 };

typedef struct {
  trp_pool_t *pool;
  trp_out_t out;
  trp_in_t in;
} world_t;

static int set_up(void **state) {
  world_t *w = calloc(1, sizeof *w);
  assert_non_null(w);
  assert_int_equal(trp_pool_new(&w->pool), 0);
  trp_out_init(&w->out, SENDER, RECEIVER, w->pool);
  trp_in_init(&w->in);
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  world_t *w = *state;
  trp_in_free(&w->in);
  trp_out_free(&w->out);
  trp_pool_close(&w->pool);
  trp_frame_thread_end();
  free(w);
  return 0;
}

// What a pipe does, within one thread.
static int carry(world_t *w) {
  trp_in_reset(&w->in);
  if (w->out.envelope == NULL) {
    assert_int_equal(trp_out_pack(&w->out), 0);
  }
  assert_int_equal(trp_in_push(&w->in, trp_frame_hold(w->out.envelope)), 0);
  for (size_t i = 0; i < w->out.frame_count; i++) {
    assert_int_equal(trp_in_push(&w->in, trp_frame_hold(w->out.frames[i])), 0);
  }
  trp_out_reset(&w->out);
  return trp_in_open(&w->in);
}

static trp_message_t *add(world_t *w) {
  trp_message_t *message = trp_out_add(&w->out, TRP_KIND(EVENT_DATA), 5);
  assert_non_null(message);
  return message;
}

static void an_empty_batch_arrives_empty(void **state) {
  world_t *w = *state;
  assert_true(trp_out_empty(&w->out));
  w->out.window = 12345;
  assert_int_equal(carry(w), 0);
  assert_int_equal(w->in.batch->sender, SENDER);
  assert_int_equal(w->in.batch->n_messages, 0);
  assert_int_equal(w->in.batch->window, 12345);
}

static void what_goes_in_comes_out(void **state) {
  world_t *w = *state;
  w->out.cause_sender = UINT64_MAX;
  w->out.cause_sequence = 1;
  trp_message_t *first = trp_out_add(&w->out, TRP_KIND(EVENT_CLOSE), UINT64_MAX - 1);
  first->through = UINT64_MAX;
  first->epoch = UINT32_MAX;
  first->flags = TRP_FLAG(HAD_ERROR);
  trp_message_t *second = trp_out_add(&w->out, TRP_KIND(EVENT_ERROR), 0);
  Troupe__Wire__Error *error = trp_out_take(&w->out, sizeof *error);
  *error = (Troupe__Wire__Error)TROUPE__WIRE__ERROR__INIT;
  error->code = TROUPE_ECONNREFUSED;
  error->syscall = trp_out_text(&w->out, "connect");
  error->address = trp_out_text(&w->out, NULL);
  second->detail_case = TRP_DETAIL(ERROR);
  second->error = error;
  assert_int_equal(carry(w), 0);

  const trp_wire_batch_t *batch = w->in.batch;
  assert_int_equal(batch->n_messages, 2);
  assert_int_equal(batch->first_sequence, 1);
  assert_true(batch->cause_sender == UINT64_MAX);
  assert_int_equal(batch->cause_sequence, 1);
  assert_int_equal(batch->messages[0]->kind, TRP_KIND(EVENT_CLOSE));
  assert_true(batch->messages[0]->subject == UINT64_MAX - 1);
  assert_true(batch->messages[0]->through == UINT64_MAX);
  assert_int_equal(batch->messages[0]->epoch, UINT32_MAX);
  assert_int_equal(batch->messages[0]->flags, TRP_FLAG(HAD_ERROR));
  assert_int_equal(batch->messages[0]->detail_case, 0);
  assert_null(trp_in_payload(&w->in, batch->messages[0]));
  assert_null(trp_in_frame(&w->in, batch->messages[0]));
  assert_int_equal(batch->messages[1]->detail_case, TRP_DETAIL(ERROR));
  assert_int_equal(batch->messages[1]->error->code, TROUPE_ECONNREFUSED);
  assert_string_equal(batch->messages[1]->error->syscall, "connect");
  assert_string_equal(batch->messages[1]->error->address, "");
}

static void sequences_go_on_from_batch_to_batch(void **state) {
  world_t *w = *state;
  uint64_t expected = 1;
  for (uint64_t count = 0; count < 20; count++) {
    for (uint64_t i = 0; i < count; i++) {
      add(w);
    }
    assert_int_equal(carry(w), 0);
    assert_int_equal(w->in.batch->first_sequence, expected);
    expected += count;
  }
}

static void copies_of_every_size_arrive(void **state) {
  world_t *w = *state;
  enum { COUNT = 60 };
  static uint8_t bytes[COUNT][200 * 1024];
  size_t lengths[COUNT];
  trp_test_random_t random;
  trp_test_random_start(&random, 3);
  for (int round = 0; round < 5; round++) {
    for (size_t i = 0; i < COUNT; i++) {
      static const size_t bounds[] = {2, 100, TRP_READ_SIZE / 4 + 2, sizeof bytes[0]};
      lengths[i] = (size_t)trp_test_random_below(&random, bounds[i % 4]);
      trp_test_random_bytes(&random, bytes[i], lengths[i]);
      assert_int_equal(trp_out_copy(&w->out, add(w), bytes[i], lengths[i]), 0);
    }
    assert_int_equal(carry(w), 0);
    assert_int_equal(w->in.batch->n_messages, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
      const trp_message_t *message = w->in.batch->messages[i];
      assert_int_equal(message->length, lengths[i]);
      assert_memory_equal(trp_in_payload(&w->in, message), bytes[i], lengths[i]);
    }
  }
}

// A large copy goes where an earlier one was, not into memory that has to be mapped first.
static void copies_up_to_a_block_use_its_memory_again(void **state) {
  world_t *w = *state;
  static uint8_t bytes[TRP_BLOCK_SIZE];
  const uint8_t *before = NULL;
  for (int round = 0; round < 5; round++) {
    bytes[0] = (uint8_t)round;
    assert_int_equal(trp_out_copy(&w->out, add(w), bytes, sizeof bytes / 2), 0);
    assert_int_equal(trp_out_copy(&w->out, add(w), bytes, sizeof bytes / 2), 0);
    assert_int_equal(carry(w), 0);
    assert_int_equal(w->in.frame_count, 1);
    const uint8_t *payload = trp_in_payload(&w->in, w->in.batch->messages[0]);
    assert_memory_equal(payload, bytes, sizeof bytes / 2);
    assert_true(before == NULL || payload == before);
    before = payload;
    trp_in_reset(&w->in);
  }
  assert_int_equal(trp_out_copy(&w->out, add(w), bytes, sizeof bytes), 0);
  assert_int_equal(carry(w), 0);
  assert_ptr_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), before);
}

static void a_copy_of_more_than_the_wire_can_say_is_refused(void **state) {
  world_t *w = *state;
  assert_int_equal(trp_out_copy(&w->out, add(w), "", (size_t)UINT32_MAX + 1), TROUPE_EINVAL);
}

// As the I/O actor reads: room is reserved, the kernel fills some of it.
static void what_is_read_over_several_blocks_arrives_in_order(void **state) {
  world_t *w = *state;
  enum { COUNT = 100 };
  trp_test_random_t random;
  uint32_t lengths[COUNT];
  trp_test_random_start(&random, 4);
  for (int round = 0; round < 3; round++) {
    uint8_t next = 0;
    for (size_t i = 0; i < COUNT; i++) {
      size_t room = 0;
      uint8_t *target = trp_out_reserve(&w->out, TRP_READ_MINIMUM, &room);
      assert_non_null(target);
      assert_true(room >= TRP_READ_MINIMUM);
      if (room > TRP_READ_SIZE) {
        room = TRP_READ_SIZE;
      }
      lengths[i] = (uint32_t)(1 + trp_test_random_below(&random, room));
      for (uint32_t k = 0; k < lengths[i]; k++) {
        target[k] = next++;
      }
      if (i % 7 == 0) {
        continue; // the socket had nothing to read after all: what is not committed is not sent
      }
      assert_int_equal(trp_out_commit(&w->out, add(w), lengths[i]), 0);
    }
    assert_int_equal(carry(w), 0);
    next = 0;
    size_t message = 0;
    for (size_t i = 0; i < COUNT; i++) {
      if (i % 7 == 0) {
        next = (uint8_t)(next + lengths[i]);
        continue;
      }
      const trp_message_t *m = w->in.batch->messages[message++];
      assert_int_equal(m->length, lengths[i]);
      const uint8_t *payload = trp_in_payload(&w->in, m);
      for (uint32_t k = 0; k < lengths[i]; k++) {
        assert_int_equal(payload[k], next++);
      }
    }
    assert_int_equal(message, w->in.batch->n_messages);
  }
}

static void small_pieces_share_a_frame(void **state) {
  world_t *w = *state;
  for (int i = 0; i < 100; i++) {
    assert_int_equal(trp_out_copy(&w->out, add(w), "abcdefgh", 8), 0);
  }
  assert_int_equal(carry(w), 0);
  assert_int_equal(w->in.frame_count, 1);
  assert_int_equal(w->in.frames[0]->size, 800);
}

static void a_frame_that_is_named_often_travels_once(void **state) {
  world_t *w = *state;
  trp_frame_t *frame = trp_frame_copy("0123456789", 10);
  trp_frame_t *other = trp_frame_copy("other", 5);
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < 200; i++) {
      assert_int_equal(trp_out_attach(&w->out, add(w), frame, i % 10, 10 - i % 10), 0);
    }
    assert_int_equal(trp_out_copy(&w->out, add(w), "between", 7), 0);
    assert_int_equal(trp_out_attach(&w->out, add(w), other, 0, 5), 0);
    assert_int_equal(trp_out_attach(&w->out, add(w), frame, 0, 10), 0);
    assert_int_equal(carry(w), 0);
    assert_int_equal(w->in.frame_count, 3);
    for (uint32_t i = 0; i < 200; i++) {
      const trp_message_t *message = w->in.batch->messages[i];
      assert_int_equal(message->length, 10 - i % 10);
      assert_memory_equal(trp_in_payload(&w->in, message), &"0123456789"[i % 10],
                          message -> length);
    }
    assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[200]), "between", 7);
    assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[201]), "other", 5);
    assert_int_equal(w->in.batch->messages[202]->frame, w->in.batch->messages[0]->frame);
  }
  trp_frame_release(frame);
  trp_frame_release(other);
}

static void a_frame_can_be_in_two_batches_at_once(void **state) {
  world_t *w = *state;
  trp_out_t second;
  trp_out_init(&second, SENDER, RECEIVER + 1, w->pool);
  trp_frame_t *frame = trp_frame_copy("shared", 6);
  for (int i = 0; i < 10; i++) {
    trp_message_t *message = trp_out_add(&second, TRP_KIND(EVENT_MESSAGE), 1);
    assert_int_equal(trp_out_attach(&w->out, add(w), frame, 0, 6), 0);
    assert_int_equal(trp_out_attach(&second, message, frame, 0, 6), 0);
    assert_true(message->frame >= 1 && message->frame <= second.frame_count);
  }
  trp_frame_release(frame);
  assert_int_equal(carry(w), 0);
  assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[9]), "shared", 6);
  trp_out_free(&second);
}

static void an_echoed_payload_is_the_same_memory(void **state) {
  world_t *w = *state;
  assert_int_equal(trp_out_copy(&w->out, add(w), "echo this", 9), 0);
  assert_int_equal(carry(w), 0);
  const trp_message_t *came = w->in.batch->messages[0];
  const uint8_t *bytes = trp_in_payload(&w->in, came);
  trp_out_t back;
  trp_out_init(&back, RECEIVER, SENDER, w->pool);
  trp_message_t *reply = trp_out_add(&back, TRP_KIND(COMMAND_WRITE), 5);
  assert_int_equal(
      trp_out_attach(&back, reply, trp_in_frame(&w->in, came), came->offset, came->length), 0);
  assert_int_equal(trp_out_pack(&back), 0);
  trp_in_reset(&w->in); // the callback is over
  assert_int_equal(trp_in_push(&w->in, trp_frame_hold(back.envelope)), 0);
  assert_int_equal(trp_in_push(&w->in, trp_frame_hold(back.frames[0])), 0);
  trp_out_free(&back);
  assert_int_equal(trp_in_open(&w->in), 0);
  assert_ptr_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), bytes);
  assert_memory_equal(bytes, "echo this", 9);
}

static void a_message_that_is_taken_back_is_not_sent(void **state) {
  world_t *w = *state;
  trp_out_add(&w->out, TRP_KIND(EVENT_END), 1);
  assert_int_equal(trp_out_copy(&w->out, add(w), "lost", 4), 0);
  trp_out_undo(&w->out);
  trp_out_add(&w->out, TRP_KIND(EVENT_CLOSE), 1);
  assert_int_equal(trp_out_copy(&w->out, add(w), "kept", 4), 0);
  assert_int_equal(carry(w), 0);
  assert_int_equal(w->in.batch->n_messages, 3);
  assert_int_equal(w->in.batch->messages[1]->kind, TRP_KIND(EVENT_CLOSE));
  assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[2]), "kept", 4);
}

// A batch that could not be sent is kept, grows, and is packed anew.
static void a_batch_can_be_packed_again_when_more_was_added(void **state) {
  world_t *w = *state;
  assert_int_equal(trp_out_copy(&w->out, add(w), "one", 3), 0);
  assert_int_equal(trp_out_pack(&w->out), 0);
  assert_int_equal(trp_out_copy(&w->out, add(w), "two", 3), 0);
  assert_int_equal(trp_out_pack(&w->out), 0);
  assert_int_equal(trp_out_copy(&w->out, add(w), "three", 5), 0);
  assert_int_equal(trp_out_pack(&w->out), 0);
  assert_int_equal(carry(w), 0);
  assert_int_equal(w->in.batch->n_messages, 3);
  assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[0]), "one", 3);
  assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[1]), "two", 3);
  assert_memory_equal(trp_in_payload(&w->in, w->in.batch->messages[2]), "three", 5);
}

// ---- Batches that nobody of ours would send ----

static int open_bytes(world_t *w, const uint8_t *bytes, size_t length, size_t frames) {
  trp_in_reset(&w->in);
  assert_int_equal(trp_in_push(&w->in, trp_frame_copy(bytes, length)), 0);
  for (size_t i = 0; i < frames; i++) {
    assert_int_equal(trp_in_push(&w->in, trp_frame_copy("0123456789", 10)), 0);
  }
  int result = trp_in_open(&w->in);
  if (result != 0) {
    assert_null(w->in.batch);
    return result;
  }
  // What was let through can be read, whatever it says.
  unsigned sum = 0;
  for (size_t i = 0; i < w->in.batch->n_messages; i++) {
    const trp_message_t *message = w->in.batch->messages[i];
    const uint8_t *payload = trp_in_payload(&w->in, message);
    for (uint32_t k = 0; payload != NULL && k < message->length; k++) {
      sum += payload[k];
    }
    if (message->detail_case == TRP_DETAIL(ERROR)) {
      sum += (unsigned)strlen(message->error->syscall) + (unsigned)message->error->n_errors;
    }
    if (message->detail_case == TRP_DETAIL(HELLO)) {
      sum += (unsigned)strlen(message->hello->name);
    }
    if (message->detail_case == TRP_DETAIL(CONNECT)) {
      sum += (unsigned)message->connect->n_addresses;
    }
  }
  (void)sum;
  return 0;
}

static void a_batch_without_an_envelope_is_bad(void **state) {
  world_t *w = *state;
  assert_int_equal(trp_in_open(&w->in), TROUPE_EBADMESSAGE);
}

static void random_bytes_are_bad_or_harmless(void **state) {
  world_t *w = *state;
  trp_test_random_t random;
  uint8_t bytes[300];
  int bad = 0;
  int rounds = 200000 / (trp_test_slow() * trp_test_slow());
  trp_test_random_start(&random, 5);
  for (int i = 0; i < rounds; i++) {
    size_t length = (size_t)trp_test_random_below(&random, sizeof bytes);
    trp_test_random_bytes(&random, bytes, length);
    if (i % 2 == 0 && length > 4) {
      bytes[0] = 6 << 3 | 2; // looks like a message at least
      bytes[1] = (uint8_t)(length - 2 < 127 ? length - 2 : 127);
      bytes[2] = (uint8_t)(trp_test_random_below(&random, 35) << 3 | (bytes[2] & 7));
    }
    int result = open_bytes(w, bytes, length, 2);
    assert_true(result == 0 || result == TROUPE_EBADMESSAGE);
    bad += result != 0;
  }
  assert_true(bad > rounds / 2);
}

// One of each sort of field, packed.
static size_t make_sample(world_t *w, uint8_t *bytes, size_t capacity) {
  trp_message_t *message = add(w);
  message->frame = 1;
  message->offset = 2;
  message->length = 8;
  message->through = 1 << 20;
  message = trp_out_add(&w->out, TRP_KIND(EVENT_ERROR), 9);
  Troupe__Wire__Error *error = trp_out_take(&w->out, sizeof *error);
  Troupe__Wire__Error *part = trp_out_take(&w->out, sizeof *part);
  Troupe__Wire__Error **parts = trp_out_take(&w->out, sizeof *parts);
  *error = *part = (Troupe__Wire__Error)TROUPE__WIRE__ERROR__INIT;
  part->code = TROUPE_ETIMEDOUT;
  part->address = trp_out_text(&w->out, "127.0.0.1");
  parts[0] = part;
  error->syscall = trp_out_text(&w->out, "connect");
  error->errors = parts;
  error->n_errors = 1;
  message->detail_case = TRP_DETAIL(ERROR);
  message->error = error;
  message = trp_out_add(&w->out, TRP_KIND(COMMAND_HELLO), 0);
  Troupe__Wire__Hello *hello = trp_out_take(&w->out, sizeof *hello);
  *hello = (Troupe__Wire__Hello)TROUPE__WIRE__HELLO__INIT;
  hello->name = trp_out_text(&w->out, "an actor");
  hello->index = 3;
  message->detail_case = TRP_DETAIL(HELLO);
  message->hello = hello;
  assert_int_equal(trp_out_pack(&w->out), 0);
  assert_true(w->out.envelope->size <= capacity);
  size_t length = w->out.envelope->size;
  memcpy(bytes, w->out.envelope->bytes, length);
  trp_out_reset(&w->out);
  return length;
}

static void a_batch_cut_at_any_byte_is_bad_or_harmless(void **state) {
  world_t *w = *state;
  uint8_t bytes[1024];
  size_t length = make_sample(w, bytes, sizeof bytes);
  assert_int_equal(open_bytes(w, bytes, length, 1), 0);
  assert_int_equal(w->in.batch->n_messages, 3);
  for (size_t cut = 0; cut < length; cut++) {
    int result = open_bytes(w, bytes, cut, 1);
    assert_true(result == TROUPE_EBADMESSAGE || w->in.batch->n_messages < 3);
  }
}

static void a_batch_with_any_byte_changed_is_bad_or_harmless(void **state) {
  world_t *w = *state;
  uint8_t bytes[1024];
  size_t length = make_sample(w, bytes, sizeof bytes);
  int step = trp_test_slow() > 1 ? 13 : 1;
  for (size_t at = 0; at < length; at++) {
    uint8_t before = bytes[at];
    for (int value = 0; value < 256; value += step) {
      bytes[at] = (uint8_t)value;
      int result = open_bytes(w, bytes, length, 1);
      assert_true(result == 0 || result == TROUPE_EBADMESSAGE);
    }
    bytes[at] = before;
  }
}

static int open_with(world_t *w, uint32_t frame, uint32_t offset, uint32_t length, size_t frames) {
  trp_message_t message = TROUPE__WIRE__MESSAGE__INIT;
  message.kind = TRP_KIND(EVENT_DATA);
  message.frame = frame;
  message.offset = offset;
  message.length = length;
  trp_message_t *messages[] = {&message};
  trp_wire_batch_t batch = TROUPE__WIRE__BATCH__INIT;
  batch.n_messages = 1;
  batch.messages = messages;
  uint8_t bytes[200];
  size_t size = troupe__wire__batch__pack(&batch, bytes);
  return open_bytes(w, bytes, size, frames);
}

static void a_payload_outside_its_frame_is_bad(void **state) {
  world_t *w = *state;
  // Frames have ten bytes.
  assert_int_equal(open_with(w, 1, 0, 10, 1), 0);
  assert_int_equal(open_with(w, 1, 10, 0, 1), 0);
  assert_int_equal(open_with(w, 2, 3, 7, 2), 0);
  assert_int_equal(open_with(w, 1, 0, 11, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 1, 11, 0, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 1, 5, 6, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 1, UINT32_MAX, 11, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 1, 1, UINT32_MAX, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 1, 0, 0, 0), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 2, 0, 1, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, UINT32_MAX, 0, 1, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 0, 0, 1, 1), TROUPE_EBADMESSAGE);
  assert_int_equal(open_with(w, 0, 1, 0, 1), TROUPE_EBADMESSAGE);
}

// Errors can lie in errors, and each is a call of the decoder inside itself.
static void messages_too_deep_in_each_other_are_bad(void **state) {
  world_t *w = *state;
  enum { DEPTH = 200000, HEADER_MAX = 6 };
  static uint8_t space[(DEPTH + 3) * HEADER_MAX];
  uint8_t *at = space + sizeof space;
  for (int i = 0; i < DEPTH + 2; i++) {
    unsigned field = i < DEPTH ? 8 : i == DEPTH ? 31 : 6; // errors, error, messages
    size_t length = (size_t)(space + sizeof space - at);
    uint8_t head[HEADER_MAX + 2];
    size_t size = 0;
    unsigned tag = field << 3 | 2;
    for (; tag >= 128; tag >>= 7) {
      head[size++] = (uint8_t)(tag | 128);
    }
    head[size++] = (uint8_t)tag;
    for (; length >= 128; length >>= 7) {
      head[size++] = (uint8_t)(length | 128);
    }
    head[size++] = (uint8_t)length;
    at -= size;
    memcpy(at, head, size);
    if (i == 1) { // shallow enough, and only in a batch when it is in a message
      assert_int_equal(open_bytes(w, at, (size_t)(space + sizeof space - at), 0), 0);
    }
  }
  assert_int_equal(open_bytes(w, at, (size_t)(space + sizeof space - at), 0), TROUPE_EBADMESSAGE);
}

static void what_a_later_version_may_add_is_skipped(void **state) {
  world_t *w = *state;
  // A batch with fields 100 (number), 101 (bytes) and a message of kind 4000 that has a field 200.
  static const uint8_t bytes[] = {0xa0,       6, 5,      0xaa, 6,    2,    'h',  'i',
                                  6 << 3 | 2, 6, 1 << 3, 0xa0, 0x1f, 0xc0, 0x0c, 1};
  assert_int_equal(open_bytes(w, bytes, sizeof bytes, 0), 0);
  assert_int_equal(w->in.batch->n_messages, 1);
  assert_int_equal(w->in.batch->messages[0]->kind, 4000);
}

#define with_world(test) trp_test_with(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_world(an_empty_batch_arrives_empty),
      with_world(what_goes_in_comes_out),
      with_world(sequences_go_on_from_batch_to_batch),
      with_world(copies_of_every_size_arrive),
      with_world(copies_up_to_a_block_use_its_memory_again),
      with_world(a_copy_of_more_than_the_wire_can_say_is_refused),
      with_world(what_is_read_over_several_blocks_arrives_in_order),
      with_world(small_pieces_share_a_frame),
      with_world(a_frame_that_is_named_often_travels_once),
      with_world(a_frame_can_be_in_two_batches_at_once),
      with_world(an_echoed_payload_is_the_same_memory),
      with_world(a_message_that_is_taken_back_is_not_sent),
      with_world(a_batch_can_be_packed_again_when_more_was_added),
      with_world(a_batch_without_an_envelope_is_bad),
      with_world(random_bytes_are_bad_or_harmless),
      with_world(a_batch_cut_at_any_byte_is_bad_or_harmless),
      with_world(a_batch_with_any_byte_changed_is_bad_or_harmless),
      with_world(a_payload_outside_its_frame_is_bad),
      with_world(messages_too_deep_in_each_other_are_bad),
      with_world(what_a_later_version_may_add_is_skipped),
  };
  return TRP_RUN_TESTS("batch", tests);
}
