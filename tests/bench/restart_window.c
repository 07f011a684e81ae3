#include "restart_window.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_WINDOWS 64 /* that wait for their last request */
#define ROOM 4096

static struct window windows[MAX_WINDOWS];
static unsigned long n_reported;
static unsigned long n_marks;
static bool is_begun;

static struct window *numbered(unsigned long number)
{
    return &windows[number % MAX_WINDOWS];
}

static void begin(struct window *w)
{
    *w = (struct window){ 0 };
    tally_init(&w->fresh, ROOM);
    tally_init(&w->kept, ROOM);
}

struct window *window_now(void)
{
    if (!is_begun)
        begin(numbered(n_marks));
    is_begun = true;
    return numbered(n_marks);
}

void window_mark(void)
{
    window_now();
    if (n_marks - n_reported == MAX_WINDOWS - 1) {
        fprintf(stderr, "restart_load: %d windows wait for their last request\n", MAX_WINDOWS);
        exit(1);
    }
    begin(numbered(++n_marks));
}

static size_t ended(const struct tally *t)
{
    size_t n = 0;

    for (int i = 0; i < N_OUTCOMES; i++)
        n += t->n_by_outcome[i];
    return n;
}

static size_t both(const struct window *w, enum outcome outcome)
{
    return w->fresh.n_by_outcome[outcome] + w->kept.n_by_outcome[outcome];
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void print(struct window *w)
{
    tally_sort(&w->fresh);
    tally_sort(&w->kept);
    printf("fresh=%zu kept=%zu served=%zu refused=%zu reset=%zu empty=%zu cut=%zu wrong=%zu timeout=%zu other=%zu",
           ended(&w->fresh), ended(&w->kept), both(w, SERVED), both(w, REFUSED), both(w, RESET), both(w, EMPTY), both(w, CUT),
           both(w, WRONG), both(w, TIMED_OUT), both(w, OTHER));
    printf(" kept_failed=%zu announced=%u idle=%u p50_us=%.1f p99_us=%.1f max_us=%.1f lag_us=%.1f\n",
           ended(&w->kept) - w->kept.n_by_outcome[SERVED], w->n_announced, w->n_idle, tally_percentile_us(&w->fresh, 0.50),
           tally_percentile_us(&w->fresh, 0.99),
           larger(tally_percentile_us(&w->fresh, 1.0), tally_percentile_us(&w->kept, 1.0)), (double)w->lag_ns / 1e3);
    fflush(stdout);
}

void window_report(void)
{
    while (n_reported < n_marks && numbered(n_reported)->n_open == 0) {
        struct window *w = numbered(n_reported++);

        print(w);
        tally_deinit(&w->fresh);
        tally_deinit(&w->kept);
    }
}
