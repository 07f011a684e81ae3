/* status_groups.c: the groups of the status, as text and as JSON. */
#include "broker/status_groups.h"

#include <string.h>

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* ---- JSON ---- */

static json_t *generations_of(const struct sb_status_report *r, const char *group)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_generations; i++) {
        const struct sb_generation_status *g = &r->generations[i];

        if (strcmp(g->group, group))
            continue;
        json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "generation", number(g->generation), "state",
                                              g->state, "workers", number(g->workers), "ready", number(g->ready), "open",
                                              number(g->open), "since_ms", number(g->since_ms)));
    }
    return list;
}

static json_t *slots_of(const struct sb_status_report *r, const char *group)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_slots; i++) {
        const struct sb_slot_status *s = &r->slots[i];

        if (strcmp(s->group, group))
            continue;
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:s, s:o, s:o}", "worker", s->worker, "generation",
                                              number(s->generation), "pid", number(s->pid), "state", s->state, "restarts",
                                              number(s->restarts), "since_ms", number(s->since_ms)));
    }
    return list;
}

json_t *sb_status_groups_json(const struct sb_status_report *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_groups; i++) {
        const struct sb_group_status *g = &r->groups[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "name", g->name, "command", g->command, "wanted",
                                        number(g->wanted), "generation", number(g->generation), "failure", g->failure,
                                        "generations", generations_of(r, g->name), "workers", slots_of(r, g->name)));
    }
    return list;
}

/* ---- text ---- */

static double seconds(uint64_t ms)
{
    return (double)ms / 1000;
}

static void print_generations(const struct sb_status_report *r, const char *group, FILE *to)
{
    for (size_t i = 0; i < r->n_generations; i++) {
        const struct sb_generation_status *g = &r->generations[i];

        if (!strcmp(g->group, group))
            fprintf(to, "  generation %llu  %s for %.1f s  workers %u  ready %u  open %llu\n",
                    (unsigned long long)g->generation, g->state, seconds(g->since_ms), g->workers, g->ready,
                    (unsigned long long)g->open);
    }
}

static void print_slots(const struct sb_status_report *r, const char *group, FILE *to)
{
    for (size_t i = 0; i < r->n_slots; i++) {
        const struct sb_slot_status *s = &r->slots[i];

        if (!strcmp(s->group, group))
            fprintf(to, "  %-20s pid %-10u %s for %.1f s  restarts %u\n", s->worker, s->pid, s->state, seconds(s->since_ms),
                    s->restarts);
    }
}

void sb_status_groups_text(const struct sb_status_report *r, FILE *to)
{
    for (size_t i = 0; i < r->n_groups; i++) {
        const struct sb_group_status *g = &r->groups[i];

        fprintf(to, "\ngroup %s  wanted %u  command %s\n", g->name, g->wanted, g->command);
        if (g->failure[0])
            fprintf(to, "  the last reload failed: %s\n", g->failure);
        print_generations(r, g->name, to);
        print_slots(r, g->name, to);
    }
}
