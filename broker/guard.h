/* guard.h: keeps a socket that workers share as the broker made it. All who hold one socket share its flags, its queue's length
 * and its options, and any of them can shut it down.
 */
#ifndef SB_BROKER_GUARD_H
#define SB_BROKER_GUARD_H

#include <stdbool.h>

#include "sockbroker/socket.h"

#define SB_GUARD_OPTIONS 16
#define SB_GUARD_VALUE_MAX 16

struct sb_guard {
    struct {
        unsigned len; /* 0: the socket does not have it */
        unsigned char bytes[SB_GUARD_VALUE_MAX];
    } values[SB_GUARD_OPTIONS];
};

/* Notes how it is. */
void sb_guard_init(struct sb_guard *g, sockbroker_socket sock);

/* Puts back what somebody has changed: options, non-blocking mode, and, of a listening socket, the length of its queue
 * (backlog; 0 for UDP). NULL when all was well, else the name of what was wrong, or of the first thing. A socket that was shut
 * down is the caller's to mend, before. */
const char *sb_guard_check(const struct sb_guard *g, sockbroker_socket sock, uint32_t backlog);

#endif
