/// Private. CRC-32C (Castagnoli), the checksum of traces.
#ifndef TRP_CRC_H_INCLUDED
#define TRP_CRC_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

/// Goes on from `crc`, which is 0 at first: the checksum of parts is that of the whole. Any thread;
/// never blocks.
uint32_t trp_crc(uint32_t crc, const void *bytes, size_t length);

/// The same from a table, on every machine. For the test that compares the two.
uint32_t trp_crc_by_table(uint32_t crc, const void *bytes, size_t length);

#endif
