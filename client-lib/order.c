#include "client-lib/order.h"

#include <string.h>

#include "client-lib/prefer.h"

typedef int prefer(const struct sockbroker_pair *a, const struct sockbroker_pair *b);

static int usable(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_true(!a->unusable, !b->unusable);
}

static int matching_scope(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_true(a->scope == a->source_scope, b->scope == b->source_scope);
}

static int not_deprecated(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_true(!a->deprecated, !b->deprecated);
}

static int home_address(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_home((struct sb_mobility){ a->home, a->care_of }, (struct sb_mobility){ b->home, b->care_of });
}

static int matching_label(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_true(a->label == a->source_label, b->label == b->source_label);
}

static int precedence(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_more(a->precedence, b->precedence);
}

static int native_transport(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_true(!a->encapsulated, !b->encapsulated);
}

static int smaller_scope(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return sb_prefer_more(b->scope, a->scope);
}

static int longest_prefix(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    return a->destination.family == b->destination.family ? sb_prefer_more(a->common_bits, b->common_bits) : 0;
}

static prefer *const rules[] = {
    usable,     matching_scope,   not_deprecated, home_address,   matching_label,
    precedence, native_transport, smaller_scope,  longest_prefix,
};

int sb_order_compare(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    if (a->unusable && b->unusable) /* there is no source to judge by */
        return 0;
    for (int i = 0; i < (int)(sizeof(rules) / sizeof(rules[0])); i++) {
        int preferred = rules[i](a, b);

        if (preferred)
            return preferred > 0 ? i + 1 : -(i + 1);
    }
    return 0;
}

static enum sockbroker_rule rule_between(const struct sockbroker_pair *a, const struct sockbroker_pair *b)
{
    int rule = sb_order_compare(a, b);

    return rule > 0 ? (enum sockbroker_rule)rule : SOCKBROKER_RULE_ORDER;
}

/* By insertion: stable, as rule 10 wants it, and with a defined result where rule 9 contradicts itself (a destination of the
 * other family between two that it orders); qsort() promises neither. */
void sb_order_sort(struct sockbroker_pair *pairs, size_t n_pairs)
{
    for (size_t i = 1; i < n_pairs; i++) {
        struct sockbroker_pair pair = pairs[i];
        size_t at = i;

        while (at > 0 && sb_order_compare(&pairs[at - 1], &pair) < 0)
            at--;
        memmove(&pairs[at + 1], &pairs[at], (i - at) * sizeof(pair));
        pairs[at] = pair;
    }
    for (size_t i = 0; i + 1 < n_pairs; i++)
        pairs[i].rule = rule_between(&pairs[i], &pairs[i + 1]);
}
