/* Text: encodings of what is read and of what is written. Parity: socket.47, socket.52. */
#include "tests/net/scene.h"

/* What the accepted socket got: pieces as on_data had them, each in brackets. */
typedef struct {
  const char *bytes; /* what the client writes, one byte at a time */
  size_t length;
  troupe_encoding_t encoding;
  const char *pieces;
} reading_t;

static const reading_t *reading;

static void write_next(troupe_timer_t timer, void *context) {
  side_t *side = context;
  if ((size_t)side->step < reading->length) {
    troupe_socket_write(side->socket, reading->bytes + side->step++, 1, NULL, NULL);
  } else {
    troupe_timer_stop(timer);
    troupe_socket_end(side->socket, NULL, NULL);
  }
}

/* So that the bytes come one by one, mostly; the text does not depend on it. */
static void write_byte_by_byte(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_set_no_delay(side->socket, true);
    troupe_timer_start(NULL, 1, 1, write_next, side);
  }
}

static char got[512];
static size_t got_length;

static void gather(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    got_length = 0;
    side->result = troupe_socket_set_encoding(side->socket, reading->encoding);
  } else if (is(event, "data")) {
    got_length += (size_t)snprintf(got + got_length, sizeof got - got_length, "%s", side->last);
    side->step |= side->last[0] == '\0' ? 1 : 0;
  } else if (is(event, "end")) {
    scene_note(side, "%s=%s %d ", side->last, got, (int)troupe_socket_bytes_read(side->socket));
  }
}

static void expect(const char *bytes, size_t length, troupe_encoding_t encoding, const char *text) {
  reading_t now = {.bytes = bytes, .length = length, .encoding = encoding};
  reading = &now;
  scene_t scene = {.client.hook = write_byte_by_byte, .accepted.hook = gather};
  play(&scene);
  assert_int_equal(scene.accepted.result, 0);
  assert_int_equal(scene.accepted.step, 0); /* no empty pieces */
  assert_string_equal(got, text);
  char counts[32];
  snprintf(counts, sizeof counts, "=%s %d ", text, (int)length);
  assert_non_null(strstr(scene.accepted.log, counts));
}

// parity: socket.47
static void characters_are_whole_however_the_bytes_are_cut(void **state) {
  (void)state;
  expect("a\xe2\x82\xac\xf0\x9f\x98\x80z", 9, TROUPE_ENCODING_UTF8,
         "a\xe2\x82\xac\xf0\x9f\x98\x80z");
  expect("h\0\xac\x20=\xd8\0\xde", 8, TROUPE_ENCODING_UTF16LE, "h\xe2\x82\xac\xf0\x9f\x98\x80");
  expect("caf\xe9", 4, TROUPE_ENCODING_LATIN1, "caf\xc3\xa9");
  expect("caf\xe9", 4, TROUPE_ENCODING_ASCII, "cafi");
  expect("\x01\xff", 2, TROUPE_ENCODING_HEX, "01ff");
  expect("hello!", 6, TROUPE_ENCODING_BASE64, "aGVsbG8h");
}

// parity: socket.47
static void what_the_last_character_lacks_comes_before_the_end(void **state) {
  (void)state;
  expect("a\xe2\x82", 3, TROUPE_ENCODING_UTF8, "a\xef\xbf\xbd");
  expect("hell", 4, TROUPE_ENCODING_BASE64, "aGVsbA==");
  expect("hell", 4, TROUPE_ENCODING_BASE64URL, "aGVsbA");
  expect("h\0x", 3, TROUPE_ENCODING_UTF16LE, "h");
}

static void send_half(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_end_with(side->socket, "a\xe2\x82", 3, NULL, NULL);
  }
}

static void go_on(troupe_timer_t timer, void *context) {
  (void)timer;
  side_t *side = context;
  scene_note(side, "resumed ");
  troupe_socket_resume(side->socket);
}

static void pause_in_between(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_UTF8);
  } else if (is(event, "data") && side->step++ == 0) {
    troupe_socket_pause(side->socket);
    troupe_timer_start(NULL, 50, 0, go_on, side);
  }
}

static void a_paused_socket_ends_when_its_last_text_is_taken(void **state) {
  (void)state;
  scene_t scene = {.client.hook = send_half, .accepted.hook = pause_in_between};
  play(&scene);
  assert_log(scene.accepted, "data resumed data end close ");
  assert_string_equal(scene.accepted.last, "\xef\xbf\xbd");
  assert_int_equal(scene.accepted.received, 4);
}

static void destroy_on_last(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_UTF8);
  } else if (is(event, "data") && side->step++ == 1) {
    troupe_socket_destroy(side->socket, 0);
  }
}

static void nothing_follows_a_destroy_at_the_last_text(void **state) {
  (void)state;
  scene_t scene = {.client.hook = send_half, .accepted.hook = destroy_on_last};
  play(&scene);
  assert_log(scene.accepted, "data close ");
  assert_int_equal(scene.accepted.step, 2);
}

static void change_encoding(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    side->step = troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_NONE) ==
                     TROUPE_ERR_UNKNOWN_ENCODING &&
                 troupe_socket_set_encoding(side->socket, (troupe_encoding_t)99) ==
                     TROUPE_ERR_UNKNOWN_ENCODING;
    troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_UTF8);
  } else if (is(event, "data")) {
    /* It holds the beginning of a character, which comes first in the next piece. */
    side->result = troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_HEX);
  }
}

static void another_encoding_may_be_set_on_the_way(void **state) {
  (void)state;
  scene_t scene = {.client.hook = send_half, .accepted.hook = change_encoding};
  play(&scene);
  assert_log(scene.accepted, "data end close ");
  assert_string_equal(scene.accepted.last, "\xef\xbf\xbd");
  assert_int_equal(scene.accepted.result, 0);
  assert_true(scene.accepted.step);
}

static void write_texts(side_t *side, const char *event) {
  if (is(event, "ready")) {
    troupe_socket_t socket = side->socket;
    side->step = troupe_socket_write_text(socket, "\xe2\x82\xac", 3, TROUPE_ENCODING_UTF8,
                                          scene_on_written, side);
    troupe_socket_write_text(socket, "h\xc3\xa9", 3, TROUPE_ENCODING_LATIN1, NULL, NULL);
    troupe_socket_write_text(socket, "h\xc3\xa9", 3, TROUPE_ENCODING_ASCII, NULL, NULL);
    troupe_socket_write_text(socket, "hi", 2, TROUPE_ENCODING_UTF16LE, NULL, NULL);
    troupe_socket_write_text(socket, "6f6B", 4, TROUPE_ENCODING_HEX, NULL, NULL);
    troupe_socket_write_text(socket, "\xff", 1, TROUPE_ENCODING_UTF8, NULL, NULL);
    troupe_socket_write_text(socket, "\xff", 1, TROUPE_ENCODING_NONE, NULL, NULL);
    troupe_socket_write_text(socket, NULL, 0, TROUPE_ENCODING_UTF8, NULL, NULL);
    side->result = troupe_socket_write_text(socket, "x", 1, (troupe_encoding_t)99, NULL, NULL) ==
                       TROUPE_ERR_UNKNOWN_ENCODING &&
                   troupe_socket_write_text(socket, NULL, 1, TROUPE_ENCODING_UTF8, NULL, NULL) ==
                       TROUPE_EINVAL;
    troupe_socket_end_with_text(socket, "aGVsbG8=", 8, TROUPE_ENCODING_BASE64, scene_on_finished,
                                side);
    side->received = (size_t)troupe_socket_bytes_written(socket);
  }
}

static void gather_hex(side_t *side, const char *event) {
  static const reading_t hex = {.encoding = TROUPE_ENCODING_HEX};
  reading = &hex;
  gather(side, event);
}

// parity: socket.52
static void text_is_encoded_before_it_is_written(void **state) {
  (void)state;
  scene_t scene = {.client.hook = write_texts, .accepted.hook = gather_hex};
  play(&scene);
  assert_log(scene.client, "attempt connect ready written finished end close ");
  assert_string_equal(got, "e282ac"
                           "68e9"
                           "68e9"
                           "68006900"
                           "6f6b"
                           "efbfbd"
                           "ff"
                           "68656c6c6f");
  assert_int_equal(scene.client.received, strlen(got) / 2);
  assert_int_equal(scene.client.step, 1);
  assert_true(scene.client.result);
}

static void connect_twice(side_t *side, const char *event) {
  if (is(event, "start")) {
    troupe_socket_new(NULL, &scene_handlers, side, &side->socket);
    troupe_socket_set_encoding(side->socket, TROUPE_ENCODING_UTF8);
    troupe_socket_connect(side->socket, &side->scene->connect_options);
  } else if (is(event, "data") && side->step++ == 0) {
    troupe_socket_destroy(side->socket, 0); /* it holds the beginning of a character */
  } else if (is(event, "close") && side->step == 1) {
    side->closes = 0; /* the scene goes on */
    troupe_socket_connect(side->socket, &side->scene->connect_options);
  }
}

static void say_euro(side_t *side, const char *event) {
  if (is(event, "accepted")) {
    troupe_socket_end_with(side->socket, "a\xe2\x82", 3, NULL, NULL);
  }
}

static void a_new_connection_begins_with_a_new_character(void **state) {
  (void)state;
  scene_t scene = {.start = connect_twice, .client.hook = connect_twice, .accepted.hook = say_euro};
  play(&scene);
  assert_non_null(strstr(scene.client.log, "close attempt connect ready data end close "));
  assert_int_equal(scene.client.received, 5); /* "a", then "a" and U+FFFD */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(characters_are_whole_however_the_bytes_are_cut),
      trp_test(what_the_last_character_lacks_comes_before_the_end),
      trp_test(a_paused_socket_ends_when_its_last_text_is_taken),
      trp_test(nothing_follows_a_destroy_at_the_last_text),
      trp_test(another_encoding_may_be_set_on_the_way),
      trp_test(text_is_encoded_before_it_is_written),
      trp_test(a_new_connection_begins_with_a_new_character),
  };
  return TRP_RUN_TESTS("net/text", tests);
}
