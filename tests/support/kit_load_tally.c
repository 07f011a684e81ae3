#include "tests/support/kit_load_tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"

static void count_worker(struct kit_load_result *r, const char *name)
{
    unsigned i = 0;

    while (i < r->n_workers && strcmp(r->workers[i].name, name))
        i++;
    if (i == KIT_LOAD_WORKERS_MAX)
        return;
    if (i == r->n_workers) {
        r->n_workers++;
        format_text(r->workers[i].name, sizeof(r->workers[i].name), "%s", name);
    }
    r->workers[i].answered++;
}

static void note_wrong(struct kit_load_result *r, const char *why, const char *text)
{
    r->wrong++;
    if (!r->first_wrong[0])
        format_text(r->first_wrong, sizeof(r->first_wrong), "%s: \"%.100s\"", why, text);
}

/* NULL when it is right. */
static const char *what_is_wrong(const struct kit_client_end *e, struct kit_answer *a)
{
    const char *newline = strchr(e->text, '\n');

    if (!newline)
        return "part of a line";
    if (newline != e->text + e->len - 1)
        return "more than one line";
    if (!kit_answer_parse(e->text, a))
        return "not an answer";
    if (a->port != e->port)
        return "somebody else's answer";
    if (strcmp(a->family, e->is_ipv6 ? "ipv6" : "ipv4"))
        return "the other family";
    if (e->echo && strcmp(a->echo, e->echo))
        return "another echo";
    return NULL;
}

void kit_tally_ended(struct kit_tally *t, const struct kit_client_end *e)
{
    struct kit_load_result *r = &t->result;
    struct kit_answer a;

    if (!e->len) {
        r->empty++;
        return;
    }
    const char *why = what_is_wrong(e, &a);
    if (why) {
        note_wrong(r, why, e->text);
        return;
    }
    r->answered++;
    r->ipv4 += !e->is_ipv6;
    r->ipv6 += e->is_ipv6;
    if (e->took_ms > r->slowest_ms)
        r->slowest_ms = e->took_ms;
    count_worker(r, a.worker);
    t->leases[t->n_leases++] = a.lease_id;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

void kit_tally_check_leases(struct kit_tally *t)
{
    qsort(t->leases, t->n_leases, sizeof(*t->leases), compare);
    for (size_t i = 1; i < t->n_leases; i++) {
        if (t->leases[i] != t->leases[i - 1])
            continue;
        t->result.answered--;
        note_wrong(&t->result, "a lease was answered twice", "");
    }
}

/* ---- asking ---- */

unsigned kit_load_by_worker(const struct kit_load_result *r, const char *worker)
{
    for (unsigned i = 0; i < r->n_workers; i++) {
        if (!strcmp(r->workers[i].name, worker))
            return r->workers[i].answered;
    }
    return 0;
}

void kit_load_print(const char *title, const struct kit_load_result *r)
{
    printf("%s: answered %u (ipv4 %u, ipv6 %u) refused %u reset %u empty %u wrong %u timeout %u; slowest %u ms\n", title,
           r->answered, r->ipv4, r->ipv6, r->refused, r->reset, r->empty, r->wrong, r->timeout, r->slowest_ms);
}

void kit_load_check_all_answered(const struct kit_load_result *r, unsigned total)
{
    if (r->answered != total || r->refused || r->reset || r->empty || r->wrong || r->timeout)
        kit_fail("of %u: answered %u refused %u reset %u empty %u wrong %u timeout %u%s%s", total, r->answered, r->refused,
                 r->reset, r->empty, r->wrong, r->timeout, r->first_wrong[0] ? "; first wrong: " : "", r->first_wrong);
}
