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
    CUT,     /* closed or reset behind a part of the answer */
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
    size_t latency_room;
    uint64_t started_ns;
    uint64_t stopped_ns;
};

uint64_t now_ns(void);

/* n_connections is what is expected, for the latencies of which there is room at once. */
void tally_init(struct tally *t, size_t n_connections);
void tally_deinit(struct tally *t);

/* Counts a connection that gave its byte; latency runs from connect() to the byte. */
void tally_served(struct tally *t, unsigned char worker, int n_workers, uint64_t latency_ns);

/* Counts a connection that failed with this errno; 0 stands for an end of file. */
void tally_failed(struct tally *t, int error);
void tally_counted(struct tally *t, enum outcome outcome);

void tally_sort(struct tally *t);
/* Nearest rank, of a sorted tally; 1.0 is the worst. */
double tally_percentile_us(const struct tally *t, double share);

/* Prints the one key=value line that bench_run reads. Sorts the latencies. */
void tally_print(struct tally *t, int n_workers);

#endif
