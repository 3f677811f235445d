/// All of troupe's public headers but <troupe/cmocka.h>, which is for tests.
#ifndef TROUPE_TROUPE_H_INCLUDED
#define TROUPE_TROUPE_H_INCLUDED

#include <troupe/abort.h>
#include <troupe/activation.h>
#include <troupe/actor.h>
#include <troupe/address.h>
#include <troupe/attach.h>
#include <troupe/block_list.h>
#include <troupe/chunk.h>
#include <troupe/encoding.h>
#include <troupe/error.h>
#include <troupe/handle.h>
#include <troupe/handoff.h>
#include <troupe/here.h>
#include <troupe/ip.h>
#include <troupe/server.h>
#include <troupe/sim.h>
#include <troupe/socket.h>
#include <troupe/socket_address.h>
#include <troupe/supervisor.h>
#include <troupe/system.h>
#include <troupe/timer.h>
#include <troupe/trace.h>
#include <troupe/trace_file.h>

#endif
