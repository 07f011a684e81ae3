/* worker_state.h: what a worker is made of; shared by worker.c (the application's calls), arrival.c and report.c (connections
 * in, verdicts out) and control.c (the control thread).
 *
 * One lock guards everything below it. The control thread alone talks to the broker about the session: it attaches,
 * keeps a Next parked, and attaches again when the broker has gone. The application's threads read packets from the
 * pair themselves; a pair that is in use is kept by its reference count.
 */
#ifndef SB_CLIENT_WORKER_STATE_H
#define SB_CLIENT_WORKER_STATE_H

#include "client-lib/pending.h"
#include "client-lib/wake.h"
#include "proto/channel.h"
#include "proto/ring.h"
#include "proto/rundir.h"
#include "proto/thread.h"
#include "sockbroker/worker.h"

/* The worker's end of one session's pair (Windows: no pair, see ends.h). After its broker has gone it is kept until it is
 * empty: what lies in it was leased to us, and no other broker knows of it. */
struct sb_link {
    sockbroker_socket end;
    enum sb_carrier carrier;
    struct sb_session_key session;
    struct sb_ring ring; /* carrier = direct; once the broker has sent one. Put under the lock */
    uint64_t n_told;     /* Tolds of the session that came; the control thread's */
    uint64_t opened;     /* carrier = message: lease of the last record that had its socket in it; the control thread's */
    unsigned n_users;    /* threads that use it now, and the worker itself */
    bool empty;          /* its broker has gone and everything in it was read */
};

struct sockbroker_worker {
    /* set by open(), never changed */
    unsigned owner; /* sb_process_epoch() */
    char dir[SB_RUNDIR_MAX];
    char control_path[SB_PATH_MAX];
    struct sb_attach attach; /* what to ask for; n_open is filled in each time */
    int attach_timeout_ms;
    struct sb_wake wake;
    struct sb_lock *lock;
    struct sb_thread *thread;

    /* under the lock */
    enum sockbroker_worker_state state;
    struct sockbroker_error error;
    bool stopping;
    bool bell_is_on;
    bool next_answered;        /* the parked Next has an answer */
    bool connection_lost;      /* nng lost the broker */
    struct sb_link *link;      /* of the session now; NULL before the first attach */
    struct sb_link *old_link;  /* of the session before, while it may hold packets */
    struct sb_pending pending; /* carrier = message */
    uint64_t n_open;
    uint32_t finish_within_ms;             /* 0: report each at once */
    uint64_t finished[SB_RESULTS_MAX - 1]; /* over and not yet reported; they ride with the next report */
    uint32_t n_finished;
    uint64_t flush_at_ms; /* with n_finished > 0: when they go by themselves */
    bool flusher_knows;   /* the control thread will look at that time */

    /* client: changed by the control thread under the lock; used outside it by holders of n_client_users */
    struct sb_client *client;
    unsigned n_client_users;
    uint64_t attached_ms; /* the control thread's: when the session began */
};

/* Lock taken. Nothing changes the state of a worker that was stopped. */
void sb_worker_set_state(struct sockbroker_worker *w, enum sockbroker_worker_state state);

/* Lock taken. After a change of state, links or pending: rings while next() has something to say that the pair does not show.
 */
void sb_worker_update_bell(struct sockbroker_worker *w);

/* Lock taken. The session whose broker can be asked; 0 when there is none. Whatever belongs to another session is ours. */
uint64_t sb_worker_live_session(const struct sockbroker_worker *w);

/* A link that is in use is kept. use and drop: lock taken, drop lets go and the last one closes; release takes the lock itself.
 * NULL is allowed. */
struct sb_link *sb_link_use(struct sb_link *link);
void sb_link_drop(struct sockbroker_worker *w, struct sb_link *link);
void sb_link_release(struct sockbroker_worker *w, struct sb_link *link);

/* ---- control.c ---- */

/* Connects and attaches once. On OK there is a client and a link. */
sockbroker_status sb_control_connect(struct sockbroker_worker *w, struct sockbroker_error *error_out);

/* The control thread's body. */
void sb_control_run(void *worker);

/* Gives back what was not given to the application, and detaches, if there is a broker. */
void sb_control_leave(struct sockbroker_worker *w);

/* One request and its answer, by any thread. NO_BROKER when there is none now. Takes the lock. */
sockbroker_status sb_control_call(struct sockbroker_worker *w, const struct sb_request *request, enum sb_reply_kind expect,
                                  int timeout_ms, struct sb_reply *reply_out, struct sockbroker_error *error_out);

/* The client as it is now, kept until it is released; NULL when there is none. Both take the lock. */
struct sb_client *sb_control_use_client(struct sockbroker_worker *w);
void sb_control_release_client(struct sockbroker_worker *w);

/* carrier = message: what sb_xfer_send_report() is to the pair. One call on the client, by any thread; CLOSED when there is no
 * broker now. kept_out (may be NULL) is set on OK: what the broker says of the first result. Takes the lock. */
sockbroker_status sb_control_settle(struct sockbroker_worker *w, const struct sb_session_key *session,
                                    const struct sb_report *report, bool *kept_out);

#endif
