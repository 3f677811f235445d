/// Private. Addresses in the kernel's form and in ours.
#ifndef TRP_IO_SOCKADDR_H_INCLUDED
#define TRP_IO_SOCKADDR_H_INCLUDED

#include <sys/socket.h>
#include <troupe/address.h>

/// Fills `to` and returns how long it is; 0 for an address of no family. The length of a Unix
/// address is exact: the NUL after a path where there is room for one, and nothing after an
/// abstract name, whose every byte counts.
socklen_t trp_sockaddr_make(const troupe_address_t *from, struct sockaddr_storage *to);

/// Reads what the kernel filled in. Family 0 for a Unix socket without a name and for every family
/// that is not ours.
void trp_sockaddr_read(const struct sockaddr_storage *from, socklen_t length, troupe_address_t *to);

/// AF_INET, AF_INET6, AF_UNIX or AF_UNSPEC.
int trp_sockaddr_family(const troupe_address_t *address);

#endif
