/// The codec writes and reads the same bytes as protobuf-c's own functions.
#include "core/message/codec.h"

#include <stdlib.h>
#include <string.h>
#include <troupe/error.h>

#include "tests/harness/harness.h"

enum { ROUNDS = 2000, MESSAGES_MAX = 40 };

static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/// A number of any size, small ones as often as large ones.
static uint64_t any(uint64_t *state) {
  uint64_t value = next_random(state);
  return value >> (next_random(state) % 65 == 64 ? 63 : next_random(state) % 64);
}

static void fill(trp_message_t *message, uint64_t *state, Troupe__Wire__Error *error,
                 Troupe__Wire__Error **parts, Troupe__Wire__Bye *bye) {
  *message = (trp_message_t)TROUPE__WIRE__MESSAGE__INIT;
  message->kind = (Troupe__Wire__Kind)(any(state) % 200);
  message->subject = any(state);
  message->frame = (uint32_t)any(state);
  message->offset = (uint32_t)any(state);
  message->length = (uint32_t)any(state);
  message->through = any(state);
  message->epoch = (uint32_t)any(state);
  message->flags = (uint32_t)any(state);
  switch (next_random(state) % 4) {
  case 0:
    *bye = (Troupe__Wire__Bye)TROUPE__WIRE__BYE__INIT;
    bye->status = (int32_t)any(state);
    message->detail_case = TRP_DETAIL(BYE);
    message->bye = bye;
    break;
  case 1:
    *error = (Troupe__Wire__Error)TROUPE__WIRE__ERROR__INIT;
    error->code = TROUPE_ECONNREFUSED;
    error->syscall = (char *)(uintptr_t) "connect";
    error->errors = parts;
    error->n_errors = 1;
    parts[0] = error + 1;
    *parts[0] = (Troupe__Wire__Error)TROUPE__WIRE__ERROR__INIT;
    parts[0]->address =
        (char
             *)(uintptr_t) "a text that is long enough for the length to need two bytes, which is more than one hundred and "
                           "twenty-seven bytes long, all in all";
    message->detail_case = TRP_DETAIL(ERROR);
    message->error = error;
    break;
  default:
    break;
  }
}

static void packs_and_unpacks_what_protobuf_c_does(void **unused) {
  (void)unused;
  uint64_t state = 7;
  trp_arena_t arena;
  trp_arena_init(&arena);
  static trp_message_t messages[MESSAGES_MAX];
  static Troupe__Wire__Error errors[MESSAGES_MAX][2];
  static Troupe__Wire__Error *parts[MESSAGES_MAX][1];
  static Troupe__Wire__Bye byes[MESSAGES_MAX];
  trp_message_t *list[MESSAGES_MAX];
  for (int round = 0; round < ROUNDS; round++) {
    trp_wire_batch_t batch = TROUPE__WIRE__BATCH__INIT;
    batch.sender = any(&state);
    batch.first_sequence = any(&state);
    batch.cause_sequence = any(&state);
    batch.cause_sender = any(&state);
    batch.window = any(&state);
    uint64_t causes[4] = {any(&state), any(&state), any(&state), any(&state)};
    batch.causes = causes;
    batch.n_causes = next_random(&state) % 5;
    batch.messages = list;
    batch.n_messages = next_random(&state) % MESSAGES_MAX;
    for (size_t i = 0; i < batch.n_messages; i++) {
      list[i] = &messages[i];
      fill(&messages[i], &state, errors[i], parts[i], &byes[i]);
    }
    size_t size = troupe__wire__batch__get_packed_size(&batch);
    uint8_t *theirs = malloc(size + 1);
    uint8_t *ours = malloc(trp_codec_bound(&batch));
    assert_non_null(theirs);
    assert_non_null(ours);
    assert_int_equal(troupe__wire__batch__pack(&batch, theirs), size);
    assert_int_equal(trp_codec_pack(&batch, ours), size);
    assert_memory_equal(ours, theirs, size);

    trp_wire_batch_t *back = NULL;
    assert_int_equal(trp_codec_unpack(theirs, size, &arena, &back), 0);
    assert_int_equal(back->n_messages, batch.n_messages);
    assert_int_equal(troupe__wire__batch__get_packed_size(back), size);
    assert_int_equal(troupe__wire__batch__pack(back, ours), size);
    assert_memory_equal(ours, theirs, size);
    trp_arena_reset(&arena);
    free(theirs);
    free(ours);
  }
  trp_arena_free(&arena);
}

static void a_batch_that_is_cut_is_refused_or_a_shorter_one(void **unused) {
  (void)unused;
  uint64_t state = 11;
  trp_message_t messages[3];
  Troupe__Wire__Error errors[3][2];
  Troupe__Wire__Error *parts[3][1];
  Troupe__Wire__Bye byes[3];
  trp_message_t *list[3];
  trp_wire_batch_t batch = TROUPE__WIRE__BATCH__INIT;
  batch.sender = 5;
  batch.messages = list;
  batch.n_messages = 3;
  for (size_t i = 0; i < 3; i++) {
    list[i] = &messages[i];
    fill(&messages[i], &state, errors[i], parts[i], &byes[i]);
  }
  uint8_t *bytes = malloc(trp_codec_bound(&batch));
  assert_non_null(bytes);
  size_t size = trp_codec_pack(&batch, bytes);
  trp_arena_t arena;
  trp_arena_init(&arena);
  for (size_t cut = 0; cut < size; cut++) {
    uint8_t *exact = malloc(cut + 1); // a read beyond the end is a read beyond the block
    assert_non_null(exact);
    memcpy(exact, bytes, cut);
    trp_wire_batch_t *back = NULL;
    int error = trp_codec_unpack(exact, cut, &arena, &back);
    assert_true(error == TROUPE_EBADMESSAGE || (error == 0 && back->n_messages < 3));
    trp_arena_reset(&arena);
    free(exact);
  }
  trp_arena_free(&arena);
  free(bytes);
}

static void messages_that_lie_too_deep_in_each_other_are_refused(void **unused) {
  (void)unused;
  // Error.errors is field 8 of Error, which is field 31 of Message, which is field 6 of Batch.
  enum { DEPTH = 1000 };
  static uint8_t bytes[DEPTH * 8];
  size_t length = 0;
  uint8_t *end = bytes + sizeof bytes;
  for (int depth = 0; depth < DEPTH; depth++) {
    uint8_t head[6];
    size_t size = 0;
    head[size++] = 8 << 3 | 2;
    size_t rest = length;
    do {
      head[size++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
      rest >>= 7;
    } while (rest > 0);
    length += size;
    memcpy(end - length, head, size);
  }
  uint8_t front[16];
  size_t front_size = 0;
  size_t inner = length;
  front[front_size++] = ((31 << 3 | 2) & 0x7f) | 0x80;
  front[front_size++] = (31 << 3 | 2) >> 7;
  front[front_size++] = (uint8_t)((inner & 0x7f) | 0x80);
  front[front_size++] = (uint8_t)(inner >> 7);
  length += front_size;
  memcpy(end - length, front, front_size);
  size_t message = length;
  uint8_t outer[] = {6 << 3 | 2, (uint8_t)((message & 0x7f) | 0x80), (uint8_t)(message >> 7)};
  length += sizeof outer;
  memcpy(end - length, outer, sizeof outer);
  trp_arena_t arena;
  trp_arena_init(&arena);
  trp_wire_batch_t *back = NULL;
  assert_int_equal(trp_codec_unpack(end - length, length, &arena, &back), TROUPE_EBADMESSAGE);
  trp_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(packs_and_unpacks_what_protobuf_c_does),
      trp_test(a_batch_that_is_cut_is_refused_or_a_shorter_one),
      trp_test(messages_that_lie_too_deep_in_each_other_are_refused),
  };
  return TRP_RUN_TESTS("message/codec", tests);
}
