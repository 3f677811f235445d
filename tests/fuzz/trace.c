// What libFuzzer runs: ./dev fuzz.

#include "tests/fuzz/trace_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  trp_fuzz_trace(bytes, size);
  return 0;
}
