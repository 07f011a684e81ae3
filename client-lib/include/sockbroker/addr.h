/* addr.h: addresses as text, as sockaddr, as IPv4 and as IPv4 seen through IPv6; prefixes.
 *
 * Parsing is strict: dotted IPv4 has four decimal numbers without leading zeros (RFC 6943, 3.1.1 tells what
 * the loose forms of inet_aton() led to), IPv6 is RFC 4291 section 2.2, a zone is RFC 4007 section 11. No number
 * in base ten (port, zone, prefix length) has a sign, blanks or leading zeros. Names of hosts and services are not
 * looked up. All functions are pure but for zone names, which ask the system for the interface index.
 *
 * A zone belongs to the addresses for which the system uses one, here called link-local: fe80::/10, and multicast of
 * interface-local and link-local scope (ffx1::/16, ffx2::/16). On any other address it is refused in text, dropped
 * when it comes from a sockaddr, and not printed.
 */
#ifndef SOCKBROKER_ADDR_H
#define SOCKBROKER_ADDR_H

#include <stddef.h>

#include "sockbroker/socket.h"

struct sockaddr;
struct sockaddr_storage;

#ifdef __cplusplus
extern "C" {
#endif

/* "[" 45 characters of IPv6 "%" 15 of zone "]:65535" and the NUL; no text that is written here is longer. */
#define SOCKBROKER_ADDR_TEXT_MAX 72

/* "192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80". The port is needed, decimal, 0..65535.
 * "[::ffff:192.0.2.1]:80" stays a mapped IPv6 address: see sockbroker_addr_normalise().
 * A zone is an interface index 1..4294967295, whether or not there is one now, or the name of an interface that
 * exists; digits alone are always an index.
 * OK, INVALID (also for NULL; error_out says what was wrong and what to write instead; addr_out is untouched). os_code
 * in it is 0 for anything wrong in the text, and not 0 when the system could not look up the name of a zone. */
SOCKBROKER_API sockbroker_status sockbroker_addr_parse(const char *text, struct sockbroker_addr *addr_out,
                                                       struct sockbroker_error *error_out);

/* The same without brackets and port ("2001:db8::1", "fe80::1%2"); port becomes 0. */
SOCKBROKER_API sockbroker_status sockbroker_addr_parse_ip(const char *text, struct sockbroker_addr *addr_out,
                                                          struct sockbroker_error *error_out);

/* Writes the form that sockbroker_addr_parse() reads (RFC 5952: lower case, longest zero run shortened; RFC 3986
 * brackets), or "-" for FAMILY_NONE. A zone is printed as a number. Dotted numbers end the mapped addresses and, as
 * RFC 5952 section 5 and inet_ntop() have it, the compatible ones from ::0.1.0.0 on; they are IPv6 for all that.
 * format_ip: the same without brackets and port. Returns text_out. Always terminated. */
SOCKBROKER_API const char *sockbroker_addr_format(const struct sockbroker_addr *addr, char text_out[SOCKBROKER_ADDR_TEXT_MAX]);
SOCKBROKER_API const char *sockbroker_addr_format_ip(const struct sockbroker_addr *addr,
                                                     char text_out[SOCKBROKER_ADDR_TEXT_MAX]);

/* True for ::ffff:0:0/96 exactly (RFC 4291, 2.5.5.2); not for ::a.b.c.d, 64:ff9b::/96 or ::ffff:0:a.b.c.d. */
SOCKBROKER_API bool sockbroker_addr_is_mapped(const struct sockbroker_addr *addr);

/* A mapped address becomes plain IPv4; anything else is left alone. map: IPv4 becomes mapped; IPv6 is left alone. */
SOCKBROKER_API void sockbroker_addr_normalise(struct sockbroker_addr *addr);
SOCKBROKER_API void sockbroker_addr_map(struct sockbroker_addr *addr);

/* What kind of address it is. A mapped address is classified as such; normalise it first to see through it.
 * Sources: IANA special-purpose registries; RFC 1918, 3927, 4193, 4291, 6052, 3056, 4380, 5737, 3849, 9637, 6598. */
enum sockbroker_addr_class {
    SOCKBROKER_CLASS_NONE,          /* FAMILY_NONE */
    SOCKBROKER_CLASS_UNSPECIFIED,   /* 0.0.0.0, :: */
    SOCKBROKER_CLASS_LOOPBACK,      /* 127.0.0.0/8, ::1 */
    SOCKBROKER_CLASS_LINK_LOCAL,    /* 169.254.0.0/16, fe80::/10 */
    SOCKBROKER_CLASS_PRIVATE,       /* RFC 1918, fc00::/7, fec0::/10 */
    SOCKBROKER_CLASS_SHARED,        /* 100.64.0.0/10 */
    SOCKBROKER_CLASS_MULTICAST,     /* 224.0.0.0/4, ff00::/8 */
    SOCKBROKER_CLASS_BROADCAST,     /* 255.255.255.255 */
    SOCKBROKER_CLASS_DOCUMENTATION, /* 192.0.2/24, 198.51.100/24, 203.0.113/24, 2001:db8::/32, 3fff::/20 */
    SOCKBROKER_CLASS_RESERVED,      /* 0.0.0.0/8 but 0.0.0.0, 240.0.0.0/4 but broadcast */
    SOCKBROKER_CLASS_MAPPED,        /* ::ffff:0:0/96 */
    SOCKBROKER_CLASS_COMPATIBLE,    /* ::/96 but :: and ::1 */
    SOCKBROKER_CLASS_NAT64,         /* 64:ff9b::/96 */
    SOCKBROKER_CLASS_6TO4,          /* 2002::/16 */
    SOCKBROKER_CLASS_TEREDO,        /* 2001::/32 */
    SOCKBROKER_CLASS_GLOBAL,        /* everything else, so also the small blocks of the registries that have no line
                                       here: 192.0.0.0/24, 198.18.0.0/15, 64:ff9b:1::/48, 100::/64 and others */
};
SOCKBROKER_API enum sockbroker_addr_class sockbroker_addr_classify(const struct sockbroker_addr *addr);

/* "link-local", "6to4"; static, never NULL, "unknown" for values outside the enum. */
SOCKBROKER_API const char *sockbroker_addr_class_name(enum sockbroker_addr_class class_);

/* Total order: family, bytes, scope, port. 0 when equal. Mapped and plain IPv4 differ: normalise first. */
SOCKBROKER_API int sockbroker_addr_compare(const struct sockbroker_addr *a, const struct sockbroker_addr *b);

/* A prefix: the first `bits` bits of `addr.ip`; bits after them are 0. */
struct sockbroker_prefix {
    struct sockbroker_addr addr; /* port and scope 0 */
    unsigned bits;               /* 0..32 or 0..128 */
};

/* "10.0.0.0/8", "2001:db8::/32", or one address ("10.0.0.1" is /32). Bits set beyond the length are refused,
 * with the prefix that was probably meant. No brackets, port or zone. A prefix below ::ffff:0:0/96 is turned into
 * the IPv4 prefix it means (RFC 4291, 2.5.5.2), as everything else here: ::ffff:10.0.0.0/104 is 10.0.0.0/8 and
 * ::ffff:0:0/96 is 0.0.0.0/0. With a shorter length (::ffff:0:0/95) it has bits beyond the length and is refused.
 * OK, INVALID (also for NULL; prefix_out is untouched). */
SOCKBROKER_API sockbroker_status sockbroker_prefix_parse(const char *text, struct sockbroker_prefix *prefix_out,
                                                         struct sockbroker_error *error_out);

/* "10.0.0.0/8"; the length is always there. "-" for FAMILY_NONE. Returns text_out. */
SOCKBROKER_API const char *sockbroker_prefix_format(const struct sockbroker_prefix *prefix,
                                                    char text_out[SOCKBROKER_ADDR_TEXT_MAX]);

/* Is the address inside? A mapped address is judged as the IPv4 address it is, and a prefix that was filled in by
 * hand below ::ffff:0:0/96 as the IPv4 prefix it is. ::/0 holds every IPv6 address and no IPv4 one; 0.0.0.0/0 the
 * reverse. Other addresses with an IPv4 address in them (64:ff9b::/96, ::a.b.c.d, 2002::/16) are IPv6 and nothing
 * else. The zone of the address is ignored. FAMILY_NONE is in no prefix, and nothing is in a prefix of more bits
 * than its family has. */
SOCKBROKER_API bool sockbroker_prefix_match(const struct sockbroker_prefix *prefix, const struct sockbroker_addr *addr);

/* From and to the system's form. from: AF_INET or AF_INET6 with at least its length, else INVALID (also for NULL);
 * the bytes need no alignment. A mapped address stays one; flow information and a scope id that means nothing (see
 * above) are dropped. to: fills all of *sa_out and returns the length to give to bind() and friends; for FAMILY_NONE
 * it returns 0 and leaves *sa_out alone. */
SOCKBROKER_API sockbroker_status sockbroker_addr_from_sockaddr(const struct sockaddr *sa, size_t sa_len,
                                                               struct sockbroker_addr *addr_out);
SOCKBROKER_API size_t sockbroker_addr_to_sockaddr(const struct sockbroker_addr *addr, struct sockaddr_storage *sa_out);

#ifdef __cplusplus
}
#endif
#endif
