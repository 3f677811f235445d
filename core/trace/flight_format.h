/// Private. The format of a flight recorder's file: a head, then rings of one size, each with a head
/// of its own. Little endian, and written by the threads of one process through memory that is the
/// file's.
///
/// - Head, a page: "troupe rings", major:2, minor:2, its own size:4, how many rings:4, the size of
///   each (head and bytes):4, the version of troupe that wrote it:3*2, 0:2, checksum of all before:4.
/// - Head of a ring, a page: how many bytes were ever written to it:8, its user's number:8 (0: it
///   was never used, rises when another actor takes it), size of the start:4, checksum of it:4, and
///   the body of a START record without its argument.
/// - Bytes of a ring: records as in a trace, each rounded up to 8 bytes and followed by its rounded
///   size:4 and the lower half of the user's number:4, written round and round. What was written
///   last is complete when its end is counted; from there back each record's end says where it
///   began, up to the first whose checksum is wrong: the writer is about to write over that one.
///
/// A writer that is killed anywhere leaves what it had counted.
#ifndef TRP_FLIGHT_FORMAT_H_INCLUDED
#define TRP_FLIGHT_FORMAT_H_INCLUDED

#include "core/trace/format.h"

enum {
  TRP_FLIGHT_MAJOR = 1,
  TRP_FLIGHT_MINOR = 0,
  TRP_FLIGHT_PAGE = 4096,
  TRP_FLIGHT_HEADER_SIZE = 40,
  TRP_FLIGHT_TAIL_SIZE = 8,
  TRP_FLIGHT_START_AT = 24, // in a ring's head
  TRP_FLIGHT_RINGS_MAX = 65536 + 64,
};

#define TRP_FLIGHT_MAGIC "troupe rings"

#endif
