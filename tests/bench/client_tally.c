#include "client_tally.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void make_room(struct tally *t, size_t n)
{
    t->latency_room = n;
    t->latency_ns = realloc(t->latency_ns, n * sizeof *t->latency_ns);
    if (!t->latency_ns) {
        perror("latencies");
        exit(1);
    }
}

void tally_init(struct tally *t, size_t n_connections)
{
    *t = (struct tally){ .n_connections = n_connections };
    make_room(t, n_connections);
}

void tally_deinit(struct tally *t)
{
    free(t->latency_ns);
    t->latency_ns = NULL;
}

void tally_served(struct tally *t, unsigned char worker, int n_workers, uint64_t latency_ns)
{
    if (worker >= n_workers) {
        t->n_by_outcome[WRONG]++;
        return;
    }
    if (t->n_by_outcome[SERVED] == t->latency_room)
        make_room(t, 2 * t->latency_room);
    t->latency_ns[t->n_by_outcome[SERVED]++] = latency_ns;
    t->n_by_worker[worker]++;
}

static enum outcome outcome_of(int error)
{
    switch (error) {
    case 0:
        return EMPTY;
    case ECONNREFUSED:
        return REFUSED;
    case ECONNRESET:
    case EPIPE:
        return RESET;
    case ETIMEDOUT:
        return TIMED_OUT;
    default:
        return OTHER;
    }
}

void tally_failed(struct tally *t, int error)
{
    tally_counted(t, outcome_of(error));
}

void tally_counted(struct tally *t, enum outcome outcome)
{
    t->n_by_outcome[outcome]++;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

void tally_sort(struct tally *t)
{
    qsort(t->latency_ns, t->n_by_outcome[SERVED], sizeof *t->latency_ns, by_value);
}

/* The smallest latency that at least this share of the connections did not exceed. */
double tally_percentile_us(const struct tally *t, double share)
{
    size_t n = t->n_by_outcome[SERVED];
    size_t rank = (size_t)(share * (double)n + 0.999999);

    if (n == 0)
        return 0;
    if (rank < 1)
        rank = 1;
    if (rank > n)
        rank = n;
    return (double)t->latency_ns[rank - 1] / 1e3;
}

/* The busiest worker's share in terms of the even share: 1 is perfect, n_workers is one doing it all. */
static double max_over_mean(const struct tally *t, int n_workers)
{
    size_t max = 0;

    for (int i = 0; i < n_workers; i++)
        if (t->n_by_worker[i] > max)
            max = t->n_by_worker[i];
    if (t->n_by_outcome[SERVED] == 0)
        return 0;
    return (double)max * n_workers / (double)t->n_by_outcome[SERVED];
}

static double own_cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void tally_print(struct tally *t, int n_workers)
{
    double cpu_us = own_cpu_us(); /* before the sort, which is no part of the load */
    double seconds = (double)(t->stopped_ns - t->started_ns) / 1e9;
    size_t served = t->n_by_outcome[SERVED];
    size_t started = 0;

    tally_sort(t);
    printf("connections=%zu served=%zu seconds=%.6f rate=%.1f p50_us=%.1f p99_us=%.1f max_us=%.1f", t->n_connections, served,
           seconds, (double)served / seconds, tally_percentile_us(t, 0.50), tally_percentile_us(t, 0.99),
           tally_percentile_us(t, 1.0));
    printf(" refused=%zu reset=%zu empty=%zu wrong=%zu timeout=%zu other=%zu", t->n_by_outcome[REFUSED], t->n_by_outcome[RESET],
           t->n_by_outcome[EMPTY], t->n_by_outcome[WRONG], t->n_by_outcome[TIMED_OUT], t->n_by_outcome[OTHER]);
    for (int i = 0; i < N_OUTCOMES; i++)
        started += t->n_by_outcome[i];
    printf(" unstarted=%zu", t->n_connections - started);
    printf(" client_cpu_us=%.2f max_over_mean=%.4f by_worker=", cpu_us / (double)t->n_connections, max_over_mean(t, n_workers));
    for (int i = 0; i < n_workers; i++)
        printf("%s%zu", i ? "," : "", t->n_by_worker[i]);
    printf("\n");
}
