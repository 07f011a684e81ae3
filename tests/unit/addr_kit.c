#include "tests/unit/addr_kit.h"

#include <stdbool.h>
#include <string.h>

static uint64_t random_state = 20240607;

uint64_t addr_next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717ull;
}

unsigned addr_pick(size_t n)
{
    return (unsigned)((addr_next_random() >> 33) % n);
}

/* Groups of zeros and ones are likely, as they decide the form. */
struct sockbroker_addr addr_random(void)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct sockbroker_addr addr = { .family = addr_pick(2) ? SOCKBROKER_IPV4 : SOCKBROKER_IPV6,
                                    .port = (uint16_t)addr_next_random() };
    size_t n = addr.family == SOCKBROKER_IPV4 ? 4 : 16;
    unsigned style = addr_pick(8);

    for (size_t i = 0; i < n; i++)
        addr.ip[i] = (uint8_t)(addr_next_random() >> 40);
    if (addr.family == SOCKBROKER_IPV6)
        for (size_t i = 0; i < n; i += 2)
            if (addr_pick(8) < style)
                addr.ip[i] = addr.ip[i + 1] = 0;
    if (addr.family == SOCKBROKER_IPV6 && addr_pick(10) == 0)
        memcpy(addr.ip, mapped, addr_pick(2) ? 12 : 10);
    if (addr.family == SOCKBROKER_IPV6 && addr_pick(10) == 0) {
        addr.ip[0] = 0xfe;
        addr.ip[1] = 0x80;
        addr.scope_id = (uint32_t)addr_next_random();
    }
    return addr;
}
