/// CRC-32C: by the processor's own instruction where it has one, else eight bytes at a time from
/// tables ("slicing by eight").
#include "core/trace/crc.h"

#include <pthread.h>
#include <string.h>

enum { POLYNOMIAL = (int)0x82f63b78u }; // reflected

static uint32_t tables[8][256]; // written once, before anybody reads
static pthread_once_t tables_made = PTHREAD_ONCE_INIT;

static void make_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? (uint32_t)POLYNOMIAL : 0);
    }
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (int i = 1; i < 8; i++) {
      uint32_t before = tables[i - 1][byte];
      tables[i][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
}

uint32_t trp_crc_by_table(uint32_t crc, const void *bytes, size_t length) {
  pthread_once(&tables_made, make_tables);
  const uint8_t *at = bytes;
  crc = ~crc;
  for (; length >= 8; length -= 8, at += 8) {
    crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    crc = tables[7][crc & 0xff] ^ tables[6][(crc >> 8) & 0xff] ^ tables[5][(crc >> 16) & 0xff] ^
          tables[4][crc >> 24] ^ tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^
          tables[0][at[7]];
  }
  for (; length > 0; length--, at++) {
    crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
  }
  return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at,
                                                                 size_t length) {
  uint64_t wide = ~crc;
  for (; length >= 8; length -= 8, at += 8) {
    uint64_t word = 0;
    memcpy(&word, at, sizeof word);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = (uint32_t)wide;
  for (; length > 0; length--, at++) {
    crc = __builtin_ia32_crc32qi(crc, *at);
  }
  return ~crc;
}

uint32_t trp_crc(uint32_t crc, const void *bytes, size_t length) {
  if (__builtin_cpu_supports("sse4.2")) {
    return by_instruction(crc, bytes, length);
  }
  return trp_crc_by_table(crc, bytes, length);
}

#else

uint32_t trp_crc(uint32_t crc, const void *bytes, size_t length) {
  return trp_crc_by_table(crc, bytes, length);
}

#endif
