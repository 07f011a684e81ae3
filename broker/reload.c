#include "broker/reload.h"

#include <utlist.h>

#include "broker/custody.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/session.h"
#include "proto/error.h"

static void log_listening(const struct sb_endpoint *e)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    const struct sb_listener *l;

    DL_FOREACH(e->listeners, l) {
        if (l->slot) /* of a shard the first one speaks for all */
            continue;
        sb_log(SB_LOG_NOTICE, "listening", "endpoint=%s address=%s families=%s policy=%s protocol=%s mode=%s", e->config.name,
               sockbroker_addr_format(&l->addr, text),
               l->dual                             ? "ipv4+ipv6"
               : l->addr.family == SOCKBROKER_IPV6 ? "ipv6"
                                                   : "ipv4",
               sb_policy_name(e->config.policy), sb_protocol_name(e->config.protocol), sb_mode_name(e->config.mode));
    }
}

/* Those that the broker does not have yet, in a list of their own, as far as they could be opened. */
static sockbroker_status open_new(struct sb_broker *b, const struct sb_config *config, struct sb_endpoint **list_out,
                                  struct sockbroker_error *error)
{
    struct sb_endpoint *list = NULL;
    struct sb_endpoint *e;
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < config->n_endpoints && !st; i++) {
        if (sb_endpoint_find(b, config->endpoints[i].name))
            continue;
        st = sb_endpoint_open(b, &config->endpoints[i], config, &e, error);
        if (!st)
            DL_APPEND(list, e);
    }
    *list_out = list; /* on failure too: the caller lets go of all */
    return st;
}

/* The kernel's queue is taken over first; workers stay until everything has been handed over. */
static void remove_gone(struct sb_broker *b, const struct sb_config *config)
{
    struct sb_endpoint *e;

    DL_FOREACH(b->endpoints, e) {
        if (e->state == SB_ENDPOINT_CLOSING || sb_config_find(config, e->config.name))
            continue;
        sb_log(SB_LOG_NOTICE, "endpoint_removed", "endpoint=%s waiting=%llu", e->config.name,
               (unsigned long long)e->counters.held);
        sb_endpoint_close_listeners(e);
    }
}

/* The selector keeps the workers as its policy needs them: another policy wants another one. */
static void change_selector(struct sb_broker *b, struct sb_endpoint *e)
{
    struct sb_session *s, *tmp;
    struct sb_member *m;

    DL_FOREACH(b->sessions, s) {
        m = sb_session_member(s, e);
        if (m)
            sb_selector_remove(&e->selector, m);
    }
    sb_selector_deinit(&e->selector);
    sb_selector_init(&e->selector, e->config.policy);
    DL_FOREACH_SAFE(b->sessions, s, tmp) {
        m = sb_session_member(s, e);
        if (m && sb_selector_add(&e->selector, m))
            sb_session_lose_place(s, e);
        sb_session_refresh(s);
    }
}

/* What the new configuration says of it; NULL when nothing, or it is on its way out. */
static const struct sb_endpoint_config *wanted(const struct sb_endpoint *e, const struct sb_config *config)
{
    return e->state == SB_ENDPOINT_LISTENING ? sb_config_find(config, e->config.name) : NULL;
}

static sockbroker_status prepare_existing(struct sb_broker *b, const struct sb_config *config, struct sockbroker_error *error)
{
    sockbroker_status st = SOCKBROKER_OK;
    struct sb_endpoint *e;

    DL_FOREACH(b->endpoints, e) {
        const struct sb_endpoint_config *c = wanted(e, config);

        if (c && !st)
            st = sb_endpoint_prepare(e, c, config, error);
    }
    return st;
}

static void commit_existing(struct sb_broker *b)
{
    struct sb_endpoint *e;

    DL_FOREACH(b->endpoints, e) {
        if (!e->change)
            continue;
        bool same_policy = e->config.policy == e->change->config.policy;

        if (sb_endpoint_commit(e))
            log_listening(e);
        if (!same_policy)
            change_selector(b, e);
    }
}

static void cancel_all(struct sb_broker *b, struct sb_endpoint *fresh)
{
    struct sb_endpoint *e, *tmp;

    DL_FOREACH(b->endpoints, e)
        sb_endpoint_cancel(e);
    DL_FOREACH_SAFE(fresh, e, tmp)
        sb_endpoint_destroy_unused(e);
}

static void update_windows(struct sb_broker *b)
{
    struct sb_session *s;

    DL_FOREACH(b->sessions, s)
        sb_session_update_window(s);
}

sockbroker_status sb_reload_endpoints(struct sb_broker *b, const struct sb_config *config, struct sockbroker_error *error_out)
{
    struct sb_endpoint *fresh = NULL;
    struct sb_endpoint *e, *tmp;
    sockbroker_status st = prepare_existing(b, config, error_out);

    if (!st)
        st = open_new(b, config, &fresh, error_out);
    if (st) {
        cancel_all(b, fresh);
        return st;
    }
    DL_FOREACH_SAFE(fresh, e, tmp) {
        DL_DELETE(fresh, e);
        DL_APPEND(b->endpoints, e); /* before others close: they see which sockets live on */
        log_listening(e);
    }
    commit_existing(b);
    remove_gone(b, config);
    update_windows(b);
    sb_custody_sync(b);
    sb_dispatch_note(b);
    return SOCKBROKER_OK;
}

void sb_reload_tick(struct sb_broker *b, uint64_t now_ms)
{
    struct sb_endpoint *e, *e_tmp;
    struct sb_session *s, *s_tmp;

    DL_FOREACH_SAFE(b->endpoints, e, e_tmp) {
        bool late = now_ms - e->closing_ms > b->config.drain_ms;

        if (e->state != SB_ENDPOINT_CLOSING || b->state == SB_BROKER_STOPPING || e->n_conns > (late ? e->counters.held : 0))
            continue;
        DL_FOREACH_SAFE(b->sessions, s, s_tmp)
            sb_session_leave(s, e);
        DL_DELETE(b->endpoints, e);
        sb_endpoint_destroy(e);
    }
}
