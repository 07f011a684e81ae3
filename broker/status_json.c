#include <jansson.h>

#include "broker/status_groups.h"
#include "broker/status_print.h"
#include "sockbroker/addr.h"

/* jansson answers NULL when memory is short and passes NULL through, so one check at the end is enough. */

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *address(const struct sockbroker_addr *a)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    return json_string(sockbroker_addr_format(a, text));
}

static json_t *histogram(const struct sb_histogram *h)
{
    static const char *const limits[SB_HISTOGRAM_BUCKETS] = { "10us", "100us", "1ms", "10ms", "100ms", "1s", "10s", "inf" };
    json_t *below = json_object();

    for (unsigned i = 0; i < SB_HISTOGRAM_BUCKETS; i++)
        json_object_set_new(below, limits[i], number(h->buckets[i]));
    return json_pack("{s:o, s:o}", "sum_us", number(h->sum_us), "below", below);
}

static json_t *counters(const struct sb_endpoint_counters *c)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        { "accepted", c->accepted },   { "leased", c->leased },
        { "acked", c->acked },         { "nacked", c->nacked },
        { "withdrawn", c->withdrawn }, { "released", c->released },
        { "in_doubt", c->in_doubt },   { "refused", c->refused },
        { "denied", c->denied },       { "accept_errors", c->accept_errors },
        { "held", c->held },           { "held_max", c->held_max },
        { "granted", c->granted },     { "repaired", c->repaired },
    };
    json_t *o = json_object();

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        json_object_set_new(o, all[i].name, number(all[i].value));
    return o;
}

static json_t *endpoint(const struct sb_endpoint_status *e)
{
    json_t *addresses = json_array();

    for (uint32_t i = 0; i < e->n_addresses; i++)
        json_array_append_new(addresses, address(&e->addresses[i]));
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "name", e->name, "addresses", addresses,
                     "protocol", e->protocol, "mode", e->mode, "policy", e->policy, "family", e->family, "carrier", e->carrier,
                     "slots", number(e->slots), "state", e->state, "counters", counters(&e->counters), "accept_to_lease",
                     histogram(&e->counters.accept_to_lease), "lease_to_ack", histogram(&e->counters.lease_to_ack));
}

static json_t *session(const struct sb_session_status *s)
{
    char id[24];
    json_t *endpoints = json_array();

    snprintf(id, sizeof(id), "%llu", (unsigned long long)s->id); /* as text: 64 bits do not fit every reader's number */
    for (uint32_t i = 0; i < s->n_endpoints; i++)
        json_array_append_new(endpoints, json_string(s->endpoints[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", id, "name", s->name,
                     "generation", number(s->generation), "pid", number(s->pid), "uid", number(s->uid), "gid", number(s->gid),
                     "state", s->state, "open", number(s->open), "unacked", number(s->unacked), "served", number(s->served),
                     "weight", number(s->weight), "window", number(s->window), "endpoints", endpoints, "attached_ms",
                     number(s->attached_ms));
}

static json_t *address_or_empty(const struct sockbroker_addr *a)
{
    return a->family == SOCKBROKER_FAMILY_NONE ? json_string("") : address(a);
}

static json_t *deposit(const struct sb_deposit_status *d)
{
    return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "name", d->name, "owner", d->owner, "uid",
                     number(d->uid), "kind", d->kind, "local", address_or_empty(&d->local), "peer", address_or_empty(&d->peer),
                     "state_len", number(d->state_len), "age_ms", number(d->age_ms), "expires_ms", number(d->expires_ms),
                     "taken_by", d->taken_by);
}

static json_t *broker(const struct sb_broker_status *b)
{
    return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", b->version, "pid",
                     number(b->pid), "uptime_ms", number(b->uptime_ms), "state", b->state, "bad_messages",
                     number(b->bad_messages), "busy_refusals", number(b->busy_refusals), "log_lines_dropped",
                     number(b->log_lines_dropped), "connections", number(b->descriptors_used), "max_connections",
                     number(b->descriptors_max), "listener_repairs", number(b->listener_repairs), "grants", number(b->grants),
                     "connects_failed", number(b->connects_failed), "n_deposits", number(b->n_deposits), "deposits_expired",
                     number(b->deposits_expired));
}

bool sb_status_print_json(const struct sb_status_report *r, FILE *to)
{
    json_t *endpoints = json_array();
    json_t *sessions = json_array();
    json_t *deposits = json_array();

    for (size_t i = 0; i < r->n_endpoints; i++)
        json_array_append_new(endpoints, endpoint(&r->endpoints[i]));
    for (size_t i = 0; i < r->n_sessions; i++)
        json_array_append_new(sessions, session(&r->sessions[i]));
    for (size_t i = 0; i < r->n_deposits; i++)
        json_array_append_new(deposits, deposit(&r->deposits[i]));
    json_t *all =
        json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "schema", SB_STATUS_SCHEMA, "broker", broker(&r->broker), "endpoints",
                  endpoints, "sessions", sessions, "deposits", deposits, "groups", sb_status_groups_json(r));
    bool ok = all && json_dumpf(all, to, JSON_INDENT(2)) == 0 && fputc('\n', to) != EOF;
    json_decref(all);
    return ok;
}
