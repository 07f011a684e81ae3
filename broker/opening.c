#include "broker/opening.h"

#include <string.h>
#include <utlist.h>

#include "broker/inherit.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/shard.h"
#include "client-lib/datagram.h"
#include "client-lib/listen.h"
#include "proto/error.h"
#include "proto/socket.h"

#define PORT_TRIES 16 /* for port 0 on several sockets: the first one's port may be taken on another */

/* ---- which sockets an endpoint asks for ---- */

struct plan {
    struct sb_listen_request requests[2 * SB_ADDRESSES_PER_ENDPOINT_MAX];
    size_t n;
};

static bool is_unspecified(const struct sockbroker_addr *a)
{
    return sockbroker_addr_classify(a) == SOCKBROKER_CLASS_UNSPECIFIED;
}

static void plan_add(struct plan *p, const struct sockbroker_addr *addr, bool dual, uint32_t backlog)
{
    p->requests[p->n++] = (struct sb_listen_request){ .addr = *addr, .dual = dual, .backlog = backlog };
}

/* split: [::] means both families here too, each with its own socket. */
static void plan_split(struct plan *p, const struct sockbroker_addr *addr, uint32_t backlog)
{
    struct sockbroker_addr ipv4;

    plan_add(p, addr, false, backlog);
    if (addr->family != SOCKBROKER_IPV6 || !is_unspecified(addr))
        return;
    sockbroker_addr_parse_ip("0.0.0.0", &ipv4, NULL);
    ipv4.port = addr->port;
    plan_add(p, &ipv4, false, backlog);
}

static void make_plan(const struct sb_endpoint_config *c, struct plan *p)
{
    p->n = 0;
    for (size_t i = 0; i < c->n_addresses; i++) {
        const struct sockbroker_addr *a = &c->addresses[i];

        if (c->family == SB_FAMILY_SPLIT)
            plan_split(p, a, c->backlog);
        else
            plan_add(p, a, c->family == SB_FAMILY_DUAL && a->family == SOCKBROKER_IPV6 && is_unspecified(a), c->backlog);
    }
}

struct opened {
    sockbroker_socket sock;
    struct sockbroker_addr addr;
    bool dual;
};

/* ---- sockets that are there already ---- */

static bool is_wanted(const struct sb_endpoint_config *c, const struct sb_listener *l)
{
    struct plan p;

    if (!c)
        return false;
    make_plan(c, &p);
    for (size_t i = 0; i < p.n; i++) {
        struct sockbroker_addr asked = p.requests[i].addr;

        if (!asked.port) /* any port: the one it has */
            asked.port = l->addr.port;
        if (!sockbroker_addr_compare(&asked, &l->addr) && p.requests[i].dual == l->dual)
            return true;
    }
    return false;
}

bool sb_opening_asks_for(const struct sb_endpoint_config *c, const struct sb_inherited *s)
{
    struct plan p;

    if (c->mode == SB_MODE_SHARD ? s->slot >= c->slots : s->slot != SB_INHERIT_ANY_SLOT)
        return false;
    make_plan(c, &p);
    for (size_t i = 0; i < p.n; i++) {
        if (sb_inherit_fits(s, c->name, c->protocol, s->slot, &p.requests[i]))
            return true;
    }
    return false;
}

struct sb_listener *sb_opening_find(struct sb_broker *b, enum sb_protocol protocol, const struct sb_listen_request *r)
{
    struct sb_endpoint *e;
    struct sb_listener *l;

    DL_FOREACH(b->endpoints, e) {
        DL_FOREACH(e->listeners, l) {
            if (e->config.protocol == protocol && !l->shard && !sockbroker_addr_compare(&l->addr, &r->addr) &&
                l->dual == r->dual)
                return l;
        }
    }
    return NULL;
}

struct opening {
    struct sb_broker *broker;
    const struct sb_endpoint_config *config;
    const struct sb_config *next;
    struct plan plan;
};

/* Another number for a socket that this endpoint may have: its own, or one that its owner gives up. */
static bool adopt(const struct opening *how, const struct sb_listen_request *r, struct opened *o)
{
    struct sb_listener *l = sb_opening_find(how->broker, how->config->protocol, r);

    if (!l)
        return false;
    const char *owner = l->endpoint->config.name;
    if (strcmp(owner, how->config->name) && is_wanted(sb_config_find(how->next, owner), l))
        return false;
    o->addr = l->addr;
    o->dual = l->dual;
    return sb_socket_duplicate(l->sock, &o->sock) == SOCKBROKER_OK;
}

/* ---- opening them: all or none ---- */

static void close_opened(struct opened *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sb_socket_close(&o[i].sock);
}

static void note_no_ipv6(const char *name)
{
    sb_log(SB_LOG_WARNING, "no_ipv6", "endpoint=%s cause=\"this kernel has no IPv6\" effect=\"serving IPv4 only\"", name);
}

static void note_no_ipv4(const char *name)
{
    sb_log(SB_LOG_WARNING, "no_ipv4", "endpoint=%s cause=\"this kernel has no IPv4\" effect=\"serving IPv6 only\"", name);
}

/* IPv6 switched off is no reason to keep IPv4 clients waiting: an IPv6 address that is not there then is left out, as long
 * as something remains. */
static bool may_leave_out(const struct sb_listen_request *r, sockbroker_status st, size_t n_others)
{
    return n_others > 0 && r->addr.family == SOCKBROKER_IPV6 &&
           (st == SOCKBROKER_ADDRESS_NOT_AVAILABLE || st == SOCKBROKER_UNSUPPORTED) && !sb_listen_has_ipv6_address();
}

static sockbroker_status open_listening(const struct opening *how, const struct sb_listen_request *r, struct opened *o,
                                        struct sockbroker_error *error)
{
    enum sb_listen_note note;
    sockbroker_status st = sb_listen_open(r, &o->sock, &o->addr, &note, error);

    if (!st && note == SB_LISTEN_NO_IPV6)
        note_no_ipv6(how->config->name);
    o->dual = r->dual && note == SB_LISTEN_AS_ASKED;
    return st;
}

static sockbroker_status open_datagram(const struct opening *how, const struct sb_listen_request *r, struct opened *o,
                                       struct sockbroker_error *error)
{
    struct sb_datagram_request request = { .addr = r->addr, .dual = r->dual, .receive_buffer = how->config->receive_buffer };
    struct sb_datagram_facts facts;
    sockbroker_status st = sb_datagram_open(&request, &o->sock, &facts, error);

    if (st)
        return st;
    if (facts.note == SB_DATAGRAM_NO_IPV6)
        note_no_ipv6(how->config->name);
    if (facts.note == SB_DATAGRAM_NO_IPV4)
        note_no_ipv4(how->config->name);
    o->addr = facts.addr;
    o->dual = r->dual && facts.note == SB_DATAGRAM_AS_ASKED;
    return SOCKBROKER_OK;
}

static sockbroker_status open_one(const struct opening *how, const struct sb_listen_request *r, struct opened *o,
                                  struct sockbroker_error *error)
{
    o->sock = SOCKBROKER_SOCKET_NONE;
    if (sb_inherit_take(&how->broker->inherited, how->config->name, how->config->protocol, SB_INHERIT_ANY_SLOT, r, &o->sock,
                        &o->addr)) {
        o->dual = r->dual && o->addr.family == r->addr.family;
        return SOCKBROKER_OK;
    }
    if (r->addr.port && adopt(how, r, o))
        return SOCKBROKER_OK;
    return how->config->protocol == SB_PROTOCOL_UDP ? open_datagram(how, r, o, error) : open_listening(how, r, o, error);
}

static sockbroker_status open_planned(const struct opening *how, struct opened *o, size_t *n_out,
                                      struct sockbroker_error *error)
{
    const struct plan *p = &how->plan;
    uint16_t port = 0;
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        struct sb_listen_request r = p->requests[i];

        if (!r.addr.port)
            r.addr.port = port;
        sockbroker_status st = open_one(how, &r, &o[n], error);
        if (st && may_leave_out(&r, st, p->n - 1)) {
            sb_log(SB_LOG_WARNING, "address_left_out", "endpoint=%s cause=\"%s\"", how->config->name, error->text);
            continue;
        }
        if (st) {
            close_opened(o, n);
            return st;
        }
        if (!p->requests[i].addr.port)
            port = o[n].addr.port;
        n++;
    }
    *n_out = n;
    return n ? SOCKBROKER_OK : error->status;
}

static bool asks_for_any_port(const struct plan *p)
{
    return p->n > 1 && p->requests[0].addr.port == 0;
}

static sockbroker_status open_all(struct opening *how, struct opened *o, size_t *n_out, struct sockbroker_error *error)
{
    struct sockbroker_error local;
    sockbroker_status st;

    make_plan(how->config, &how->plan);
    for (unsigned i = 0;; i++) {
        st = open_planned(how, o, n_out, &local);
        if (st != SOCKBROKER_ADDRESS_IN_USE || !asks_for_any_port(&how->plan) || i == PORT_TRIES)
            break;
    }
    if (st)
        sb_error_set(error, st, local.os_code, "endpoint %s: %s", how->config->name, local.text);
    return st;
}

/* Listeners for sockets that were opened; on failure none is kept. */
static sockbroker_status make_listeners(struct sb_endpoint *e, struct opened *o, size_t n, struct sb_listener **list_out)
{
    struct sb_listener *list = NULL;
    struct sb_listener *l, *tmp;
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < n && !st; i++) {
        st = sb_listener_create(e, &o[i].sock, &o[i].addr, o[i].dual, &l);
        if (!st)
            DL_APPEND(list, l);
    }
    if (st) {
        close_opened(o, n);
        DL_FOREACH_SAFE(list, l, tmp)
            sb_listener_close(l, 0);
        return st;
    }
    *list_out = list;
    return SOCKBROKER_OK;
}

/* ---- mode = shard ---- */

void sb_opening_close_shards(struct sb_endpoint *e)
{
    struct sb_shard *shard, *tmp;

    DL_FOREACH_SAFE(e->shards, shard, tmp) {
        DL_DELETE(e->shards, shard);
        sb_shard_close(shard);
    }
}

static void close_shard_listeners(struct sb_listener *list)
{
    struct sb_listener *l, *tmp;

    DL_FOREACH_SAFE(list, l, tmp)
        sb_listener_close(l, 0);
}

static sockbroker_status open_shard(struct sb_endpoint *e, const struct sb_endpoint_config *c,
                                    const struct sb_listen_request *r, struct sb_listener **list,
                                    struct sockbroker_error *error)
{
    struct sb_shard *shard;
    enum sb_listen_note note;
    sockbroker_status st = sb_shard_open(e, c, r, &shard, &note, error);

    if (st)
        return st;
    if (note == SB_LISTEN_NO_IPV6)
        note_no_ipv6(c->name);
    DL_APPEND(e->shards, shard);
    for (size_t i = 0; i < shard->group.as.n_slots; i++)
        DL_APPEND(*list, shard->slots[i]);
    return SOCKBROKER_OK;
}

static sockbroker_status open_planned_shards(struct sb_endpoint *e, const struct sb_endpoint_config *c, const struct plan *p,
                                             struct sb_listener **list_out, struct sockbroker_error *error)
{
    struct sb_listener *list = NULL;
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < p->n && !st; i++) {
        struct sb_listen_request r = p->requests[i];

        if (!r.addr.port && e->shards)
            r.addr.port = e->shards->group.as.addr.port;
        st = open_shard(e, c, &r, &list, error);
        if (st && may_leave_out(&r, st, p->n - 1)) {
            sb_log(SB_LOG_WARNING, "address_left_out", "endpoint=%s cause=\"%s\"", c->name, error->text);
            st = SOCKBROKER_OK;
        }
    }
    if (!st && !list)
        st = error->status;
    if (st) {
        close_shard_listeners(list);
        sb_opening_close_shards(e);
        return st;
    }
    *list_out = list;
    return SOCKBROKER_OK;
}

static sockbroker_status open_shards(struct sb_endpoint *e, const struct sb_endpoint_config *c, struct sb_listener **list_out,
                                     struct sockbroker_error *error)
{
    struct sockbroker_error local;
    struct plan p;
    sockbroker_status st;

    make_plan(c, &p);
    for (unsigned i = 0;; i++) {
        st = open_planned_shards(e, c, &p, list_out, &local);
        if (st != SOCKBROKER_ADDRESS_IN_USE || !asks_for_any_port(&p) || i == PORT_TRIES)
            break;
    }
    return st ? sb_error_set(error, st, local.os_code, "endpoint %s: %s", c->name, local.text) : SOCKBROKER_OK;
}

sockbroker_status sb_opening_listeners(struct sb_endpoint *e, const struct sb_endpoint_config *c, const struct sb_config *next,
                                       struct sb_listener **list_out, struct sockbroker_error *error)
{
    struct opened opened[2 * SB_ADDRESSES_PER_ENDPOINT_MAX];
    struct opening how = { .broker = e->broker, .config = c, .next = next };
    size_t n = 0;

    if (c->mode == SB_MODE_SHARD)
        return open_shards(e, c, list_out, error);
    sockbroker_status st = open_all(&how, opened, &n, error);
    if (st)
        return st;
    st = make_listeners(e, opened, n, list_out);
    return st ? sb_error_set(error, st, 0, "endpoint %s: %s", c->name, sockbroker_status_text(st)) : SOCKBROKER_OK;
}
