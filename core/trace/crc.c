/// CRC-32C: by the processor's own instruction where it has one, else eight bytes at a time from
/// tables ("slicing by eight").
///
/// The instruction can begin in each cycle, and takes three: of what is long three parts are taken
/// at once, each with a sum of its own. A sum a that L bytes follow is a * x^(8 L), modulo the
/// polynomial, of all of them; that product is one multiplication without carries, and one more sum
/// over what comes out of it.
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

enum { PART = 256 }; // bytes

typedef long long two_t __attribute__((vector_size(16)));

static uint64_t over_one_part, over_two_parts; // x^(8 L - 33)
static pthread_once_t factors_made = PTHREAD_ONCE_INIT;

static uint64_t power_of_x(unsigned exponent) {
  uint32_t power = 0x80000000u; // reflected: 1
  for (; exponent > 0; exponent--) {
    power = (power >> 1) ^ ((power & 1) != 0 ? (uint32_t)POLYNOMIAL : 0);
  }
  return power;
}

static void make_factors(void) {
  over_one_part = power_of_x(8 * PART - 33);
  over_two_parts = power_of_x(8 * 2 * PART - 33);
}

/// The reflected product is one power too high, and the sum over it 32: hence the 33.
__attribute__((target("sse4.2,pclmul"))) static uint64_t follow(uint64_t sum, uint64_t factor) {
  const two_t left = {(long long)sum, 0};
  const two_t right = {(long long)factor, 0};
  const two_t product = __builtin_ia32_pclmulqdq128(left, right, 0);
  return __builtin_ia32_crc32di(0, (unsigned long long)product[0]);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t by_three(uint32_t crc, const uint8_t *at,
                                                                  size_t length) {
  uint64_t first = ~crc;
  pthread_once(&factors_made, make_factors);
  for (; length >= 3 * PART; length -= 3 * PART, at += 3 * PART) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < PART; i += 8) {
      uint64_t words[3];
      memcpy(&words[0], at + i, 8);
      memcpy(&words[1], at + PART + i, 8);
      memcpy(&words[2], at + 2 * (size_t)PART + i, 8);
      first = __builtin_ia32_crc32di(first, words[0]);
      second = __builtin_ia32_crc32di(second, words[1]);
      third = __builtin_ia32_crc32di(third, words[2]);
    }
    first = follow(first, over_two_parts) ^ follow(second, over_one_part) ^ third;
  }
  return by_instruction(~(uint32_t)first, at, length);
}

uint32_t trp_crc(uint32_t crc, const void *bytes, size_t length) {
  if (__builtin_cpu_supports("sse4.2")) {
    return length >= 3 * (size_t)PART && __builtin_cpu_supports("pclmul")
               ? by_three(crc, bytes, length)
               : by_instruction(crc, bytes, length);
  }
  return trp_crc_by_table(crc, bytes, length);
}

#else

uint32_t trp_crc(uint32_t crc, const void *bytes, size_t length) {
  return trp_crc_by_table(crc, bytes, length);
}

#endif
