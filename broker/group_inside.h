/* group_inside.h: what group.c and rollover.c need of each other. */
#ifndef SB_BROKER_GROUP_INSIDE_H
#define SB_BROKER_GROUP_INSIDE_H

#include "broker/group.h"

/* A generation with `wanted` slots, none of them started. config is copied. OK, NO_MEMORY. */
sockbroker_status sb_generation_create(struct sb_group *g, const struct sb_group_config *config, uint64_t now_ms,
                                       struct sb_generation **generation_out);

/* Another slot, which waits for its first start. The number is a free one. NULL: out of memory. */
struct sb_slot *sb_slot_create(struct sb_generation *generation, uint32_t number, uint64_t now_ms);

/* Starts all its slots, until it fails. */
void sb_generation_start(struct sb_generation *generation, uint64_t now_ms);

/* All its slots leave. */
void sb_generation_leave(struct sb_generation *generation, uint64_t since_ms, uint64_t now_ms);

bool sb_generation_has_ready(const struct sb_generation *generation);

#endif
