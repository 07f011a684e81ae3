#include "broker/config.h"

#include <string.h>

#include "broker/config_group.h"
#include "broker/config_system.h"
#include "proto/error.h"

/* ---- one address ---- */

static bool is_wildcard(const struct sockbroker_addr *addr)
{
    return sockbroker_addr_classify(addr) == SOCKBROKER_CLASS_UNSPECIFIED;
}

/* The IPv4 address in the last four bytes of an IPv6 one. */
static struct sockbroker_addr embedded_ipv4(const struct sockbroker_addr *addr)
{
    struct sockbroker_addr ipv4 = { .family = SOCKBROKER_IPV4, .port = addr->port };

    memcpy(ipv4.ip, addr->ip + 12, 4);
    return ipv4;
}

static sockbroker_status refuse_embedded(const struct sockbroker_addr *addr, const char *what,
                                         struct sockbroker_error *error_out)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX], instead_text[SOCKBROKER_ADDR_TEXT_MAX];
    struct sockbroker_addr instead = embedded_ipv4(addr);

    return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "address %s is %s; write %s", sockbroker_addr_format(addr, text),
                        what, sockbroker_addr_format(&instead, instead_text));
}

static sockbroker_status refuse_address(const struct sockbroker_addr *addr, const char *why, struct sockbroker_error *error_out)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "address %s %s", sockbroker_addr_format(addr, text), why);
}

/* Addresses no listener can have; each of them is a slip that bind() would answer with a number only. */
static sockbroker_status check_class(const struct sockbroker_addr *addr, struct sockbroker_error *error_out)
{
    switch (sockbroker_addr_classify(addr)) {
    case SOCKBROKER_CLASS_MAPPED:
        return refuse_embedded(addr, "an IPv4 address in IPv6 form", error_out);
    case SOCKBROKER_CLASS_COMPATIBLE:
        return refuse_embedded(addr, "an IPv4-compatible address, which nothing uses any more", error_out);
    case SOCKBROKER_CLASS_NAT64:
        return refuse_embedded(addr, "a NAT64 address, which only translators answer", error_out);
    case SOCKBROKER_CLASS_MULTICAST:
    case SOCKBROKER_CLASS_BROADCAST:
        return refuse_address(addr, "stands for many machines; write an address of this one", error_out);
    case SOCKBROKER_CLASS_NONE:
        return refuse_address(addr, "is not an address; write [::]:80 for all addresses", error_out);
    case SOCKBROKER_CLASS_LINK_LOCAL:
        if (addr->family == SOCKBROKER_IPV6 && addr->scope_id == 0)
            return refuse_address(addr, "is link-local and needs its interface; write it as [fe80::1%eth0]:80", error_out);
        return SOCKBROKER_OK;
    case SOCKBROKER_CLASS_UNSPECIFIED:
    case SOCKBROKER_CLASS_LOOPBACK:
    case SOCKBROKER_CLASS_PRIVATE:
    case SOCKBROKER_CLASS_SHARED:
    case SOCKBROKER_CLASS_DOCUMENTATION:
    case SOCKBROKER_CLASS_RESERVED:
    case SOCKBROKER_CLASS_6TO4:
    case SOCKBROKER_CLASS_TEREDO:
    case SOCKBROKER_CLASS_GLOBAL:
        return SOCKBROKER_OK;
    }
    return SOCKBROKER_OK;
}

static sockbroker_status refuse_family(const struct sockbroker_addr *addr, enum sb_family_choice family,
                                       struct sockbroker_error *error_out)
{
    bool ipv4 = addr->family == SOCKBROKER_IPV4;
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    if (is_wildcard(addr))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "address %s is %s, family is %s; write %s:%u, or [::]:%u with family = dual for both",
                            sockbroker_addr_format(addr, text), ipv4 ? "IPv4" : "IPv6", sb_family_choice_name(family),
                            ipv4 ? "[::]" : "0.0.0.0", (unsigned)addr->port, (unsigned)addr->port);
    return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                        "address %s is %s, family is %s; write family = dual, or an address of that family",
                        sockbroker_addr_format(addr, text), ipv4 ? "IPv4" : "IPv6", sb_family_choice_name(family));
}

static sockbroker_status check_address(const struct sb_endpoint_config *endpoint, const struct sockbroker_addr *addr,
                                       struct sockbroker_error *error_out)
{
    sockbroker_status st = check_class(addr, error_out);

    if (!st && ((endpoint->family == SB_FAMILY_IPV4 && addr->family != SOCKBROKER_IPV4) ||
                (endpoint->family == SB_FAMILY_IPV6 && addr->family != SOCKBROKER_IPV6)))
        st = refuse_family(addr, endpoint->family, error_out);
    return st;
}

/* ---- two addresses ---- */

static bool takes_family(const struct sb_endpoint_config *endpoint, const struct sockbroker_addr *addr,
                         enum sockbroker_family family)
{
    if (addr->family == family)
        return true;
    return addr->family == SOCKBROKER_IPV6 && is_wildcard(addr) &&
           (endpoint->family == SB_FAMILY_DUAL || endpoint->family == SB_FAMILY_SPLIT);
}

static bool same_ip(const struct sockbroker_addr *a, const struct sockbroker_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->scope_id == b->scope_id;
}

/* Would the second bind() fail? Linux keeps a wildcard and one of its addresses apart only while nobody listens. */
static bool collide(const struct sb_endpoint_config *a, const struct sockbroker_addr *a_addr,
                    const struct sb_endpoint_config *b, const struct sockbroker_addr *b_addr)
{
    if (a->protocol != b->protocol || a_addr->port != b_addr->port || a_addr->port == 0)
        return false;
    if (same_ip(a_addr, b_addr))
        return true;
    if (!is_wildcard(a_addr) && !is_wildcard(b_addr))
        return false;
    return (takes_family(a, a_addr, SOCKBROKER_IPV4) && takes_family(b, b_addr, SOCKBROKER_IPV4)) ||
           (takes_family(a, a_addr, SOCKBROKER_IPV6) && takes_family(b, b_addr, SOCKBROKER_IPV6));
}

static const char *how_it_takes(const struct sb_endpoint_config *endpoint, const struct sockbroker_addr *addr)
{
    if (!is_wildcard(addr))
        return "";
    return takes_family(endpoint, addr, SOCKBROKER_IPV4) && takes_family(endpoint, addr, SOCKBROKER_IPV6)
               ? " (all addresses, IPv4 and IPv6)"
               : " (all addresses of its family)";
}

static sockbroker_status refuse_collision(const struct sb_endpoint_config *a, const struct sockbroker_addr *a_addr,
                                          const struct sb_endpoint_config *b, const struct sockbroker_addr *b_addr,
                                          struct sockbroker_error *error_out)
{
    char a_text[SOCKBROKER_ADDR_TEXT_MAX], b_text[SOCKBROKER_ADDR_TEXT_MAX];

    return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                        "endpoint %s: address %s%s is taken by %s%s of endpoint %s; remove one or change its port", b->name,
                        sockbroker_addr_format(b_addr, b_text), how_it_takes(b, b_addr), sockbroker_addr_format(a_addr, a_text),
                        how_it_takes(a, a_addr), a->name);
}

/* One address of b against those of a; with a == b, against the earlier ones. */
static sockbroker_status check_against(const struct sb_endpoint_config *a, const struct sb_endpoint_config *b,
                                       const struct sockbroker_addr *b_addr, struct sockbroker_error *error_out)
{
    for (size_t i = 0; i < a->n_addresses; i++) {
        if (&a->addresses[i] == b_addr)
            break;
        if (collide(a, &a->addresses[i], b, b_addr))
            return refuse_collision(a, &a->addresses[i], b, b_addr, error_out);
    }
    return SOCKBROKER_OK;
}

/* ---- endpoints ---- */

/* Keys that do not go together. */
static sockbroker_status check_mode(const struct sb_endpoint_config *e, struct sockbroker_error *error_out)
{
    const char *cause = sb_config_system_refuses_endpoint(e);
    bool is_udp = e->protocol == SB_PROTOCOL_UDP;

    if (cause)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "endpoint %s: %s", e->name, cause);
    if (is_udp && e->mode == SB_MODE_HANDOFF)
        cause = "protocol = udp has no connections to hand over; write mode = share or mode = shard";
    else if (e->mode == SB_MODE_SHARE && e->policy != SB_POLICY_ROUND_ROBIN)
        cause = "mode = share leaves the choice of the worker to the system; leave policy out, or use mode = handoff";
    else if (e->mode == SB_MODE_SHARD && (e->policy == SB_POLICY_LEAST_CONNECTIONS || e->policy == SB_POLICY_LEAST_PENDING))
        cause =
            "mode = shard cannot count; write policy = round-robin (even, or by weight) or source-hash, or use mode = handoff";
    else if (e->mode != SB_MODE_HANDOFF && e->carrier != sb_config_system_carrier)
        cause = "carrier = message is for mode = handoff; leave it out";
    else if (e->mode == SB_MODE_SHARE && (e->allow.n || e->deny.n))
        cause =
            "allow and deny look at connections that the broker accepts; with mode = share workers do, so use mode = handoff";
    else if (e->mode == SB_MODE_SHARD && (e->allow.n || e->deny.n))
        cause =
            "allow and deny look at connections that the broker accepts; with mode = shard workers do, so use mode = handoff";
    else if (!is_udp && e->receive_buffer)
        cause = "receive_buffer is for protocol = udp; leave it out";
    return cause ? sb_error_set(error_out, SOCKBROKER_INVALID, 0, "endpoint %s: %s", e->name, cause) : SOCKBROKER_OK;
}

static sockbroker_status check_alone(const struct sb_endpoint_config *endpoint, struct sockbroker_error *error_out)
{
    struct sockbroker_error why;

    if (!sb_name_is_valid(endpoint->name, strlen(endpoint->name)))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "an endpoint has no valid name; use 1 to %d of A-Z a-z 0-9 . _ -",
                            SOCKBROKER_NAME_MAX);
    if (endpoint->n_addresses == 0)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "endpoint %s has no address; write address = \"[::]:80\"",
                            endpoint->name);
    if (check_mode(endpoint, error_out))
        return SOCKBROKER_INVALID;
    for (size_t i = 0; i < endpoint->n_addresses; i++)
        if (check_address(endpoint, &endpoint->addresses[i], &why))
            return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "endpoint %s: %s", endpoint->name, why.text);
    return SOCKBROKER_OK;
}

/* Endpoint b of the list against the ones before it, and itself. */
static sockbroker_status check_with_earlier(const struct sb_config *config, size_t b, struct sockbroker_error *error_out)
{
    const struct sb_endpoint_config *endpoints = config->endpoints;
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t a = 0; !st && a <= b; a++) {
        if (a != b && strcmp(endpoints[a].name, endpoints[b].name) == 0)
            return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "endpoint %s is there twice; give one of them another name",
                                endpoints[a].name);
        for (size_t i = 0; !st && i < endpoints[b].n_addresses; i++)
            st = check_against(&endpoints[a], &endpoints[b], &endpoints[b].addresses[i], error_out);
    }
    return st;
}

sockbroker_status sb_config_check_policy(const struct sb_config *config, struct sockbroker_error *error_out)
{
    struct sockbroker_error why;

    if (!config->address_policy.n || !sockbroker_policy_check(config->address_policy.policies, config->address_policy.n, &why))
        return SOCKBROKER_OK;
    return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "address_policy: %s", why.text);
}

sockbroker_status sb_config_check(const struct sb_config *config, struct sockbroker_error *error_out)
{
    sockbroker_status st = sb_config_check_policy(config, error_out);
    const char *cause = sb_config_system_refuses(config);

    if (st)
        return st;
    if (cause)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s", cause);
    if (config->n_endpoints == 0)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "there is no endpoint; write endpoint web { address = \"[::]:80\" }, "
                            "or --endpoint web=[::]:80");
    for (size_t i = 0; !st && i < config->n_endpoints; i++)
        st = check_alone(&config->endpoints[i], error_out);
    for (size_t i = 0; !st && i < config->n_endpoints; i++)
        st = check_with_earlier(config, i, error_out);
    return st ? st : sb_config_check_groups(config, error_out);
}
