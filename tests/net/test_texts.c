#include <stdio.h>
#include <string.h>

#include "actors/net/texts.h"
#include "tests/harness/harness.h"

static void equal_texts_are_kept_once(void **state) {
  (void)state;
  trp_texts_t texts = {0};
  char own[] = "echo.c:12";
  const char *kept = trp_texts_keep(&texts, own);
  assert_string_equal(kept, "echo.c:12");
  assert_ptr_not_equal(kept, own);
  assert_ptr_equal(trp_texts_keep(&texts, "echo.c:12"), kept);
  assert_ptr_not_equal(trp_texts_keep(&texts, "echo.c:13"), kept);
  assert_string_equal(kept, "echo.c:12");
  assert_null(trp_texts_keep(&texts, ""));
  trp_texts_free(&texts);
}

static void of_a_long_text_the_end_is_kept(void **state) {
  (void)state;
  trp_texts_t texts = {0};
  char long_text[1000];
  memset(long_text, 'x', sizeof long_text);
  memcpy(long_text + sizeof long_text - 7, "last:9", 7);
  const char *kept = trp_texts_keep(&texts, long_text);
  assert_int_equal(strlen(kept), TROUPE_MADE_AT_SIZE - 1);
  assert_string_equal(kept, long_text + sizeof long_text - TROUPE_MADE_AT_SIZE);
  char copy[TROUPE_MADE_AT_SIZE];
  trp_texts_copy(copy, kept);
  assert_string_equal(copy, kept);
  trp_texts_copy(copy, NULL);
  assert_string_equal(copy, "");
  trp_texts_free(&texts);
}

static void there_is_a_limit_to_how_many_are_kept(void **state) {
  (void)state;
  trp_texts_t texts = {0};
  char text[32];
  for (int i = 0; i < TRP_TEXTS_MAX; i++) {
    snprintf(text, sizeof text, "made up:%d", i);
    assert_non_null(trp_texts_keep(&texts, text));
  }
  assert_null(trp_texts_keep(&texts, "one more"));
  for (int i = 0; i < TRP_TEXTS_MAX; i++) { // those that are there are still found
    snprintf(text, sizeof text, "made up:%d", i);
    assert_string_equal(trp_texts_keep(&texts, text), text);
  }
  trp_texts_free(&texts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      trp_test(equal_texts_are_kept_once),
      trp_test(of_a_long_text_the_end_is_kept),
      trp_test(there_is_a_limit_to_how_many_are_kept),
  };
  return TRP_RUN_TESTS("texts", tests);
}
