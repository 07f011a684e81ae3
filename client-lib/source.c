#include "client-lib/source.h"

#include <string.h>

#include "client-lib/prefer.h"

typedef int prefer(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b);

static bool is_destination(const struct sb_source_goal *goal, const struct sb_source *s)
{
    return memcmp(goal->destination.ip, s->facts.addr.ip, sizeof(goal->destination.ip)) == 0 &&
           goal->destination.scope_id == s->facts.addr.scope_id;
}

static int same_address(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    return sb_prefer_true(is_destination(goal, a), is_destination(goal, b));
}

/* The smallest scope that reaches the destination, or else the largest there is. */
static int appropriate_scope(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    if (a->scope < b->scope)
        return a->scope < goal->scope ? -1 : 1;
    if (b->scope < a->scope)
        return b->scope < goal->scope ? 1 : -1;
    return 0;
}

static int not_deprecated(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    (void)goal;
    return sb_prefer_true(!a->facts.deprecated, !b->facts.deprecated);
}

static int home_address(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    int preferred = sb_prefer_home((struct sb_mobility){ a->facts.home, a->facts.care_of },
                                   (struct sb_mobility){ b->facts.home, b->facts.care_of });

    return goal->prefer_care_of ? -preferred : preferred;
}

static int outgoing_interface(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    if (!goal->interface_index)
        return 0;
    return sb_prefer_true(a->facts.interface_index == goal->interface_index, b->facts.interface_index == goal->interface_index);
}

static int matching_label(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    return sb_prefer_true(a->label == goal->label, b->label == goal->label);
}

static int temporary_address(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    int preferred = sb_prefer_true(a->facts.temporary, b->facts.temporary);

    return goal->prefer_public ? -preferred : preferred;
}

static int longest_prefix(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    return sb_prefer_more(sb_common_bits(&a->facts.addr, a->facts.prefix_bits, &goal->destination),
                          sb_common_bits(&b->facts.addr, b->facts.prefix_bits, &goal->destination));
}

static prefer *const rules[] = {
    same_address,       appropriate_scope, not_deprecated,    home_address,
    outgoing_interface, matching_label,    temporary_address, longest_prefix,
};

int sb_source_compare(const struct sb_source_goal *goal, const struct sb_source *a, const struct sb_source *b)
{
    for (int i = 0; i < (int)(sizeof(rules) / sizeof(rules[0])); i++) {
        int preferred = rules[i](goal, a, b);

        if (preferred)
            return preferred > 0 ? i + 1 : -(i + 1);
    }
    return 0;
}
