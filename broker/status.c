#include "broker/status.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "broker/deposit.h"
#include "broker/endpoint.h"
#include "broker/listener.h"
#include "broker/log.h"
#include "broker/session.h"
#include "proto/clock.h"
#include "proto/thread.h"
#include "sockbroker/sockbroker.h"

static void put_word(char out[SB_WORD_MAX + 1], const char *word)
{
    snprintf(out, SB_WORD_MAX + 1, "%s", word);
}

static void fill_broker(struct sb_broker *b, struct sb_broker_status *out)
{
    struct sb_server_counters counters;
    const struct sb_endpoint *e;
    uint64_t n = 0;

    sb_server_counters(b->server, &counters);
    DL_COUNT(b->endpoints, e, n);
    put_word(out->version, sockbroker_version());
    out->pid = sb_process_id();
    out->uptime_ms = sb_clock_ms() - b->started_ms;
    put_word(out->state, b->state == SB_BROKER_STOPPING ? "stopping" : "serving");
    out->n_endpoints = n;
    out->n_sessions = b->n_sessions;
    out->bad_messages = b->bad_messages + counters.bad_messages;
    out->busy_refusals = b->busy_refusals + counters.turned_away;
    out->log_lines_dropped = sb_log_lines_dropped();
    out->descriptors_used = b->leases.n_conns;
    out->descriptors_max = b->max_connections;
    out->listener_repairs = b->listener_repairs;
    out->n_deposits = b->n_deposits;
    out->grants = b->n_grants_given;
    out->deposits_expired = b->deposits_expired;
    out->connects_failed = b->connects_failed;
}

static void fill_endpoint(const struct sb_endpoint *e, struct sb_endpoint_status *out)
{
    const struct sb_listener *l;

    memcpy(out->name, e->config.name, sizeof(out->name));
    out->n_addresses = 0;
    DL_FOREACH(e->listeners, l) {
        if (l->slot == 0 && out->n_addresses < SB_ADDRESSES_PER_ENDPOINT_MAX)
            out->addresses[out->n_addresses++] = l->addr;
    }
    put_word(out->mode, sb_mode_name(e->config.mode));
    put_word(out->policy, sb_policy_name(e->config.policy));
    put_word(out->family, sb_family_choice_name(e->config.family));
    put_word(out->carrier, sb_carrier_name(e->config.carrier));
    put_word(out->state, sb_endpoint_state_name(e));
    put_word(out->protocol, sb_protocol_name(e->config.protocol));
    out->slots = e->config.mode == SB_MODE_SHARD ? e->config.slots : 0;
    out->counters = e->counters;
}

static void fill_session(const struct sb_session *s, struct sb_session_status *out)
{
    out->id = s->key.id;
    memcpy(out->name, s->name, sizeof(out->name));
    out->generation = s->generation;
    out->pid = s->peer.pid;
    out->uid = s->peer.uid;
    out->gid = s->peer.gid;
    put_word(out->state, sb_session_state_name(s));
    out->open = s->n_open;
    out->unacked = s->n_unacked;
    out->served = s->n_served;
    out->weight = s->weight;
    out->window = s->window;
    out->n_endpoints = 0;
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (s->places[i].endpoint)
            memcpy(out->endpoints[out->n_endpoints++], s->places[i].endpoint->config.name, sizeof(out->endpoints[0]));
    }
    out->attached_ms = sb_clock_ms() - s->attached_ms;
}

void sb_status_fill(struct sb_broker *b, const struct sb_status_request *request, struct sb_status_page *page)
{
    const struct sb_endpoint *e;
    const struct sb_session *s;
    uint32_t at = 0;

    fill_broker(b, &page->broker);
    page->n_endpoints = page->n_sessions = 0;
    DL_FOREACH(b->endpoints, e) {
        if (at++ >= request->first_endpoint && page->n_endpoints < SB_PAGE_ENDPOINTS)
            fill_endpoint(e, &page->endpoints[page->n_endpoints++]);
    }
    at = 0;
    DL_FOREACH(b->sessions, s) {
        if (at++ >= request->first_session && page->n_sessions < SB_PAGE_SESSIONS)
            fill_session(s, &page->sessions[page->n_sessions++]);
    }
    page->next_endpoint = request->first_endpoint + page->n_endpoints;
    page->next_session = request->first_session + page->n_sessions;
    sb_deposits_fill(b, request, page);
}
