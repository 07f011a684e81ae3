/* deposit_memory.h: a deposit's state and what belongs to it, as one descriptor that another process of the same machine can
 * read: for its next broker.
 */
#ifndef SB_BROKER_DEPOSIT_MEMORY_H
#define SB_BROKER_DEPOSIT_MEMORY_H

#include "proto/wire.h"

struct sb_deposit_record {
    struct sb_deposit asked; /* without its session */
    char owner[SOCKBROKER_NAME_MAX + 1];
    uint32_t uid;
    uint64_t since_ms; /* sb_clock_ms(): the same for all processes until the machine starts anew */
};

/* Sealed memory; state is asked.state_len bytes, NULL when there are none. OK, NO_DESCRIPTORS, NO_MEMORY, SYSTEM. */
sockbroker_status sb_deposit_memory_write(const struct sb_deposit_record *record, const uint8_t *state,
                                          sockbroker_socket *memory_out);

/* state_out: for free(); NULL when there is none. OK; VERSION (another release wrote it); BAD_MESSAGE; NO_MEMORY. */
sockbroker_status sb_deposit_memory_read(sockbroker_socket memory, struct sb_deposit_record *record_out, uint8_t **state_out);

#endif
