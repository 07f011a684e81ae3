#include "sockbroker/addr.h"

#include "client-lib/bits.h"

/* The first row whose bits agree decides, so an exception stands before its block. */
struct row {
    enum sockbroker_addr_class class_;
    unsigned bits;
    uint8_t ip[16];
};

static const struct row ipv4_rows[] = {
    { SOCKBROKER_CLASS_UNSPECIFIED, 32, { 0, 0, 0, 0 } },
    { SOCKBROKER_CLASS_RESERVED, 8, { 0 } },               /* RFC 791, "this network" */
    { SOCKBROKER_CLASS_LOOPBACK, 8, { 127 } },             /* RFC 1122, 3.2.1.3 */
    { SOCKBROKER_CLASS_LINK_LOCAL, 16, { 169, 254 } },     /* RFC 3927 */
    { SOCKBROKER_CLASS_PRIVATE, 8, { 10 } },               /* RFC 1918 */
    { SOCKBROKER_CLASS_PRIVATE, 12, { 172, 16 } },         /* RFC 1918 */
    { SOCKBROKER_CLASS_PRIVATE, 16, { 192, 168 } },        /* RFC 1918 */
    { SOCKBROKER_CLASS_SHARED, 10, { 100, 64 } },          /* RFC 6598 */
    { SOCKBROKER_CLASS_DOCUMENTATION, 24, { 192, 0, 2 } }, /* RFC 5737 */
    { SOCKBROKER_CLASS_DOCUMENTATION, 24, { 198, 51, 100 } },
    { SOCKBROKER_CLASS_DOCUMENTATION, 24, { 203, 0, 113 } },
    { SOCKBROKER_CLASS_MULTICAST, 4, { 224 } }, /* RFC 5771 */
    { SOCKBROKER_CLASS_BROADCAST, 32, { 255, 255, 255, 255 } },
    { SOCKBROKER_CLASS_RESERVED, 4, { 240 } }, /* RFC 1112, 4 */
    { SOCKBROKER_CLASS_GLOBAL, 0, { 0 } },
};

static const struct row ipv6_rows[] = {
    { SOCKBROKER_CLASS_UNSPECIFIED, 128, { 0 } },     /* RFC 4291, 2.5.2 */
    { SOCKBROKER_CLASS_LOOPBACK, 128, { [15] = 1 } }, /* RFC 4291, 2.5.3 */
    { SOCKBROKER_CLASS_COMPATIBLE, 96, { 0 } },       /* RFC 4291, 2.5.5.1 */
    { SOCKBROKER_CLASS_MAPPED, 96, { [10] = 0xff, [11] = 0xff } },
    { SOCKBROKER_CLASS_NAT64, 96, { 0x00, 0x64, 0xff, 0x9b } },         /* RFC 6052, 2.1 */
    { SOCKBROKER_CLASS_TEREDO, 32, { 0x20, 0x01, 0x00, 0x00 } },        /* RFC 4380 */
    { SOCKBROKER_CLASS_DOCUMENTATION, 32, { 0x20, 0x01, 0x0d, 0xb8 } }, /* RFC 3849 */
    { SOCKBROKER_CLASS_DOCUMENTATION, 20, { 0x3f, 0xff, 0x00 } },       /* RFC 9637 */
    { SOCKBROKER_CLASS_6TO4, 16, { 0x20, 0x02 } },                      /* RFC 3056 */
    { SOCKBROKER_CLASS_PRIVATE, 7, { 0xfc } },                          /* RFC 4193 */
    { SOCKBROKER_CLASS_LINK_LOCAL, 10, { 0xfe, 0x80 } },                /* RFC 4291, 2.5.6 */
    { SOCKBROKER_CLASS_PRIVATE, 10, { 0xfe, 0xc0 } },                   /* RFC 3879, the old site-local */
    { SOCKBROKER_CLASS_MULTICAST, 8, { 0xff } },                        /* RFC 4291, 2.7 */
    { SOCKBROKER_CLASS_GLOBAL, 0, { 0 } },
};

static enum sockbroker_addr_class look_up(const struct row *row, const uint8_t *ip)
{
    while (!sb_bits_equal(row->ip, ip, row->bits)) /* the last row has no bits and fits all */
        row++;
    return row->class_;
}

enum sockbroker_addr_class sockbroker_addr_classify(const struct sockbroker_addr *addr)
{
    if (addr->family == SOCKBROKER_IPV4)
        return look_up(ipv4_rows, addr->ip);
    if (addr->family == SOCKBROKER_IPV6)
        return look_up(ipv6_rows, addr->ip);
    return SOCKBROKER_CLASS_NONE;
}

const char *sockbroker_addr_class_name(enum sockbroker_addr_class class_)
{
    switch (class_) {
    case SOCKBROKER_CLASS_NONE:
        return "none";
    case SOCKBROKER_CLASS_UNSPECIFIED:
        return "unspecified";
    case SOCKBROKER_CLASS_LOOPBACK:
        return "loopback";
    case SOCKBROKER_CLASS_LINK_LOCAL:
        return "link-local";
    case SOCKBROKER_CLASS_PRIVATE:
        return "private";
    case SOCKBROKER_CLASS_SHARED:
        return "shared";
    case SOCKBROKER_CLASS_MULTICAST:
        return "multicast";
    case SOCKBROKER_CLASS_BROADCAST:
        return "broadcast";
    case SOCKBROKER_CLASS_DOCUMENTATION:
        return "documentation";
    case SOCKBROKER_CLASS_RESERVED:
        return "reserved";
    case SOCKBROKER_CLASS_MAPPED:
        return "mapped";
    case SOCKBROKER_CLASS_COMPATIBLE:
        return "compatible";
    case SOCKBROKER_CLASS_NAT64:
        return "nat64";
    case SOCKBROKER_CLASS_6TO4:
        return "6to4";
    case SOCKBROKER_CLASS_TEREDO:
        return "teredo";
    case SOCKBROKER_CLASS_GLOBAL:
        return "global";
    }
    return "unknown";
}
