#include "broker/status_print.h"
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
    fprintf(to, "  %s %s %s %s  %s\n", e->mode, e->policy, e->family, e->carrier, e->state);
    fprintf(to, "  accepted %llu  leased %llu  acked %llu  nacked %llu  withdrawn %llu  re-leased %llu  in doubt %llu\n",
            (unsigned long long)c->accepted, (unsigned long long)c->leased, (unsigned long long)c->acked,
            (unsigned long long)c->nacked, (unsigned long long)c->withdrawn, (unsigned long long)c->released,
            (unsigned long long)c->in_doubt);
    fprintf(to, "  refused %llu  denied %llu  accept errors %llu  held %llu (most %llu)\n", (unsigned long long)c->refused,
            (unsigned long long)c->denied, (unsigned long long)c->accept_errors, (unsigned long long)c->held,
            (unsigned long long)c->held_max);
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

bool sb_status_print_text(const struct sb_status_report *r, FILE *to)
{
    fprintf(to, "broker %s  pid %u  up %llu s  %s  connections %llu of %llu\n", r->broker.version, r->broker.pid,
            (unsigned long long)(r->broker.uptime_ms / 1000), r->broker.state, (unsigned long long)r->broker.descriptors_used,
            (unsigned long long)r->broker.descriptors_max);
    fprintf(to, "bad messages %llu  busy refusals %llu  log lines dropped %llu  listener repairs %llu\n\n",
            (unsigned long long)r->broker.bad_messages, (unsigned long long)r->broker.busy_refusals,
            (unsigned long long)r->broker.log_lines_dropped, (unsigned long long)r->broker.listener_repairs);
    for (size_t i = 0; i < r->n_endpoints; i++)
        print_endpoint(&r->endpoints[i], to);
    fprintf(to, "\n%-20s %20s %10s %6s %4s %-9s %6s %7s %9s %6s  %s\n", "worker", "session", "pid", "uid", "gen", "state",
            "open", "unacked", "served", "weight", "endpoints");
    for (size_t i = 0; i < r->n_sessions; i++)
        print_session(&r->sessions[i], to);
    return !ferror(to);
}
