/* One client of the load: it connects, asks, and reads the answer; a kept one asks again on the same connection. */
#ifndef RESTART_ASKER_H
#define RESTART_ASKER_H

#include <stdbool.h>
#include <stdint.h>

#include "client_target.h"
#include "restart_window.h"

struct asker {
    enum { ASKER_AWAY, ASKER_CONNECTS, ASKER_WAITS, ASKER_IDLE } state; /* ASKER_AWAY: no connection */
    int sock;
    bool is_kept;
    const struct target *to;
    struct window *window; /* of the request under way */
    uint64_t began_ns;
    uint64_t due_ns; /* kept: when it asks again */
    size_t n_read;
    char answer[1024];
};

/* Begins a request, on the connection that is there or on a new one. due_ns: when it should have begun. */
void asker_begin(struct asker *a, int epoll, uint64_t due_ns);

/* Something happened to its socket. */
void asker_go_on(struct asker *a, int epoll);

/* Gives up a request that takes too long. */
void asker_expire(struct asker *a, uint64_t timeout_ns);

#endif
