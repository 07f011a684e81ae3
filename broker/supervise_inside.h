/* supervise_inside.h: what the files supervise*.c need of each other. */
#ifndef SB_BROKER_SUPERVISE_INSIDE_H
#define SB_BROKER_SUPERVISE_INSIDE_H

#include "broker/spawn.h"
#include "broker/supervise.h"

/* The process of a slot. */
struct sb_kid {
    struct sb_supervisor *supervisor;
    struct sb_slot *slot;
    struct sb_child child;
    struct sb_death *death; /* of child.handle */
    struct sb_kid *prev, *next;
};

struct sb_supervisor {
    struct sb_broker *broker;
    struct sb_group *groups; /* list */
    struct sb_kid *kids;     /* list */
    struct sb_call *call;    /* of the command that waits for the generations that are being replaced */
    uint64_t open_at_ms;     /* 0, or when the groups start: workers of a broker that crashed come back before that */
    uint32_t n_rolling;
    bool again;      /* SIGHUP came meanwhile */
    bool stop_after; /* the groups start: a stop came before */
    sockbroker_status outcome;
    char text[SB_OUTCOME_TEXT_MAX + 1];
};

/* Another group. OK, NO_MEMORY. */
sockbroker_status sb_supervise_add(struct sb_supervisor *sup, const struct sb_group_config *config);

/* The one of that name that does not leave; NULL: there is none. */
struct sb_group *sb_supervise_find(const struct sb_supervisor *sup, const char *name);

/* After a takeover: brings what the broker before had in line with our configuration. */
void sb_supervise_resume(struct sb_supervisor *sup);

/* The loop watches the kid from now on; it belongs to the slot. On false (no memory) nothing has happened. */
bool sb_kid_watch(struct sb_supervisor *sup, struct sb_kid *kid, struct sb_slot *slot);

/* Workers of a broker that crashed: has the slot one? */
bool sb_supervise_adopt(struct sb_slot *slot);

/* The newest generation that such workers are of, 1 when there are none. */
uint64_t sb_supervise_first_number(struct sb_supervisor *sup, const char *group);

/* Those that were not adopted: of a generation that was leaving, or more than are wanted now. */
void sb_supervise_drain_others(struct sb_supervisor *sup, const char *group);

/* A rollover is over. */
void sb_supervise_note(struct sb_group *g, sockbroker_status status, const char *text);

extern const struct sb_group_ops sb_supervise_ops;

#endif
