#include "broker/policies_print.h"

#include <jansson.h>

bool sb_policies_print_text(const struct sockbroker_policy *policies, size_t n_policies, FILE *to)
{
    bool ok = fprintf(to, "# prefix precedence label\n") > 0;

    for (size_t i = 0; i < n_policies && ok; i++) {
        char text[SOCKBROKER_POLICY_TEXT_MAX];

        ok = fprintf(to, "%s\n", sockbroker_policy_format(&policies[i], text)) > 0;
    }
    return ok;
}

/* jansson answers NULL when memory is short and passes NULL through, so one check at the end is enough. */
bool sb_policies_print_json(const struct sockbroker_policy *policies, size_t n_policies, FILE *to)
{
    json_t *list = json_array();
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    for (size_t i = 0; i < n_policies; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "prefix", sockbroker_prefix_format(&policies[i].prefix, text),
                                              "precedence", (json_int_t)policies[i].precedence, "label",
                                              (json_int_t)policies[i].label));
    json_t *all = json_pack("{s:i, s:o}", "schema", SB_POLICIES_SCHEMA, "policies", list);
    bool ok = all && json_dumpf(all, to, JSON_INDENT(2)) == 0 && fputc('\n', to) != EOF;
    json_decref(all);
    return ok;
}
