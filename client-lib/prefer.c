#include "client-lib/prefer.h"

#include "client-lib/bits.h"

int sb_prefer_true(bool a, bool b)
{
    return a - b;
}

int sb_prefer_more(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

int sb_prefer_home(struct sb_mobility a, struct sb_mobility b)
{
    bool a_has_both = a.home && a.care_of;
    bool b_has_both = b.home && b.care_of;

    if (a_has_both != b_has_both)
        return sb_prefer_true(a_has_both, b_has_both);
    if (a.home == a.care_of || b.home == b.care_of) /* both or neither */
        return 0;
    return sb_prefer_true(a.home, b.home);
}

unsigned sb_common_bits(const struct sockbroker_addr *source, unsigned prefix_bits, const struct sockbroker_addr *destination)
{
    return sb_bits_common(source->ip, destination->ip, prefix_bits);
}
