#include "tests/harness/harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/trace_input.h"

// What fuzzing found, each input once: those that led to code that no other did.

static void each_input_that_was_found_is_read_or_refused(void **state) {
  (void)state;
  char folder[4096];
  snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus", trp_test_source_folder());
  DIR *list = opendir(folder);
  assert_non_null(list);
  int count = 0;
  for (struct dirent *found = readdir(list); found != NULL; found = readdir(list)) {
    char path[8192];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder, found->d_name);
    assert_int_equal(stat(path, &status), 0);
    if (!S_ISREG(status.st_mode)) {
      continue;
    }
    uint8_t *bytes = malloc((size_t)status.st_size + 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(bytes);
    assert_non_null(file);
    size_t size = fread(bytes, 1, (size_t)status.st_size, file);
    assert_int_equal(size, status.st_size);
    fclose(file);
    trp_fuzz_trace(bytes, size);
    free(bytes);
    count++;
  }
  closedir(list);
  assert_true(count >= 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {trp_test(each_input_that_was_found_is_read_or_refused)};
  return TRP_RUN_TESTS("corpus", tests);
}
