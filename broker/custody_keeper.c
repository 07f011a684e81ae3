#include "broker/custody_keeper.h"

#include "broker/keeper_pair.h"
#include "proto/clock.h"
#include "proto/error.h"
#include "proto/socket.h"

#define GIVING_MS 10000
#define PATIENCE_MS 100

static sockbroker_status take_packet(struct sb_given **list, struct sb_keeper_packet *p)
{
    sockbroker_status st = SOCKBROKER_OK;

    if (p->word == SB_KEEPER_PUT && p->passenger != SOCKBROKER_SOCKET_NONE)
        st = sb_given_add(list, p->label, &p->passenger);
    sb_socket_close(&p->passenger);
    return st;
}

sockbroker_status sb_custody_keeper_take(sockbroker_socket end, struct sb_given **list, struct sockbroker_error *error)
{
    uint64_t end_ms = sb_clock_ms() + GIVING_MS;
    struct sb_keeper_packet p = { .word = SB_KEEPER_PUT };
    sockbroker_status st = SOCKBROKER_OK;

    while (!st && p.word != SB_KEEPER_END) {
        st = sb_keeper_receive(end, &p);
        if (!st)
            st = take_packet(list, &p);
        else if (st == SOCKBROKER_AGAIN)
            st = sb_clock_ms() < end_ms ? SOCKBROKER_OK : SOCKBROKER_TIMEOUT;
        if (!st && p.word != SB_KEEPER_END)
            sb_keeper_pair_wait(end, false, PATIENCE_MS);
    }
    return st ? sb_error_set(error, st, 0, "what the keeper has kept did not come whole: %s", sockbroker_status_text(st))
              : SOCKBROKER_OK;
}

sockbroker_status sb_custody_keeper_tell(const struct sb_custody_link *l, enum sb_keeper_word word, const char *label,
                                         sockbroker_socket passenger)
{
    sockbroker_status st = sb_keeper_send(l->end, l->peer, word, label, passenger);

    if (st == SOCKBROKER_AGAIN && sb_keeper_pair_wait(l->end, true, PATIENCE_MS))
        st = sb_keeper_send(l->end, l->peer, word, label, passenger);
    return st;
}
