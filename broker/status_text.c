#include "broker/status_print.h"

#include "broker/status_groups.h"
#include "sockbroker/addr.h"

static void print_addresses(const struct sb_endpoint_status *e, FILE *to)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    for (uint32_t i = 0; i < e->n_addresses; i++)
        fprintf(to, "%s%s", i ? "+" : "", sockbroker_addr_format(&e->addresses[i], text));
}

static void print_endpoint(const struct sb_endpoint_status *e, FILE *to)
{
    const struct sb_endpoint_counters *c = &e->counters;

    fprintf(to, "endpoint %s  ", e->name);
    print_addresses(e, to);
    fprintf(to, "  %s %s %s %s %s", e->protocol, e->mode, e->policy, e->family, e->carrier);
    if (e->slots)
        fprintf(to, " %u slots", e->slots);
    fprintf(to, "  %s\n", e->state);
    fprintf(to, "  accepted %llu  leased %llu  acked %llu  nacked %llu  withdrawn %llu  re-leased %llu  in doubt %llu\n",
            (unsigned long long)c->accepted, (unsigned long long)c->leased, (unsigned long long)c->acked,
            (unsigned long long)c->nacked, (unsigned long long)c->withdrawn, (unsigned long long)c->released,
            (unsigned long long)c->in_doubt);
    fprintf(to, "  refused %llu  denied %llu  accept errors %llu  held %llu (most %llu)  granted %llu  repaired %llu\n",
            (unsigned long long)c->refused, (unsigned long long)c->denied, (unsigned long long)c->accept_errors,
            (unsigned long long)c->held, (unsigned long long)c->held_max, (unsigned long long)c->granted,
            (unsigned long long)c->repaired);
}

static void print_session(const struct sb_session_status *s, FILE *to)
{
    fprintf(to, "%-20s %20llu %10u %6u %4llu %-9s %6llu %7llu %9llu %6u  ", s->name, (unsigned long long)s->id, s->pid, s->uid,
            (unsigned long long)s->generation, s->state, (unsigned long long)s->open, (unsigned long long)s->unacked,
            (unsigned long long)s->served, s->weight);
    for (uint32_t i = 0; i < s->n_endpoints; i++)
        fprintf(to, "%s%s", i ? "," : "", s->endpoints[i]);
    fputc('\n', to);
}

static const char *address_or_dash(const struct sockbroker_addr *a, char text[SOCKBROKER_ADDR_TEXT_MAX])
{
    return a->family == SOCKBROKER_FAMILY_NONE ? "-" : sockbroker_addr_format(a, text);
}

static void print_deposit(const struct sb_deposit_status *d, FILE *to)
{
    char local[SOCKBROKER_ADDR_TEXT_MAX], peer[SOCKBROKER_ADDR_TEXT_MAX];

    fprintf(to, "%-20s %-20s %10u %-10s %-21s %-21s %5u %9llu %10llu  %s\n", d->name, d->owner, d->uid, d->kind,
            address_or_dash(&d->local, local), address_or_dash(&d->peer, peer), d->state_len, (unsigned long long)d->age_ms,
            (unsigned long long)d->expires_ms, d->taken_by[0] ? d->taken_by : "-");
}

static void print_deposits(const struct sb_status_report *r, FILE *to)
{
    if (!r->n_deposits)
        return;
    fprintf(to, "\n%-20s %-20s %10s %-10s %-21s %-21s %5s %9s %10s  %s\n", "deposit", "left by", "uid", "kind", "local", "peer",
            "state", "age ms", "expires ms", "taken by");
    for (size_t i = 0; i < r->n_deposits; i++)
        print_deposit(&r->deposits[i], to);
}

static void print_broker(const struct sb_broker_status *b, FILE *to)
{
    fprintf(to, "broker %s  pid %u  up %llu s  %s  connections %llu of %llu\n", b->version, b->pid,
            (unsigned long long)(b->uptime_ms / 1000), b->state, (unsigned long long)b->descriptors_used,
            (unsigned long long)b->descriptors_max);
    fprintf(to, "bad messages %llu  busy refusals %llu  log lines dropped %llu  listener repairs %llu\n",
            (unsigned long long)b->bad_messages, (unsigned long long)b->busy_refusals, (unsigned long long)b->log_lines_dropped,
            (unsigned long long)b->listener_repairs);
    fprintf(to, "grants %llu  connects failed %llu  deposits %llu (expired %llu)\n\n", (unsigned long long)b->grants,
            (unsigned long long)b->connects_failed, (unsigned long long)b->n_deposits, (unsigned long long)b->deposits_expired);
}

bool sb_status_print_text(const struct sb_status_report *r, FILE *to)
{
    print_broker(&r->broker, to);
    for (size_t i = 0; i < r->n_endpoints; i++)
        print_endpoint(&r->endpoints[i], to);
    fprintf(to, "\n%-20s %20s %10s %6s %4s %-9s %6s %7s %9s %6s  %s\n", "worker", "session", "pid", "uid", "gen", "state",
            "open", "unacked", "served", "weight", "endpoints");
    for (size_t i = 0; i < r->n_sessions; i++)
        print_session(&r->sessions[i], to);
    print_deposits(r, to);
    sb_status_groups_text(r, to);
    return !ferror(to);
}
