#include "broker/keeper_core.h"

#include "broker/command.h"
#include "proto/clock.h"
#include "proto/secret.h"
#include "proto/socket.h"

#define BUSY_MS 10 /* descriptors in flight give no event when they land */

void sb_keeper_init(struct sb_keeper *k, const struct sb_keeper_options *options,
                    void (*on_word)(void *arg, const struct sb_keeper_packet *p), void *arg)
{
    *k = (struct sb_keeper){ .options = options,
                             .pace = { .restarts = options->restarts, .window_ms = options->window_ms },
                             .channel = SOCKBROKER_SOCKET_NONE,
                             .peer = SOCKBROKER_SOCKET_NONE,
                             .start_at_ms = 1,
                             .on_word = on_word,
                             .arg = arg };
}

/* ---- life and death of a broker ---- */

void sb_keeper_begin(struct sb_keeper *k, sockbroker_socket *channel, sockbroker_socket peer)
{
    k->start_at_ms = 0;
    k->is_ready = false;
    k->channel = sb_socket_take(channel);
    k->peer = peer;
    k->handing_over = true;
    k->next = k->items;
    sb_keeper_items_mark(k->items, false);
}

void sb_keeper_end(struct sb_keeper *k, int code)
{
    k->is_over = true;
    k->exit_code = code;
}

static uint32_t random_number(void)
{
    uint32_t r = 0;

    sb_secret_fill(&r, sizeof(r)); /* failing, it is no spread */
    return r;
}

void sb_keeper_failed(struct sb_keeper *k, const char *cause, int code)
{
    uint64_t delay_ms = 0;
    uint64_t now_ms = sb_clock_ms();

    if (!sb_pace_died(&k->pace, now_ms, random_number(), &delay_ms)) {
        sb_keeper_note(SB_LOG_ERROR, "keeper_gives_up",
                       "cause=\"%s\" restarts=%u window_ms=%u exit=%d cure=\"see what it said last\"", cause,
                       k->options->restarts, k->options->window_ms, code);
        sb_keeper_end(k, code);
        return;
    }
    sb_keeper_note(SB_LOG_ERROR, "broker_died", "cause=\"%s\" kept=%zu restart_in_ms=%llu", cause,
                   sb_keeper_items_count(k->items), (unsigned long long)delay_ms);
    k->start_at_ms = now_ms + delay_ms;
}

void sb_keeper_ended(struct sb_keeper *k, bool is_documented, const char *cause, int code)
{
    if (k->is_stopping || (is_documented && (k->is_ready || !k->was_ready)))
        sb_keeper_end(k, code);
    else
        sb_keeper_failed(k, cause, code);
}

void sb_keeper_leave(struct sb_keeper *k)
{
    k->handing_over = false;
    sb_keeper_listen(k);
    sb_socket_close(&k->channel);
    k->peer = SOCKBROKER_SOCKET_NONE;
}

/* ---- what the broker says ---- */

static void set_ready(struct sb_keeper *k)
{
    k->is_ready = true;
    k->was_ready = true;
    sb_keeper_items_drop_stale(&k->items);
}

static void hear(struct sb_keeper *k, struct sb_keeper_packet *p)
{
    switch (p->word) {
    case SB_KEEPER_PUT:
        if (p->passenger != SOCKBROKER_SOCKET_NONE && sb_keeper_items_put(&k->items, p->label, &p->passenger))
            sb_keeper_note(SB_LOG_ERROR, "not_kept", "label=%s cause=\"out of memory\"", p->label);
        break;
    case SB_KEEPER_DROP:
        sb_keeper_items_drop(&k->items, p->label);
        break;
    case SB_KEEPER_READY:
        set_ready(k);
        k->on_word(k->arg, p);
        break;
    case SB_KEEPER_RENAME:
        sb_keeper_items_mark(k->items, true);
        break;
    case SB_KEEPER_FOLLOW:
    case SB_KEEPER_BARRIER:
        k->on_word(k->arg, p);
        break;
    case SB_KEEPER_END:
        break;
    }
    sb_socket_close(&p->passenger);
}

void sb_keeper_listen(struct sb_keeper *k)
{
    struct sb_keeper_packet p;
    sockbroker_status st;

    if (k->handing_over || k->channel == SOCKBROKER_SOCKET_NONE)
        return;
    while (!(st = sb_keeper_receive(k->channel, &p)) || st == SOCKBROKER_BAD_MESSAGE || st == SOCKBROKER_NO_DESCRIPTORS) {
        if (!st)
            hear(k, &p);
        else
            sb_keeper_note(SB_LOG_ERROR, "not_kept",
                           "cause=\"%s\" cure=\"raise the descriptor limit (ulimit -n, LimitNOFILE)\"",
                           sockbroker_status_text(st));
    }
    if (st != SOCKBROKER_AGAIN)
        sb_socket_close(&k->channel); /* nobody is there to speak any more; its end is seen by the process */
}

/* Nothing is dropped before all is handed over. */
bool sb_keeper_hand_over(struct sb_keeper *k)
{
    sockbroker_status st = SOCKBROKER_OK;

    while (k->handing_over && !st) {
        st = k->next ? sb_keeper_send(k->channel, k->peer, SB_KEEPER_PUT, k->next->label, k->next->descriptor)
                     : sb_keeper_send(k->channel, k->peer, SB_KEEPER_END, "", SOCKBROKER_SOCKET_NONE);
        if (st)
            break;
        k->handing_over = k->next != NULL;
        k->next = k->next ? k->next->next : NULL;
    }
    if (st && st != SOCKBROKER_AGAIN && st != SOCKBROKER_BUSY)
        k->handing_over = false; /* it is gone: its end says more */
    return st != SOCKBROKER_BUSY;
}

/* ---- time ---- */

bool sb_keeper_is_due(const struct sb_keeper *k)
{
    return k->start_at_ms && sb_clock_ms() >= k->start_at_ms;
}

int sb_keeper_wait_ms(const struct sb_keeper *k, bool is_busy)
{
    uint64_t now_ms = sb_clock_ms();

    if (is_busy)
        return BUSY_MS;
    if (!k->start_at_ms)
        return -1;
    return k->start_at_ms > now_ms ? (int)(k->start_at_ms - now_ms) : 0;
}
