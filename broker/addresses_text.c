#include <string.h>

#include "broker/addresses_print.h"
#include "proto/oserr.h"

struct widths {
    int destination;
    int source;
};

static void widen(int *width, const struct sockbroker_addr *addr)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    int len = (int)strlen(sockbroker_addr_format_ip(addr, text));

    if (len > *width)
        *width = len;
}

static struct widths measure(const struct sb_addresses *a)
{
    struct widths w = { sizeof("destination") - 1, sizeof("source") - 1 };

    for (size_t i = 0; i < a->n_pairs; i++) {
        widen(&w.destination, &a->pairs[i].destination);
        widen(&w.source, &a->pairs[i].source);
    }
    return w;
}

static void print_addresses(const struct sockbroker_pair *p, const struct widths *w, FILE *to)
{
    char destination[SOCKBROKER_ADDR_TEXT_MAX], source[SOCKBROKER_ADDR_TEXT_MAX];

    fprintf(to, "%-*s  %-*s  %10lu  %5lu  %-18s  ", w->destination, sockbroker_addr_format_ip(&p->destination, destination),
            w->source, sockbroker_addr_format_ip(&p->source, source), (unsigned long)p->precedence, (unsigned long)p->label,
            sockbroker_scope_name(p->scope));
}

static void print_reason(const struct sockbroker_pair *p, FILE *to)
{
    char code[128];

    fprintf(to, "dropped: %s%s%s\n", sockbroker_unusable_text(p->unusable), p->os_code ? ", " : "",
            p->os_code ? sb_oserr_text(p->os_code, code, sizeof(code)) : "");
}

bool sb_addresses_print_text(const struct sb_addresses *addresses, FILE *to)
{
    struct widths w = measure(addresses);

    fprintf(to, "order  %-*s  %-*s  precedence  label  %-18s  before the next by\n", w.destination, "destination", w.source,
            "source", "scope");
    for (size_t i = 0; i < addresses->n_pairs; i++) {
        const struct sockbroker_pair *p = &addresses->pairs[i];

        if (p->unusable)
            fprintf(to, "%5s  ", "-");
        else
            fprintf(to, "%5zu  ", i + 1);
        print_addresses(p, &w, to);
        if (p->unusable)
            print_reason(p, to);
        else if (p->rule)
            fprintf(to, "rule %d, %s\n", (int)p->rule, sockbroker_rule_text(p->rule));
        else
            fprintf(to, "-\n");
    }
    return !ferror(to);
}
