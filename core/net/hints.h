/// Private. Bits of `hints` for looking names up, as Node's dns module has them on Linux (those of
/// <netdb.h>).
#ifndef TRP_HINTS_H_INCLUDED
#define TRP_HINTS_H_INCLUDED

enum {
  TRP_HINT_V4MAPPED = 8,
  TRP_HINT_ALL = 16,
  TRP_HINT_ADDRCONFIG = 32,
};

#endif
