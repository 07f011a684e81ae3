/* keeper_core.h: what a keeper does on every system: one broker after the other, and what it holds for the next. Processes and
 * signals are the pair's: keeper_posix.c, keeper_win32.c.
 */
#ifndef SB_BROKER_KEEPER_CORE_H
#define SB_BROKER_KEEPER_CORE_H

#include "broker/keeper.h"
#include "broker/keeper_items.h"
#include "broker/keeper_link.h"
#include "broker/log.h"
#include "broker/pace.h"

struct sb_keeper {
    const struct sb_keeper_options *options;
    struct sb_pace pace;
    struct sb_keeper_item *items;
    sockbroker_socket channel;         /* to the broker; yours until sb_keeper_leave() */
    sockbroker_socket peer;            /* as sb_keeper_send() wants it; lent */
    const struct sb_keeper_item *next; /* to hand over */
    bool handing_over;
    bool is_ready;
    bool was_ready; /* some broker of this keeper */
    bool is_stopping;
    uint64_t start_at_ms; /* 0: a broker runs */
    bool is_over;
    int exit_code;

    /* A word that the pair answers: FOLLOW, BARRIER; READY too, when the rest has been done. */
    void (*on_word)(void *arg, const struct sb_keeper_packet *p);
    void *arg;
};

/* Zero, but for what is given; the first broker is due at once. */
void sb_keeper_init(struct sb_keeper *k, const struct sb_keeper_options *options,
                    void (*on_word)(void *arg, const struct sb_keeper_packet *p), void *arg);

/* A broker has been started. channel moves in. */
void sb_keeper_begin(struct sb_keeper *k, sockbroker_socket *channel, sockbroker_socket peer);

/* Goes on giving it what is kept. False: later, without an event. */
bool sb_keeper_hand_over(struct sb_keeper *k);

/* All that it has said; also what a dead one said last. Nothing while something is handed over: the broker listens first and
 * speaks then. */
void sb_keeper_listen(struct sb_keeper *k);

/* The broker is not there any more: hears its last words, closes the channel. */
void sb_keeper_leave(struct sb_keeper *k);

/* How the broker ended; is_documented: by itself, with a code of command.h. Then another one is due, or it is over. */
void sb_keeper_ended(struct sb_keeper *k, bool is_documented, const char *cause, int code);

/* It could not be started, or died: another one is due, or it is over. */
void sb_keeper_failed(struct sb_keeper *k, const char *cause, int code);

/* This is the last moment, and the process's exit code. */
void sb_keeper_end(struct sb_keeper *k, int code);

/* How long the pair may wait for events; -1: for ever. is_busy: sb_keeper_hand_over() said later. */
int sb_keeper_wait_ms(const struct sb_keeper *k, bool is_busy);
bool sb_keeper_is_due(const struct sb_keeper *k); /* a broker shall be started now */

/* A reader of stderr that has stopped reading must not stop the keeper: then nobody reads this line. Of the pair. */
bool sb_keeper_can_log(void);
#define sb_keeper_note(...) (sb_keeper_can_log() ? sb_log(__VA_ARGS__) : (void)0)

#endif
