/* wire_arena.h: memory for one message, taken from the caller's block from front to back and given back all at once. */
#ifndef SB_PROTO_WIRE_ARENA_H
#define SB_PROTO_WIRE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#define SB_ARENA_ALIGN 16u

struct sb_arena {
    unsigned char *at;
    size_t left;
    bool is_exhausted;            /* something was asked for that did not fit */
    ProtobufCAllocator allocator; /* protobuf-c's view of this arena; its free does nothing */
};

/* memory: aligned to SB_ARENA_ALIGN, needs no clearing, outlives the arena. The arena must not be moved. */
void sb_arena_init(struct sb_arena *arena, void *memory, size_t size);

/* NULL when it does not fit. The memory is not cleared. */
void *sb_arena_alloc(struct sb_arena *arena, size_t size);

#endif
