#include "broker/custody.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "broker/custody_link.h"
#include "broker/deposit.h"
#include "broker/endpoint.h"
#include "broker/holder.h"
#include "broker/inherit.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/opening.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/wishes.h"
#include "proto/error.h"
#include "proto/peer.h"
#include "proto/socket.h"

#define PARTS 4 /* of a label, between slashes */

/* What lies in the other hands, by label. */
struct entry {
    char label[SB_LABEL_MAX + 1];
    uint64_t number;
    bool is_wanted;
    UT_hash_handle hh;
};

/* A worker that used a socket under the broker before. */
struct claim {
    uint64_t number; /* of the socket */
    char worker[SOCKBROKER_NAME_MAX + 1];
    struct sb_peer peer;
    struct claim *prev, *next;
};

struct sb_custody {
    struct sb_custody_link link;
    struct entry *entries;
    struct claim *claims;
    bool is_noted;
    bool has_joined;       /* takes over from a running broker, whose custody this is until we are ready */
    uint32_t first_parent; /* of a process that took over, until the keeper is its parent; else 0 */
};

/* ---- labels ---- */

/* Cuts in place; empty parts are allowed. Returns how many, at most PARTS. */
static size_t split(char *text, char *parts_out[PARTS])
{
    size_t n = 0;

    while (n < PARTS) {
        char *slash = strchr(text, '/');

        parts_out[n++] = text;
        if (!slash)
            break;
        *slash = '\0';
        text = slash + 1;
    }
    return n;
}

static void label_listener(const struct sb_listener *l, uint64_t number, char label_out[SB_LABEL_MAX + 1])
{
    char slot[24] = "-";

    if (l->shard)
        snprintf(slot, sizeof(slot), "%zu", l->slot);
    snprintf(label_out, SB_LABEL_MAX + 1, "listener/%s/%" PRIu64 "/%s", l->endpoint->config.name, number, slot);
}

static void label_holder(uint64_t number, const char *worker, uint32_t pid, char label_out[SB_LABEL_MAX + 1])
{
    snprintf(label_out, SB_LABEL_MAX + 1, "holder/%" PRIu64 "/%s/%u", number, worker, pid);
}

/* ---- entries ---- */

static struct entry *find(struct sb_custody *c, const char *label)
{
    struct entry *e;

    HASH_FIND_STR(c->entries, label, e);
    return e;
}

static void forget(struct sb_custody *c, struct entry *e)
{
    HASH_DEL(c->entries, e);
    free(e);
}

/* Only what listens is looked for by its number; elsewhere it may be the same by chance. */
static uint64_t number_of(const char *label, sockbroker_socket sock)
{
    bool is_listener = !strncmp(label, "listener/", 9) || !strncmp(label, SB_GIVEN_PREFIX, strlen(SB_GIVEN_PREFIX));

    return is_listener ? sb_custody_number(sock) : 0;
}

static struct entry *enter(struct sb_custody *c, const char *label, uint64_t number)
{
    struct entry *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    snprintf(e->label, sizeof(e->label), "%s", label);
    e->number = number;
    HASH_ADD_STR(c->entries, label, e);
    if (e->hh.tbl)
        return e;
    free(e);
    return NULL;
}

static bool is_passing(sockbroker_status st)
{
    return st == SOCKBROKER_AGAIN || st == SOCKBROKER_BUSY;
}

bool sb_custody_is_kept(const struct sb_broker *b)
{
    return b->custody && b->custody->link.who != SB_CUSTODIAN_NOBODY;
}

bool sb_custody_has(struct sb_custody *c, const char *label)
{
    return c && find(c, label);
}

void sb_custody_keep(struct sb_custody *c, const char *label, sockbroker_socket sock)
{
    struct entry *e = c ? find(c, label) : NULL;

    if (!c || c->has_joined || c->link.who == SB_CUSTODIAN_NOBODY)
        return;
    if (!e) {
        sockbroker_status st = sb_custody_link_put(&c->link, label, sock);

        c->is_noted |= is_passing(st);
        if (!st)
            e = enter(c, label, number_of(label, sock)); /* without memory it is put again next time */
        else if (!is_passing(st))
            sb_log(SB_LOG_ERROR, "not_kept", "label=%s cause=\"%s\"", label, sockbroker_status_text(st));
    }
    if (e)
        e->is_wanted = true;
}

static void drop(struct sb_custody *c, struct entry *e)
{
    if (is_passing(sb_custody_link_drop(&c->link, e->label)))
        c->is_noted = true; /* it stays an entry that nobody wants */
    else
        forget(c, e);
}

void sb_custody_drop(struct sb_custody *c, const char *label)
{
    struct entry *e = c ? find(c, label) : NULL;

    if (e)
        drop(c, e);
}

static bool drop_number(struct sb_custody *c, uint64_t number)
{
    struct entry *e, *tmp;
    bool any = false;

    HASH_ITER(hh, c->entries, e, tmp) {
        if (!number || e->number != number)
            continue;
        drop(c, e);
        any = true;
    }
    return any;
}

/* ---- what comes back ---- */

static uint64_t read_number(const char *text)
{
    return strtoull(text, NULL, 10);
}

/* Under the name of an endpoint that there is no more, it is good for any. */
static sockbroker_status take_listener(struct sb_broker *b, const char *endpoint, const char *slot, struct sb_given *g)
{
    struct sockbroker_error error;
    const char *name = sb_config_find(&b->config, endpoint) ? endpoint : "";
    uint32_t place = slot[0] == '-' ? SB_INHERIT_ANY_SLOT : (uint32_t)read_number(slot);
    sockbroker_status st = sb_inherit_add(&b->inherited, name, place, &g->descriptor, &error);

    if (st)
        sb_log(SB_LOG_WARNING, "inherited_unusable", "endpoint=%s cause=\"%s\" effect=\"closed\"", endpoint, error.text);
    return st == SOCKBROKER_NO_MEMORY ? st : SOCKBROKER_OK;
}

static sockbroker_status take_claim(struct sb_custody *c, char *parts[PARTS], struct sb_given *g)
{
    struct claim *claim = calloc(1, sizeof(*claim));

    if (!claim)
        return SOCKBROKER_NO_MEMORY;
    claim->number = read_number(parts[1]);
    snprintf(claim->worker, sizeof(claim->worker), "%s", parts[2]);
    claim->peer.pid = (uint32_t)read_number(parts[3]);
    claim->peer.handle = sb_socket_take(&g->descriptor);
    DL_APPEND(c->claims, claim);
    return SOCKBROKER_OK;
}

static struct sb_given *find_given(struct sb_given *list, const char *label)
{
    struct sb_given *g;

    DL_FOREACH(list, g) {
        if (!strcmp(g->label, label))
            return g;
    }
    return NULL;
}

/* A deposit is whole when both halves are there. The state's half is looked at with the other one. */
static void take_deposit(struct sb_broker *b, struct sb_given *list, const char *number, struct sb_given *g)
{
    char label[SB_LABEL_MAX + 1];

    snprintf(label, sizeof(label), "deposit/%.32s/state", number);
    struct sb_given *state = find_given(list, label);
    if (state)
        sb_deposit_adopt(b, &g->descriptor, state->descriptor);
}

static bool is_inherited(const struct sb_broker *b, uint64_t number)
{
    const struct sb_inherited *s;

    DL_FOREACH(b->inherited, s) {
        if (sb_custody_number(s->sock) == number)
            return true;
    }
    return false;
}

static sockbroker_status take_one(struct sb_broker *b, struct sb_given *list, struct sb_given *g)
{
    char text[SB_LABEL_MAX + 1];
    char *parts[PARTS];

    memcpy(text, g->label, sizeof(text));
    size_t n = split(text, parts);
    if (n == 4 && !strcmp(parts[0], "holder"))
        return take_claim(b->custody, parts, g);
    if (n == 3 && !strcmp(parts[0], "deposit") && !strcmp(parts[2], "socket"))
        take_deposit(b, list, parts[1], g);
    if (n == 3 && !strcmp(parts[0], "deposit"))
        return SOCKBROKER_OK;
    if (sb_wishes_are(parts, n))
        return sb_wishes_take(b, parts);
    if (is_inherited(b, sb_custody_number(g->descriptor))) /* from a socket unit and from the store */
        return SOCKBROKER_OK;
    if (n == 4 && !strcmp(parts[0], "listener"))
        return take_listener(b, parts[1], parts[3], g);
    return take_listener(b, n == 3 ? parts[1] : parts[0], "-", g);
}

/* Names without a slash are not ours: the manager has them from a socket unit. */
static sockbroker_status take_all(struct sb_broker *b, struct sb_given *list)
{
    struct sb_given *g;
    sockbroker_status st = SOCKBROKER_OK;

    DL_FOREACH(list, g) {
        if (strchr(g->label, '/') && !enter(b->custody, g->label, number_of(g->label, g->descriptor)))
            return SOCKBROKER_NO_MEMORY;
    }
    DL_FOREACH(list, g) {
        st = take_one(b, list, g);
        if (st)
            break;
    }
    return st;
}

static bool is_asked_for(const struct sb_config *config, const struct sb_inherited *s)
{
    for (size_t i = 0; i < config->n_endpoints; i++) {
        if (sb_opening_asks_for(&config->endpoints[i], s))
            return true;
    }
    return false;
}

/* Before anything is opened: an address may be wanted in another form now. */
static void close_unwanted(struct sb_broker *b)
{
    struct sb_inherited *unwanted = NULL;
    struct sb_inherited *s, *tmp;
    bool any = false;

    DL_FOREACH_SAFE(b->inherited, s, tmp) {
        if (is_asked_for(&b->config, s))
            continue;
        any |= drop_number(b->custody, sb_custody_number(s->sock));
        DL_DELETE(b->inherited, s);
        DL_APPEND(unwanted, s);
    }
    sb_inherit_close(&unwanted);
    if (any && sb_custody_link_settle(&b->custody->link))
        sb_log(SB_LOG_WARNING, "keeper_slow", "cause=\"no answer in time\" effect=\"an old address may be taken yet\"");
}

sockbroker_status sb_custody_open(struct sb_broker *b, struct sockbroker_error *error_out)
{
    struct sb_given *list = NULL;
    size_t n;
    struct sb_given *g;

    b->custody = calloc(1, sizeof(*b->custody));
    if (!b->custody)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for what others keep");
    sockbroker_status st = sb_custody_link_open(b->config.keeper, &b->custody->link, &list, error_out);
    DL_COUNT(list, g, n);
    if (!st && take_all(b, list))
        st = sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for %zu descriptors that were kept", n);
    sb_given_clear(&list);
    if (st)
        return st;
    b->rundir.was_left |= b->custody->link.is_next;
    if (n)
        sb_log(SB_LOG_NOTICE, "taken_back", "descriptors=%zu deposits=%u", n, b->n_deposits);
    close_unwanted(b);
    return SOCKBROKER_OK;
}

/* ---- taking over ---- */

sockbroker_status sb_custody_join(struct sb_broker *b, sockbroker_socket *channel)
{
    struct sb_custody *c = calloc(1, sizeof(*c));

    if (!c)
        return SOCKBROKER_NO_MEMORY;
    sockbroker_status st = sb_custody_link_join(b->config.keeper, *channel, &c->link);
    if (st) {
        free(c);
        return st;
    }
    *channel = SOCKBROKER_SOCKET_NONE;
    c->has_joined = true;
    c->first_parent = c->link.who == SB_CUSTODIAN_KEEPER ? sb_custody_link_parent() : 0;
    b->custody = c;
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_tell(const struct sb_broker *b, sb_custody_teller tell, void *arg)
{
    const struct sb_custody *c = b->custody;
    const struct entry *e;
    sockbroker_status st = SOCKBROKER_OK;

    for (e = c && c->link.who == SB_CUSTODIAN_MANAGER ? c->entries : NULL; e && !st; e = e->hh.next)
        st = tell(arg, e->label, e->number);
    return st;
}

sockbroker_status sb_custody_restore(struct sb_broker *b, const char *label, uint64_t number)
{
    struct sb_custody *c = b->custody;

    if (c->link.who == SB_CUSTODIAN_NOBODY)
        sb_custody_link_join(SB_KEEPING_SYSTEMD, SOCKBROKER_SOCKET_NONE, &c->link);
    return find(c, label) || enter(c, label, number) ? SOCKBROKER_OK : SOCKBROKER_NO_MEMORY;
}

sockbroker_socket sb_custody_channel(const struct sb_broker *b)
{
    return b->custody && b->custody->link.who == SB_CUSTODIAN_KEEPER ? b->custody->link.end : SOCKBROKER_SOCKET_NONE;
}

/* ---- what goes there ---- */

void sb_custody_note(struct sb_broker *b)
{
    if (b->custody)
        b->custody->is_noted = true;
}

static void keep_holder(struct sb_custody *c, uint64_t number, const struct sb_holder *h)
{
    char label[SB_LABEL_MAX + 1];

    if (!h->has_it || h->session->peer.handle == SOCKBROKER_SOCKET_NONE)
        return;
    label_holder(number, h->session->name, h->session->peer.pid, label);
    sb_custody_keep(c, label, h->session->peer.handle);
}

void sb_custody_keep_holder(const struct sb_holder *h)
{
    struct sb_broker *b = h->session->broker;

    if (sb_custody_is_kept(b))
        keep_holder(b->custody, sb_custody_number(h->listener->sock), h);
}

static void keep_listener(struct sb_custody *c, const struct sb_listener *l)
{
    char label[SB_LABEL_MAX + 1];
    const struct sb_holder *h;
    uint64_t number;

    if (l->sock == SOCKBROKER_SOCKET_NONE)
        return;
    number = sb_custody_number(l->sock);
    label_listener(l, number, label);
    sb_custody_keep(c, label, l->sock);
    DL_FOREACH(l->holders, h)
        keep_holder(c, number, h);
}

static void keep_claim(struct sb_custody *c, const struct claim *claim)
{
    char label[SB_LABEL_MAX + 1];

    label_holder(claim->number, claim->worker, claim->peer.pid, label);
    sb_custody_keep(c, label, claim->peer.handle);
}

/* The manager's store outlives the service's restart: what an ordered stop closes is there for the next start. */
static bool leaves_all(const struct sb_broker *b)
{
    return b->state == SB_BROKER_STOPPING && b->custody->link.who == SB_CUSTODIAN_MANAGER;
}

void sb_custody_sync(struct sb_broker *b)
{
    struct sb_custody *c = b->custody;
    struct entry *entry, *tmp;
    const struct sb_endpoint *e;
    const struct sb_listener *l;
    const struct claim *claim;

    if (!c || c->has_joined || !c->is_noted || leaves_all(b))
        return;
    c->is_noted = false;
    for (entry = c->entries; entry; entry = entry->hh.next)
        entry->is_wanted = false;
    DL_FOREACH(b->endpoints, e) {
        DL_FOREACH(e->listeners, l)
            keep_listener(c, l);
    }
    DL_FOREACH(c->claims, claim)
        keep_claim(c, claim);
    sb_deposits_keep(b);
    sb_wishes_keep(b);
    HASH_ITER(hh, c->entries, entry, tmp) {
        if (!entry->is_wanted)
            drop(c, entry);
    }
}

void sb_custody_ready(struct sb_broker *b)
{
    sb_inherit_close(&b->inherited);
    if (!b->custody)
        return;
    if (b->custody->has_joined && sb_custody_link_rename(&b->custody->link))
        sb_log(SB_LOG_WARNING, "keeper_slow", "effect=\"it may keep what is no endpoint's any more\"");
    b->custody->has_joined = false;
    sb_custody_note(b);
    sb_custody_sync(b);
    if (sb_custody_link_ready(&b->custody->link))
        sb_log(SB_LOG_ERROR, "keeper_lost", "effect=\"a crash of the broker closes its sockets\" cure=\"restart it\"");
}

static bool is_used(const struct sb_broker *b, uint64_t number)
{
    const struct sb_endpoint *e;
    const struct sb_listener *l;

    DL_FOREACH(b->endpoints, e) {
        DL_FOREACH(e->listeners, l) {
            if (l->sock != SOCKBROKER_SOCKET_NONE && sb_custody_number(l->sock) == number)
                return true;
        }
    }
    return false;
}

void sb_custody_release(struct sb_broker *b, struct sb_listener *list)
{
    const struct sb_listener *l;
    bool any = false;

    if (!sb_custody_is_kept(b) || leaves_all(b))
        return;
    DL_FOREACH(list, l) {
        uint64_t number = l->sock == SOCKBROKER_SOCKET_NONE ? 0 : sb_custody_number(l->sock);

        if (!is_used(b, number))
            any |= drop_number(b->custody, number);
    }
    if (any)
        sb_custody_link_settle(&b->custody->link);
}

/* ---- workers that used sockets themselves ---- */

static void forget_claim(struct sb_broker *b, struct claim *claim)
{
    DL_DELETE(b->custody->claims, claim);
    sb_peer_close(&claim->peer);
    free(claim);
    sb_custody_note(b);
}

bool sb_custody_is_claimed(const struct sb_broker *b, sockbroker_socket sock)
{
    const struct claim *claim;
    uint64_t number;

    if (!b->custody || !b->custody->claims)
        return false;
    number = sb_custody_number(sock);
    DL_FOREACH(b->custody->claims, claim) {
        if (claim->number == number)
            return true;
    }
    return false;
}

/* The slot of a shard may have been given away meanwhile. */
static void give_back(struct sb_session *s, const struct claim *claim)
{
    struct sb_endpoint *e;
    struct sb_listener *l;

    DL_FOREACH(s->broker->endpoints, e) {
        DL_FOREACH(e->listeners, l) {
            if (sb_custody_number(l->sock) != claim->number || !sb_session_member(s, e) || (l->shard && l->holders))
                continue;
            if (!sb_holder_add(l, s))
                sb_holder_find(l, s)->has_it = true;
        }
    }
}

/* The handle proves that the process lives, so its number was given to no other. */
static bool is_his(const struct claim *claim, const struct sb_session *s)
{
    return claim->peer.pid == s->peer.pid && !strcmp(claim->worker, s->name) && sb_peer_is_alive(&claim->peer);
}

void sb_custody_welcome(struct sb_session *s)
{
    struct sb_broker *b = s->broker;
    struct claim *claim, *tmp;

    if (!b->custody)
        return;
    DL_FOREACH_SAFE(b->custody->claims, claim, tmp) {
        if (!is_his(claim, s))
            continue;
        give_back(s, claim);
        forget_claim(b, claim);
    }
}

static void forget_dead(struct sb_broker *b)
{
    struct claim *claim, *tmp;
    struct sb_endpoint *e;
    bool any = false;

    DL_FOREACH_SAFE(b->custody->claims, claim, tmp) {
        if (sb_peer_is_alive(&claim->peer))
            continue;
        forget_claim(b, claim);
        any = true;
    }
    if (!any)
        return;
    DL_FOREACH(b->endpoints, e)
        sb_shard_update(e);
}

void sb_custody_tick(struct sb_broker *b)
{
    struct sb_custody *c = b->custody;

    if (!c)
        return;
    if (c->claims)
        forget_dead(b);
    if (c->first_parent && sb_custody_link_bind_life(c->first_parent))
        c->first_parent = 0;
    sb_custody_sync(b);
}

/* ---- end ---- */

void sb_custody_close(struct sb_broker *b)
{
    struct sb_custody *c = b->custody;
    struct entry *e, *tmp;

    sb_inherit_close(&b->inherited);
    if (!c)
        return;
    while (c->claims)
        forget_claim(b, c->claims);
    HASH_ITER(hh, c->entries, e, tmp)
        forget(c, e);
    sb_socket_close(&c->link.end);
    sb_socket_close(&c->link.peer);
    free(c);
    b->custody = NULL;
}
