/* group.h: the workers of one command that the broker starts itself: how many, in which generations, in which states.
 *
 * A generation is a set of slots that began together; a slot is a place for one process at a time. One generation serves; one
 * may be starting (rollover.h); any number may be leaving. What is done to processes and sessions is the owner's (struct
 * sb_group_ops); what happens to them it tells here. No clock of its own: time is given. Memory is freed by sb_group_tick()
 * only, so any of the other calls may be made from inside the owner's functions.
 */
#ifndef SB_BROKER_GROUP_H
#define SB_BROKER_GROUP_H

#include "broker/backoff.h"
#include "broker/config.h"

struct sb_group;
struct sb_generation;

enum sb_slot_state {
    SB_SLOT_STARTING, /* its process runs, and is not ready yet */
    SB_SLOT_READY,
    SB_SLOT_DRAINING, /* gets nothing new and finishes what it has */
    SB_SLOT_ENDING,   /* was asked to end */
    SB_SLOT_KILLED,   /* was ended */
    SB_SLOT_WAITING,  /* no process: starts again at start_at_ms */
    SB_SLOT_STOPPED,  /* no process: it was drained by hand */
    SB_SLOT_GIVEN_UP, /* no process: it ended too often */
    SB_SLOT_GONE,     /* has left; the next tick frees it */
};

struct sb_slot {
    struct sb_generation *generation;
    uint32_t number;                    /* from 1; no two of a generation the same */
    char name[SOCKBROKER_NAME_MAX + 1]; /* of its worker: GROUP-GENERATION-NUMBER */
    enum sb_slot_state state;
    uint64_t since_ms; /* of the state; DRAINING and ENDING have their deadlines from here */
    uint64_t start_at_ms;
    bool leaves; /* its end is its last */
    bool drained_by_hand;
    uint32_t n_restarts;
    struct sb_backoff backoff;
    void *process; /* the owner's, NULL when there is none */
    struct sb_slot *prev, *next;
};

enum sb_generation_state {
    SB_GENERATION_STARTING, /* serves when all of its slots are ready */
    SB_GENERATION_SERVING,
    SB_GENERATION_LEAVING,
};

struct sb_generation {
    struct sb_group *group;
    uint64_t number;
    enum sb_generation_state state;
    uint64_t since_ms;
    bool standby; /* its workers get nothing until it serves, because the one before does */
    struct sb_group_config config;
    struct sb_slot *slots; /* list, by number */
    struct sb_generation *prev, *next;
};

struct sb_group_ops {
    /* Is there a living worker of the slot's name already, that an earlier broker started? Then slot->process is set. */
    bool (*adopt)(struct sb_slot *slot);
    /* Sets slot->process on OK; else error says why not. */
    sockbroker_status (*start)(struct sb_slot *slot, struct sockbroker_error *error_out);
    void (*admit)(struct sb_slot *slot); /* on standby no more */
    void (*drain)(struct sb_slot *slot);
    bool (*is_idle)(const struct sb_slot *slot);     /* it holds no connection, as far as anybody knows */
    void (*end)(struct sb_slot *slot, bool at_once); /* asks the process to end; at_once: ends it */
    void (*rolled)(struct sb_group *g, sockbroker_status status, const char *text); /* a rollover is over */
    uint32_t (*random)(void);
};

struct sb_group {
    char name[SOCKBROKER_NAME_MAX + 1];
    const struct sb_group_ops *ops;
    void *owner;
    uint32_t wanted;                   /* workers */
    uint32_t configured;               /* the same as the configuration says; scale makes them differ */
    uint64_t last_number;              /* of the newest generation */
    struct sb_generation *generations; /* list, the oldest first */
    struct sb_generation *serving;     /* NULL once the group leaves */
    struct sb_generation *starting;    /* NULL, or it is rolling over */
    bool rests;                        /* nobody is started any more */
    bool leaves;
    char failure[SOCKBROKER_ERROR_TEXT_MAX]; /* why the last rollover failed, "" when it did not */
    struct sb_group *prev, *next;
};

/* Starts its first generation, whose number is first_number. config is copied. OK, NO_MEMORY. A worker that does not start is
 * no failure here: it is tried again. */
sockbroker_status sb_group_create(const struct sb_group_config *config, const struct sb_group_ops *ops, void *owner,
                                  uint64_t first_number, uint64_t now_ms, struct sb_group **group_out);

/* No slot may have a process any more. NULL is allowed. */
void sb_group_destroy(struct sb_group *g);

/* What happened to a slot's process: a worker of it is ready; it has ended (how: "exited with 1"); it was drained by command.
 */
void sb_group_slot_ready(struct sb_slot *slot, uint64_t now_ms);
void sb_group_slot_ended(struct sb_slot *slot, const char *how, uint64_t now_ms);
void sb_group_slot_drained(struct sb_slot *slot, uint64_t now_ms);

/* Deadlines and delays. */
void sb_group_tick(struct sb_group *g, uint64_t now_ms);

/* From now on so many; slots that stopped or were given up start again. BUSY while it rolls over; NO_MEMORY. */
sockbroker_status sb_group_scale(struct sb_group *g, uint32_t wanted, uint64_t now_ms, struct sockbroker_error *error_out);

/* Nobody is started any more, and a generation that does not serve yet fails; those that serve go on. */
void sb_group_rest(struct sb_group *g, uint64_t now_ms);

/* Nothing is started any more, all workers leave; their time to drain counts from since_ms. */
void sb_group_leave(struct sb_group *g, uint64_t since_ms, uint64_t now_ms);

/* Nothing is left of it, as of the last tick. */
bool sb_group_is_over(const struct sb_group *g);

const char *sb_slot_state_name(enum sb_slot_state state);
const char *sb_generation_state_name(enum sb_generation_state state);

#endif
