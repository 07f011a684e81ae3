/* select.h: which destination to try first, and from which source: RFC 6724, for IPv6 and IPv4 together.
 *
 *     struct sockbroker_pair pairs[8];
 *     size_t n_pairs;
 *     if (sockbroker_select_pairs(destinations, 8, NULL, pairs, &n_pairs, &error) == SOCKBROKER_OK)
 *         ... bind to pairs[0].source, connect to pairs[0].destination, then the next ...
 *
 * sockbroker_select_pairs() does what CreateSortedAddressPairs() does, sockbroker_select_sort() what the control code
 * SIO_ADDRESS_LIST_SORT does. No packet is sent, no name is looked up, nothing is remembered between calls.
 * Windows: this code, and not those calls, so that order, reasons and table are the same everywhere. The table of netsh is not
 * read. No socket there can wish for a public or a care-of source: prefer_public and prefer_care_of need a list of sources.
 * Threads: any function from any thread at any time.
 *
 * A mapped address (::ffff:a.b.c.d) is taken for the IPv4 address that it is, and given back as IPv4;
 * sockbroker_addr_map() gives the other form.
 */
#ifndef SOCKBROKER_SELECT_H
#define SOCKBROKER_SELECT_H

#include <stddef.h>

#include "sockbroker/addr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the policy table (RFC 6724, section 2.1) ---- */

/* One entry. The table is one for both families, over the 128 bits of IPv6: an IPv4 prefix stands for its mapped form, so
 * 0.0.0.0/0 is the entry that the RFC writes as ::ffff:0:0/96, and ::/0 holds IPv4 addresses too (unlike in
 * sockbroker_prefix_match()). */
struct sockbroker_policy {
    struct sockbroker_prefix prefix;
    uint32_t precedence; /* a destination with the higher one comes first */
    uint32_t label;      /* a source is best for a destination of the same label */
};

#define SOCKBROKER_POLICIES_MAX 128 /* entries of a table; the default one has 9 */

/* The default table of RFC 6724 section 2.1. Static; *n_out is the number of entries. */
SOCKBROKER_API const struct sockbroker_policy *sockbroker_policy_default(size_t *n_out);

/* The entry of the longest prefix that holds the address; of two alike, the first. Never NULL: what no entry holds is
 * treated as ::/0 in the default table (precedence 40, label 1). A zone is ignored. policies NULL: the default table. */
SOCKBROKER_API const struct sockbroker_policy *sockbroker_policy_find(const struct sockbroker_policy *policies,
                                                                      size_t n_policies, const struct sockbroker_addr *addr);

/* Whether a table can be used: 1 to SOCKBROKER_POLICIES_MAX entries, each prefix as sockbroker_prefix_parse() gives it, none
 * twice. OK, INVALID. */
SOCKBROKER_API sockbroker_status sockbroker_policy_check(const struct sockbroker_policy *policies, size_t n_policies,
                                                         struct sockbroker_error *error_out);

/* "2001:db8::/32 40 1": prefix, precedence and label with blanks or tabs between them. Both numbers are decimal, 0 to
 * 4294967295, without sign and leading zeros; the prefix is as in sockbroker_prefix_parse().
 * OK, INVALID (also for NULL; policy_out is untouched). */
SOCKBROKER_API sockbroker_status sockbroker_policy_parse(const char *text, struct sockbroker_policy *policy_out,
                                                         struct sockbroker_error *error_out);

#define SOCKBROKER_POLICY_TEXT_MAX (SOCKBROKER_ADDR_TEXT_MAX + 24) /* two blanks and numbers of ten digits */

/* Writes the form that sockbroker_policy_parse() reads, with one blank. Returns text_out. */
SOCKBROKER_API const char *sockbroker_policy_format(const struct sockbroker_policy *policy,
                                                    char text_out[SOCKBROKER_POLICY_TEXT_MAX]);

/* ---- pairs ---- */

/* Scopes as numbers: those of multicast (RFC 4291, 2.7), to which RFC 6724 section 3.1 maps the others. */
enum {
    SOCKBROKER_SCOPE_INTERFACE_LOCAL = 1,
    SOCKBROKER_SCOPE_LINK_LOCAL = 2, /* fe80::/10, ::1, 169.254.0.0/16, 127.0.0.0/8 */
    SOCKBROKER_SCOPE_ADMIN_LOCAL = 4,
    SOCKBROKER_SCOPE_SITE_LOCAL = 5, /* fec0::/10 */
    SOCKBROKER_SCOPE_ORGANISATION_LOCAL = 8,
    SOCKBROKER_SCOPE_GLOBAL = 14, /* every other unicast address, private ones and all other IPv4 too */
};

/* The scope of an address, 0..15. */
SOCKBROKER_API unsigned sockbroker_scope_of(const struct sockbroker_addr *addr);

/* "link-local", "global"; static, never NULL, "unassigned" for numbers without a name. */
SOCKBROKER_API const char *sockbroker_scope_name(unsigned scope);

/* The rules of RFC 6724 section 6 under their numbers. */
enum sockbroker_rule {
    SOCKBROKER_RULE_NONE = 0, /* nothing follows */
    SOCKBROKER_RULE_USABLE = 1,
    SOCKBROKER_RULE_MATCHING_SCOPE = 2,
    SOCKBROKER_RULE_DEPRECATED = 3,
    SOCKBROKER_RULE_HOME = 4,
    SOCKBROKER_RULE_MATCHING_LABEL = 5,
    SOCKBROKER_RULE_PRECEDENCE = 6,
    SOCKBROKER_RULE_NATIVE = 7,
    SOCKBROKER_RULE_SMALLER_SCOPE = 8,
    SOCKBROKER_RULE_LONGEST_PREFIX = 9,
    SOCKBROKER_RULE_ORDER = 10,
};

/* "prefer matching label"; static, never NULL, "" for NONE, "unknown rule" for values outside the enum. */
SOCKBROKER_API const char *sockbroker_rule_text(enum sockbroker_rule rule);

/* Why a destination cannot be used now. */
enum sockbroker_unusable {
    SOCKBROKER_USABLE = 0,
    SOCKBROKER_UNUSABLE_NO_ROUTE,  /* the system knows no way there */
    SOCKBROKER_UNUSABLE_NO_SOURCE, /* no source address of its family can be used for it */
    SOCKBROKER_UNUSABLE_NO_FAMILY, /* the system does not have its address family */
    SOCKBROKER_UNUSABLE_FORBIDDEN, /* a rule of the system forbids it */
    SOCKBROKER_UNUSABLE_NO_ZONE,   /* link-local without a zone, and not exactly one interface that it can mean */
};

/* "no route"; static, never NULL, "unknown reason" for values outside the enum. */
SOCKBROKER_API const char *sockbroker_unusable_text(enum sockbroker_unusable unusable);

/* One destination, the source for it, and all that decided about its place. */
struct sockbroker_pair {
    struct sockbroker_addr source;      /* port 0; FAMILY_NONE when the destination is unusable */
    struct sockbroker_addr destination; /* as given, but IPv4 for a mapped one, and with a zone where one was found */
    size_t given;                       /* its place in the list that was given, from 0 */
    unsigned scope;                     /* of the destination */
    unsigned source_scope;
    uint32_t precedence; /* of the destination */
    uint32_t label;      /* of the destination */
    uint32_t source_label;
    unsigned common_bits; /* that source and destination begin with, at most the length of the source's prefix (2.2) */
    bool deprecated;      /* about the source: RFC 4862 */
    bool home;            /*   RFC 6275 */
    bool care_of;
    bool encapsulated;                 /* the source belongs to a tunnel */
    enum sockbroker_unusable unusable; /* then only destination, given, scope, precedence and label mean something */
    int os_code;                       /* the system's error code behind it, or 0 */
    enum sockbroker_rule rule;         /* that put it before the next pair */
};

#define SOCKBROKER_PAIRS_MAX 500 /* destinations of one call, and sources: as in CreateSortedAddressPairs() */

struct sockbroker_select_options {
    size_t size;                           /* sizeof(struct sockbroker_select_options); set by the INIT macro */
    const struct sockbroker_addr *sources; /* the only ones to choose from, ports ignored; NULL: as the system would choose */
    size_t n_sources;                      /* 1..SOCKBROKER_PAIRS_MAX */
    const struct sockbroker_policy *policies; /* NULL: the default table */
    size_t n_policies;                        /* as in sockbroker_policy_check() */
    bool keep_unusable;                       /* put unusable destinations at the end, instead of leaving them out */
    bool prefer_public;                       /* reverses rule 7 of section 5: public addresses before temporary ones */
    bool prefer_care_of;                      /* reverses rule 4 of section 5: care-of addresses before home addresses */
};
#define SOCKBROKER_SELECT_OPTIONS_INIT                                                                                         \
    {                                                                                                                          \
        sizeof(struct sockbroker_select_options), NULL, 0, NULL, 0, false, false, false                                        \
    }

/* Pairs each destination with a source and sorts the pairs, the best first.
 *   destinations   1 to SOCKBROKER_PAIRS_MAX of either family, mixed; not 0.0.0.0 or ::. Ports stay with them
 *   options        NULL: all defaults
 *   pairs_out      room for n_destinations; written on OK
 *   n_pairs_out    how many there are; may be 0 when every destination is unusable
 * OK, INVALID (an argument), NO_MEMORY, NO_DESCRIPTORS, SYSTEM.
 *
 * Source: without options->sources, the one that the system would choose for a new socket. With them, the best by section 5
 * among those that the system lets a socket send from; IPv4, which section 5 leaves open, is chosen by the same rules. The
 * outgoing interface (rule 5) is the zone of the destination or else the interface of the address that the system would choose.
 * Rule 5.5 is not applied: the system does not tell which router announced a prefix.
 * Zone: a link-local destination without one gets that of the given sources, or else of this machine's addresses, if exactly
 * one interface among them has a link-local address; else it is unusable.
 * Order: section 6, rules 1 to 10; unusable ones keep their order among themselves. Rule 9 is for two of the same family, so a
 * table that gives both families the same precedence may contradict itself for three; neighbours in the result never do. */
SOCKBROKER_API sockbroker_status sockbroker_select_pairs(const struct sockbroker_addr *destinations, size_t n_destinations,
                                                         const struct sockbroker_select_options *options,
                                                         struct sockbroker_pair *pairs_out, size_t *n_pairs_out,
                                                         struct sockbroker_error *error_out);

/* Sorts a list of destinations in place; *n_destinations becomes smaller when some are unusable (unless they are kept).
 * Arguments and results as above; on a failure the list is as it was. */
SOCKBROKER_API sockbroker_status sockbroker_select_sort(struct sockbroker_addr *destinations, size_t *n_destinations,
                                                        const struct sockbroker_select_options *options,
                                                        struct sockbroker_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
