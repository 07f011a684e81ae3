/* What the load client learned: one latency for each connection, errors by kind, and who served. */
#ifndef CLIENT_TALLY_H
#define CLIENT_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum outcome {
    SERVED,
    REFUSED, /* ECONNREFUSED */
    RESET,   /* ECONNRESET before the byte */
    EMPTY,   /* closed without a byte */
    WRONG,   /* a byte that is no worker's index */
    TIMED_OUT,
    OTHER,
    N_OUTCOMES
};

struct tally {
    size_t n_connections;
    size_t n_by_outcome[N_OUTCOMES];
    size_t n_by_worker[256];
    uint64_t *latency_ns; /* one for each served connection, in order of arrival */
    uint64_t started_ns;
    uint64_t stopped_ns;
};

uint64_t now_ns(void);

void tally_init(struct tally *t, size_t n_connections);
void tally_deinit(struct tally *t);

/* Counts a connection that gave its byte; latency runs from connect() to the byte. */
void tally_served(struct tally *t, unsigned char worker, int n_workers, uint64_t latency_ns);

/* Counts a connection that failed with this errno; 0 stands for an end of file. */
void tally_failed(struct tally *t, int error);

/* Prints the one key=value line that bench_run reads. Sorts the latencies. */
void tally_print(struct tally *t, int n_workers);

#endif
