/// Private. Packing and unpacking batches in protobuf's wire format.
#ifndef TRP_CODEC_H_INCLUDED
#define TRP_CODEC_H_INCLUDED

#include "core/message/arena.h"
#include "core/message/wire.h"

/// At most so many bytes packed.
size_t trp_codec_bound(const trp_wire_batch_t *batch);

/// Packs into `bytes`, which has room for trp_codec_bound(). Returns how many it took.
size_t trp_codec_pack(const trp_wire_batch_t *batch, uint8_t *bytes);

/// Unpacks into memory of the arena. Returns 0, TROUPE_EBADMESSAGE or TROUPE_ENOMEM.
int trp_codec_unpack(const uint8_t *bytes, size_t length, trp_arena_t *arena,
                     trp_wire_batch_t **batch);

#endif
