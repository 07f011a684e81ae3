/* The two ways to put load on a listener. Both are bounded by a time for each connection. */
#ifndef CLIENT_LOAD_H
#define CLIENT_LOAD_H

#include <stddef.h>

#include "client_tally.h"
#include "client_target.h"

#define MAX_TARGETS 8
#define MAX_CONCURRENCY 4096

struct load {
    struct target targets[MAX_TARGETS]; /* taken in turn, one for each connection */
    size_t n_targets;
    size_t n_connections;
    int concurrency;
    int n_workers;
    int timeout_ms;  /* for each connection */
    int max_seconds; /* for all: no connection is started after it */
};

/* One connection after the other, blocking: the latency of the path itself. */
void load_one_by_one(const struct load *load, struct tally *t);

/* `concurrency` connections open at any time, one thread, epoll. */
void load_many(const struct load *load, struct tally *t);

/* Whether it is too late to start a connection. */
int load_over(const struct load *load, const struct tally *t);

#endif
