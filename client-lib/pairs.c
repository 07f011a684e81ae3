#include "client-lib/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "client-lib/candidates.h"
#include "client-lib/order.h"
#include "client-lib/prefer.h"
#include "client-lib/zone.h"
#include "proto/error.h"

struct job {
    const struct sb_host *host;
    const struct sockbroker_select_options *options;
    struct sb_candidates candidates; /* empty: the system chooses */
};

static const struct sockbroker_policy *policy_of(const struct job *job, const struct sockbroker_addr *addr)
{
    return sockbroker_policy_find(job->options->policies, job->options->n_policies, addr);
}

static void fill_destination(const struct job *job, const struct sockbroker_addr *destination, struct sockbroker_pair *pair)
{
    const struct sockbroker_policy *policy;

    pair->destination = *destination;
    sockbroker_addr_normalise(&pair->destination);
    if (!sb_zone_applies(&pair->destination))
        pair->destination.scope_id = 0;
    policy = policy_of(job, &pair->destination);
    pair->precedence = policy->precedence;
    pair->label = policy->label;
    pair->scope = sockbroker_scope_of(&pair->destination);
}

static void fill_zone(const struct job *job, struct sockbroker_pair *pair)
{
    uint32_t zone;

    if (!sb_zone_applies(&pair->destination) || pair->destination.scope_id)
        return;
    zone = sb_candidates_zone(&job->candidates);
    if (!zone)
        zone = sb_host_zone(job->host, NULL);
    if (zone && zone != SB_HOST_ZONES)
        pair->destination.scope_id = zone;
    else
        pair->unusable = SOCKBROKER_UNUSABLE_NO_ZONE;
}

static void fill_source(const struct job *job, const struct sockbroker_addr *source, struct sockbroker_pair *pair)
{
    struct sb_host_address facts = sb_host_describe(job->host, source);

    pair->source = facts.addr;
    pair->source_scope = sockbroker_scope_of(&facts.addr);
    pair->source_label = policy_of(job, &facts.addr)->label;
    pair->common_bits = sb_common_bits(&facts.addr, facts.prefix_bits, &pair->destination);
    pair->deprecated = facts.deprecated;
    pair->home = facts.home;
    pair->care_of = facts.care_of;
    pair->encapsulated = facts.encapsulated;
}

static uint32_t outgoing_interface(const struct job *job, const struct sockbroker_pair *pair,
                                   const struct sockbroker_addr *system_source)
{
    if (pair->destination.scope_id)
        return pair->destination.scope_id;
    return pair->unusable ? 0 : sb_host_describe(job->host, system_source).interface_index;
}

/* pair->unusable tells what came of asking the system for a source of its own. */
static sockbroker_status choose(struct job *job, struct sockbroker_pair *pair, struct sockbroker_addr *source)
{
    struct sb_source_goal goal = { .destination = pair->destination, .scope = pair->scope, .label = pair->label };
    enum sockbroker_unusable unusable;
    int os_code;
    sockbroker_status st;

    goal.interface_index = outgoing_interface(job, pair, source);
    goal.prefer_public = job->options->prefer_public;
    goal.prefer_care_of = job->options->prefer_care_of;
    st = sb_candidates_choose(&job->candidates, job->host, &goal, source, &unusable, &os_code);
    if (st || (unusable && pair->unusable)) /* "no route" says more than "not from these sources" */
        return st;
    pair->unusable = unusable;
    pair->os_code = os_code;
    return SOCKBROKER_OK;
}

static sockbroker_status make_pair(struct job *job, const struct sockbroker_addr *destination, struct sockbroker_pair *pair)
{
    struct sb_host_wish wish = { NULL, job->options->prefer_public, job->options->prefer_care_of };
    struct sockbroker_addr source = { .family = SOCKBROKER_FAMILY_NONE };
    sockbroker_status st;

    fill_destination(job, destination, pair);
    fill_zone(job, pair);
    if (pair->unusable)
        return SOCKBROKER_OK;
    st = job->host->find_source(job->host, &pair->destination, &wish, &source, &pair->unusable, &pair->os_code);
    if (!st && job->candidates.n)
        st = choose(job, pair, &source);
    if (!st && !pair->unusable)
        fill_source(job, &source, pair);
    return st;
}

static sockbroker_status make_all(struct job *job, const struct sockbroker_addr *destinations, size_t n_destinations,
                                  struct sockbroker_pair *pairs, size_t *n_pairs_out, struct sockbroker_error *error)
{
    static const struct sockbroker_pair none;
    size_t n = 0;

    for (size_t i = 0; i < n_destinations; i++) {
        char text[SOCKBROKER_ADDR_TEXT_MAX];
        sockbroker_status st;

        pairs[n] = none;
        pairs[n].given = i;
        st = make_pair(job, &destinations[i], &pairs[n]);
        if (st)
            return sb_error_set(error, st, pairs[n].os_code, "source for destination %zu (%s): the system cannot be asked: %s",
                                i + 1, sockbroker_addr_format_ip(&destinations[i], text), sockbroker_status_text(st));
        n += !pairs[n].unusable || job->options->keep_unusable;
    }
    sb_order_sort(pairs, n);
    *n_pairs_out = n;
    return SOCKBROKER_OK;
}

sockbroker_status sb_pairs_make(const struct sb_host *host, const struct sockbroker_addr *destinations, size_t n_destinations,
                                const struct sockbroker_select_options *options, struct sockbroker_pair *pairs_out,
                                size_t *n_pairs_out, struct sockbroker_error *error_out)
{
    struct job job = { .host = host, .options = options };
    struct sockbroker_pair *pairs = NULL;
    size_t n = 0;
    sockbroker_status st = sb_candidates_init(&job.candidates, host, options, error_out);

    if (!st) {
        pairs = calloc(n_destinations, sizeof(*pairs));
        if (!pairs)
            st = sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for %zu destinations", n_destinations);
    }
    if (!st)
        st = make_all(&job, destinations, n_destinations, pairs, &n, error_out);
    if (!st) {
        memcpy(pairs_out, pairs, n * sizeof(*pairs));
        *n_pairs_out = n;
    }
    free(pairs);
    sb_candidates_deinit(&job.candidates);
    return st;
}
