#include "proto/wire_arena.h"

static void *allocate(void *arena, size_t size)
{
    return sb_arena_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

void sb_arena_init(struct sb_arena *arena, void *memory, size_t size)
{
    arena->at = memory;
    arena->left = size;
    arena->is_exhausted = false;
    arena->allocator.alloc = allocate;
    arena->allocator.free = release;
    arena->allocator.allocator_data = arena;
}

void *sb_arena_alloc(struct sb_arena *arena, size_t size)
{
    size_t padding = (SB_ARENA_ALIGN - size % SB_ARENA_ALIGN) % SB_ARENA_ALIGN;
    void *memory = arena->at;

    if (size > arena->left || padding > arena->left - size) {
        arena->is_exhausted = true;
        return NULL;
    }
    arena->at += size + padding;
    arena->left -= size + padding;
    return memory;
}
