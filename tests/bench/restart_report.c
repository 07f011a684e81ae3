#include "restart.h"

#include <stdlib.h>
#include <string.h>

double window_failed(const struct window_sample *s)
{
    return s->refused + s->reset + s->empty + s->cut + s->wrong + s->timeout + s->other;
}

static double max_ms_of(const struct window_sample *s)
{
    return s->max_ms;
}

static double p99_ms_of(const struct window_sample *s)
{
    return s->p99_ms;
}

static double lag_ms_of(const struct window_sample *s)
{
    return s->lag_ms;
}

static double cpu_ms_of(const struct window_sample *s)
{
    return s->cpu_ms;
}

static double middle(const struct window_sample *windows, size_t n, double (*value)(const struct window_sample *))
{
    double values[MAX_RESTARTS];

    for (size_t i = 0; i < n; i++)
        values[i] = value(&windows[i]);
    return median(values, n);
}

static double largest(const struct window_sample *windows, size_t n, double (*value)(const struct window_sample *))
{
    double max = 0;

    for (size_t i = 0; i < n; i++)
        if (value(&windows[i]) > max)
            max = value(&windows[i]);
    return max;
}

static double middle_of(const double *values, size_t n)
{
    double copy[MAX_RESTARTS];

    memcpy(copy, values, n * sizeof *values);
    return median(copy, n);
}

static void failures_row(const struct way *way, const struct way_results *r)
{
    const struct window_sample *t = &r->total;

    printf("%-19s %8zu %9.0f %8.0f %7.0f %7.0f %7.0f %7.0f %5.0f %5.0f %7.0f %5.0f   %7.0f %9.0f %7.0f\n", way->name,
           r->n * (size_t)way->n_times, t->fresh, t->kept, window_failed(t), t->refused, t->reset, t->empty, t->cut, t->wrong,
           t->timeout, t->other, t->kept_failed, t->announced, t->idle);
}

/* In milliseconds of CPU for one restart: what its window used more than the one without. */
static double cpu_of_restart(const struct way *way, const struct way_results *r)
{
    double extra[MAX_RESTARTS];

    for (size_t i = 0; i < r->n; i++)
        extra[i] = (r->with[i].cpu_ms - r->without[i].cpu_ms) * r->with[i].seconds / way->n_times;
    return median(extra, r->n);
}

static void latency_row(const struct way *way, const struct way_results *r)
{
    double added[MAX_RESTARTS];
    double with = largest(r->with, r->n, max_ms_of);
    double without = largest(r->without, r->n, max_ms_of);

    for (size_t i = 0; i < r->n; i++)
        added[i] = r->with[i].max_ms - r->without[i].max_ms;
    printf("%-19s %8.1f   %7.2f %7.2f   %7.2f %7.2f   %7.2f %7.2f   %6.2f %6.2f   %5.1f %5.1f   %8.1f %8.1f\n", way->name,
           middle_of(r->took_ms, r->n), middle(r->without, r->n, max_ms_of), without, middle(r->with, r->n, max_ms_of), with,
           median(added, r->n), with - without, middle(r->without, r->n, p99_ms_of), middle(r->with, r->n, p99_ms_of),
           largest(r->without, r->n, lag_ms_of), largest(r->with, r->n, lag_ms_of), middle(r->without, r->n, cpu_ms_of),
           cpu_of_restart(way, r));
}

void restart_report(const struct restart_settings *settings, const struct way_results *results)
{
    printf("\nrequests of the whole run; each that failed, by kind\n");
    printf("%-19s %8s %9s %8s %7s %7s %7s %7s %5s %5s %7s %5s   %s\n", "", "", "on new", "on kept", "", "", "", "", "", "", "",
           "", "kept connections");
    printf("%-19s %8s %9s %8s %7s %7s %7s %7s %5s %5s %7s %5s   %7s %9s %7s\n", "", "restarts", "conns", "conns", "failed",
           "refused", "reset", "empty", "cut", "wrong", "timeout", "other", "failed", "announced", "idle");
    for (size_t i = 0; i < n_ways; i++)
        if (results[i].n)
            failures_row(&ways[i], &results[i]);
    printf(
        "\nthe worst latency (connect and answer, or answer on a kept connection) of each window of %d ms, in ms; CPU in ms\n",
        settings->window_ms);
    printf("%-19s %8s   %-15s   %-15s   %-15s   %-13s   %-11s   %s\n", "", "restart", "without restart", "with restart",
           "added", "p99, median", "client late", "CPU of the server");
    printf("%-19s %8s   %7s %7s   %7s %7s   %7s %7s   %6s %6s   %5s %5s   %8s %8s\n", "", "took", "median", "worst", "median",
           "worst", "median", "worst", "quiet", "with", "quiet", "with", "a second", "restart");
    for (size_t i = 0; i < n_ways; i++)
        if (results[i].n)
            latency_row(&ways[i], &results[i]);
    printf("\n");
    for (size_t i = 0; i < n_ways; i++)
        if (results[i].skipped)
            printf("skipped: %s (%s)\n", ways[i].name, results[i].skipped);
}
