/* broker.h: the broker itself: one loop thread that owns everything below.
 *
 * Who calls whom: events come from listener.c (a connection waits), session.c (a worker reported, or died), control.c and
 * greeting.c (a worker attaches, parks, leaves; the command line asks) and watch.c (time has passed). Each changes its
 * own objects and ends with sb_dispatch_pump(), the only place where waiting connections meet free workers.
 */
#ifndef SB_BROKER_BROKER_H
#define SB_BROKER_BROKER_H

#include <uv.h>

#include "broker/config.h"
#include "broker/conn.h"
#include "proto/channel.h"
#include "proto/rundir.h"

struct sb_custody;
struct sb_endpoint;
struct sb_session;
struct sb_signals;
struct sb_greeter;
struct sb_supervisor;
struct sb_giving;
struct sb_taking;
struct sb_mailbox;
struct sb_ticker;
struct sb_waiter;
struct sb_wish;

enum sb_broker_state {
    SB_BROKER_SERVING,
    SB_BROKER_STOPPING, /* no new connections; leases end, then the loop does */
};

struct sb_broker {
    uv_loop_t loop;
    struct sb_config config;
    sockbroker_status (*read_config)(void *arg, struct sb_config *config_out, struct sockbroker_error *error_out);
    void *read_config_arg;
    char *const *args; /* of the command line, from "serve" on: a new broker gets them too */
    enum sb_broker_state state;
    struct sb_giving *giving; /* a new broker is about to take our place */
    struct sb_taking *taking; /* we take the place of another */
    struct sb_rundir rundir;
    struct sb_server *server;
    struct sb_greeter *greeter;
    struct sb_mailbox *mailbox;
    struct sb_supervisor *supervisor;
    struct sb_lease_table leases;
    struct sb_custody *custody;          /* what others hold for the next broker */
    struct sb_inherited *inherited;      /* list: sockets that came from somebody else and wait for their endpoint */
    struct sb_wish *wishes;              /* list: what the operator asked of a broker that crashed */
    struct sb_endpoint *endpoints;       /* list, in the order of the configuration */
    struct sb_session *sessions_by_id;   /* uthash */
    struct sb_session *sessions_by_name; /* uthash: the living one of each name */
    struct sb_session *sessions;         /* list, in the order they attached */
    uint32_t n_sessions;
    struct sb_waiter *waiters; /* callers that wait for a drain to end */
    uint32_t n_attaching;      /* sessions that have not taken their pair yet */
    uint32_t n_closing;        /* connections that a thread is closing, see closer.h */
    uint32_t max_connections;
    uint32_t n_descriptors; /* that connections and rings may have */
    uint32_t n_rings;
    uint32_t max_sessions;
    uint64_t started_ms;
    uint64_t stop_began_ms;
    uint64_t stop_at_ms;
    uint64_t bad_messages;
    uint64_t busy_refusals;
    uint64_t listener_repairs;
    struct sb_grant *grants; /* uthash: sockets on their way to and from workers that asked */
    uint64_t n_grants_made;
    uint64_t n_grants_given;
    uint64_t n_probes;        /* sent, to whatever worker */
    struct sb_kept *deposits; /* list, the oldest first */
    uint32_t n_deposits;
    uint64_t deposits_expired;
    struct sb_connector *connector; /* makes outbound connections */
    struct sb_outbound *outbounds;  /* list of those under way */
    uint64_t connects_failed;
    bool pump_needed;

    uv_async_t control_wake;
    struct sb_ticker *tick;
    struct sb_signals *signals;
};

/* Runs until told to stop. config moves in. OK; or what kept it from starting, with error. */
sockbroker_status sb_broker_run(struct sb_broker *b, struct sockbroker_error *error_out);

/* SB_SIGNAL_STOP: no new connections; what is on its way is handed over; workers that the broker started drain and end; stop. A
 * second call stops at once. */
void sb_broker_stop(struct sb_broker *b);

/* SB_SIGNAL_RELOAD: the configuration is read again, and spawned workers are replaced by a new generation. On any error the old
 * configuration stays. While a generation is being replaced it waits for the end of that. */
void sb_broker_reload(struct sb_broker *b);

#endif
