#include <jansson.h>

#include "broker/addresses_print.h"
#include "proto/oserr.h"

/* jansson answers NULL when memory is short and passes NULL through, so one check at the end is enough. */

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *address(const struct sockbroker_addr *a)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    return json_string(sockbroker_addr_format_ip(a, text));
}

static json_t *usable(const struct sockbroker_pair *p)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:o, s:s}", "destination",
                     address(&p->destination), "source", address(&p->source), "precedence", number(p->precedence), "label",
                     number(p->label), "source_label", number(p->source_label), "scope", sockbroker_scope_name(p->scope),
                     "source_scope", sockbroker_scope_name(p->source_scope), "common_bits", number(p->common_bits),
                     "deprecated", p->deprecated, "home", p->home, "care_of", p->care_of, "encapsulated", p->encapsulated,
                     "rule", number((uint64_t)p->rule), "rule_text", sockbroker_rule_text(p->rule));
}

static json_t *unusable(const struct sockbroker_pair *p)
{
    char code[128] = "";

    if (p->os_code)
        sb_oserr_text(p->os_code, code, sizeof(code));
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:s}", "destination", address(&p->destination), "precedence",
                     number(p->precedence), "label", number(p->label), "scope", sockbroker_scope_name(p->scope), "reason",
                     sockbroker_unusable_text(p->unusable), "system", code);
}

bool sb_addresses_print_json(const struct sb_addresses *addresses, FILE *to)
{
    json_t *pairs = json_array();
    json_t *dropped = json_array();

    for (size_t i = 0; i < addresses->n_pairs; i++) {
        const struct sockbroker_pair *p = &addresses->pairs[i];

        json_array_append_new(p->unusable ? dropped : pairs, p->unusable ? unusable(p) : usable(p));
    }
    json_t *all = json_pack("{s:i, s:s, s:o, s:o}", "schema", SB_ADDRESSES_SCHEMA, "host", addresses->host, "pairs", pairs,
                            "dropped", dropped);
    bool ok = all && json_dumpf(all, to, JSON_INDENT(2)) == 0 && fputc('\n', to) != EOF;
    json_decref(all);
    return ok;
}
