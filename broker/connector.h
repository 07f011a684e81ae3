/* connector.h: connections to other machines, asked for by host and port or by a list of addresses.
 *
 * One sb_connect is one request: names are looked up off the loop, IPv6 and IPv4 at the same time; each destination is judged
 * by `permit`, those allowed are sorted by `sort`, then race.h says which to try when, and dial.h tries. All of it happens on
 * the loop's thread. Nothing waits and nothing exits: shortages end in an error like any other.
 */
#ifndef SB_BROKER_CONNECTOR_H
#define SB_BROKER_CONNECTOR_H

#include <uv.h>

#include "broker/lookup.h"
#include "broker/race.h"

struct sb_connect;

/* Gives each destination its source and sorts, best first (RFC 6724); leaves out those that cannot be reached from here. A
 * link-local destination without a zone may get one. Never called for nothing.
 *   pairs_out  room for n_destinations
 * OK; anything else makes the new destinations unusable, with that error. */
typedef sockbroker_status (*sb_connect_sort)(void *arg, const struct sockbroker_addr *destinations, size_t n_destinations,
                                             struct sb_race_pair *pairs_out, size_t *n_pairs_out,
                                             struct sockbroker_error *error_out);

/* What all requests have in common. sb_connector_init() fills it in; tests put another clock there. */
struct sb_connector {
    uv_loop_t *loop;
    sb_connect_sort sort;
    void *sort_arg;
    uint64_t (*now_ms)(void);
    struct sb_connect *connects; /* list of those under way */
};

struct sb_connect_request {
    char host[SB_LOOKUP_HOST_MAX + 1]; /* a name, or an address as text ("::1", "fe80::1%eth0"); "" when addresses are given */
    struct sockbroker_addr addresses[SB_RACE_MAX]; /* their ports do not count */
    size_t n_addresses;
    uint16_t port;                 /* 1..65535 */
    struct sockbroker_addr source; /* FAMILY_NONE, or from where: only destinations of its family are tried. Port 0: any free */
    bool bind_source; /* no source given: bind to the one that `sort` has chosen, instead of leaving it to the system */
    struct sb_race_options race;
};

#define SB_CONNECT_REQUEST_INIT                                                                                                \
    {                                                                                                                          \
        .race = {.attempt_delay_ms = SB_RACE_ATTEMPT_DELAY_MS, .resolution_delay_ms = SB_RACE_RESOLUTION_DELAY_MS }            \
    }

/* What became of it; all pointers are good during the call only. */
struct sb_connect_result {
    struct sockbroker_error error; /* status OK, or why there is no connection, with host and port */
    sockbroker_socket *sock;       /* on OK: take it, or it is reset after the call. Non-blocking */
    struct sockbroker_addr local, peer;
    const struct sb_race *race;                /* the attempts */
    const struct sb_lookup_answer *answers[2]; /* of IPv6 and IPv4; NULL when there was none to ask or none in time */
    uint64_t started_ms, ended_ms;
};

struct sb_connect_calls {
    /* May it be connected to? Asked once for each, before anything is sent there. OK, or REFUSED with the rule. Mapped
     * addresses come as IPv4. */
    sockbroker_status (*permit)(void *arg, const struct sockbroker_addr *destination, struct sockbroker_error *error_out);
    /* Called once, from the loop, unless the request is cancelled before. The sb_connect is gone then. */
    void (*done)(void *arg, const struct sb_connect_result *result);
    void *arg;
};

void sb_connector_init(struct sb_connector *connector, uv_loop_t *loop, sb_connect_sort sort, void *sort_arg);

/* Cancels all. Before the loop is left to end. */
void sb_connector_deinit(struct sb_connector *connector);

/* Begins. permit and sort may be called from inside, done is not.
 *   connect_out  good until done or sb_connect_cancel()
 * OK; INVALID (host, port, list, source or a time of the request), NO_MEMORY, SYSTEM (the resolver cannot be asked). */
sockbroker_status sb_connect_start(struct sb_connector *connector, const struct sb_connect_request *request,
                                   const struct sb_connect_calls *calls, struct sb_connect **connect_out,
                                   struct sockbroker_error *error_out);

/* Whoever asked is gone: done will not be called. Not from inside permit or sort. */
void sb_connect_cancel(struct sb_connect *c);

/* Does what is due by the connector's clock. Timers of the loop see to that; only who moves the clock by hand needs it. */
void sb_connect_tick(struct sb_connect *c);

/* How far it is. */
const struct sb_race *sb_connect_race(const struct sb_connect *c);

#endif
