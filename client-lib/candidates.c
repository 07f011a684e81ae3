#include "client-lib/candidates.h"

#include <stdlib.h>
#include <string.h>

#include "client-lib/zone.h"
#include "proto/error.h"

static sockbroker_status add(struct sb_candidates *c, const struct sb_host *host,
                             const struct sockbroker_select_options *options, struct sockbroker_error *error)
{
    struct sockbroker_addr addr = options->sources[c->n];
    struct sb_source *source = &c->sources[c->n];
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    sockbroker_addr_normalise(&addr);
    if (!sb_zone_applies(&addr))
        addr.scope_id = 0;
    else if (!addr.scope_id)
        addr.scope_id = sb_host_zone(host, &addr);
    if (addr.scope_id == SB_HOST_ZONES)
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "source %zu (%s): several interfaces have it; add the zone, like fe80::1%%2", c->n + 1,
                            sockbroker_addr_format_ip(&options->sources[c->n], text));
    source->facts = sb_host_describe(host, &addr);
    source->scope = sockbroker_scope_of(&addr);
    source->label = sockbroker_policy_find(options->policies, options->n_policies, &addr)->label;
    c->n++;
    return SOCKBROKER_OK;
}

sockbroker_status sb_candidates_init(struct sb_candidates *candidates_out, const struct sb_host *host,
                                     const struct sockbroker_select_options *options, struct sockbroker_error *error_out)
{
    struct sb_candidates c = { NULL, NULL, 0 };
    sockbroker_status st = SOCKBROKER_OK;

    if (options->n_sources) {
        c.sources = calloc(options->n_sources, sizeof(*c.sources));
        c.tried = calloc(options->n_sources, sizeof(*c.tried));
        if (!c.sources || !c.tried)
            st = sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for %zu sources", options->n_sources);
    }
    while (!st && c.n < options->n_sources)
        st = add(&c, host, options, error_out);
    if (st)
        sb_candidates_deinit(&c);
    else
        *candidates_out = c;
    return st;
}

void sb_candidates_deinit(struct sb_candidates *candidates)
{
    free(candidates->sources);
    free(candidates->tried);
    *candidates = (struct sb_candidates){ NULL, NULL, 0 };
}

uint32_t sb_candidates_zone(const struct sb_candidates *candidates)
{
    uint32_t zone = 0;

    for (size_t i = 0; i < candidates->n; i++) {
        uint32_t scope_id = candidates->sources[i].facts.addr.scope_id;

        if (zone && scope_id && zone != scope_id)
            return SB_HOST_ZONES;
        if (scope_id)
            zone = scope_id;
    }
    return zone;
}

/* RFC 6724 section 4: to a link-local or multicast destination, only from the link where it goes out. */
static bool is_on_the_link(const struct sb_source_goal *goal, const struct sb_host_address *source)
{
    enum sockbroker_addr_class class_ = sockbroker_addr_classify(&goal->destination);
    bool matters = class_ == SOCKBROKER_CLASS_LINK_LOCAL || class_ == SOCKBROKER_CLASS_MULTICAST;

    return !matters || !goal->interface_index || !source->interface_index || source->interface_index == goal->interface_index;
}

static bool is_open(const struct sb_candidates *c, size_t i, const struct sb_source_goal *goal)
{
    const struct sb_host_address *facts = &c->sources[i].facts;

    return !c->tried[i] && facts->addr.family == goal->destination.family && is_on_the_link(goal, facts);
}

/* NULL when none is left. Of two alike, the first. */
static const struct sb_source *best_untried(struct sb_candidates *c, const struct sb_source_goal *goal)
{
    size_t best = c->n;

    for (size_t i = 0; i < c->n; i++) {
        if (is_open(c, i, goal) && (best == c->n || sb_source_compare(goal, &c->sources[i], &c->sources[best]) > 0))
            best = i;
    }
    if (best == c->n)
        return NULL;
    c->tried[best] = true;
    return &c->sources[best];
}

sockbroker_status sb_candidates_choose(struct sb_candidates *candidates, const struct sb_host *host,
                                       const struct sb_source_goal *goal, struct sockbroker_addr *source_out,
                                       enum sockbroker_unusable *unusable_out, int *os_code_out)
{
    const struct sb_source *source;
    sockbroker_status st = SOCKBROKER_OK;

    enum sockbroker_unusable unusable = SOCKBROKER_UNUSABLE_NO_SOURCE;

    *os_code_out = 0;
    memset(candidates->tried, 0, candidates->n * sizeof(*candidates->tried));
    while (!st && unusable && (source = best_untried(candidates, goal)) != NULL) {
        struct sb_host_wish wish = { .source = &source->facts.addr };

        st = host->find_source(host, &goal->destination, &wish, source_out, &unusable, os_code_out);
    }
    *unusable_out = unusable ? SOCKBROKER_UNUSABLE_NO_SOURCE : SOCKBROKER_USABLE;
    return st;
}
