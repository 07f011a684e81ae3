/* The order "move": deposits that go through many hands, some of which are killed. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/support/format.h"
#include "tests/support/kit_mover.h"
#include "tests/support/kit_state.h"
#include "tests/support/net.h"

static uint8_t state[SOCKBROKER_STATE_MAX];

static void wrong(struct kit_moves_page *page, const char *format, ...)
{
    char text[sizeof(page->wrong)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (atomic_fetch_add(&page->n_wrong, 1) == 0)
        format_text(page->wrong, sizeof(page->wrong), "%s", text);
    printf("wrong: %s\n", text);
}

static void enter(struct kit_mover *m, enum kit_phase phase)
{
    atomic_store(&m->page->movers[m->slot].phase, (unsigned)phase);
}

static void count(struct kit_mover *m)
{
    atomic_fetch_add(&m->page->n_moves, 1);
    atomic_fetch_add(&m->page->movers[m->slot].n_moves, 1);
}

static void check(struct kit_mover *m, unsigned i, const char *name, unsigned number, size_t len)
{
    long unread = net_unread(m->sock);

    if (atomic_fetch_add(&m->page->taken[i], 1) != number - 1)
        wrong(m->page, "%s: somebody else has it", name);
    if (len != kit_moves_state_len(number) || !kit_state_is_whole(name, number, state, len))
        wrong(m->page, "%s: %zu bytes that are not its state %u", name, len, number);
    if (unread != KIT_MOVES_UNREAD)
        wrong(m->page, "%s: %ld bytes unread", name, unread);
}

/* False: somebody else has it, or is at it. */
static bool take_out(struct kit_mover *m, unsigned i, const char *name)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error;
    size_t len = 0;

    atomic_store(&m->page->movers[m->slot].name, i);
    enter(m, KIT_WITHDRAWING);
    sockbroker_status st = sockbroker_worker_withdraw(m->worker, name, &conn, state, sizeof(state), &len, &error);
    if (st) {
        enter(m, KIT_IDLE);
        if (st != SOCKBROKER_BUSY && st != SOCKBROKER_NOT_FOUND)
            wrong(m->page, "%s: withdraw gave %s", name, error.text);
        return false;
    }
    m->sock = conn.sock;
    check(m, i, name, atomic_load(&m->page->taken[i]) + 1, len);
    enter(m, KIT_HOLDING);
    count(m);
    return true;
}

static void put_back(struct kit_mover *m, unsigned i, const char *name)
{
    struct sockbroker_deposit d = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error;
    unsigned number = atomic_load(&m->page->taken[i]) + 1;

    d.name = name;
    d.sock = m->sock;
    d.state = state;
    d.state_len = kit_moves_state_len(number);
    d.lifetime_ms = 3600000;
    kit_state_fill(name, number, state, d.state_len);
    enter(m, KIT_DEPOSITING);
    if (sockbroker_worker_deposit(m->worker, &d, &error))
        wrong(m->page, "%s: deposit gave %s", name, error.text);
    net_close(&m->sock);
    enter(m, KIT_IDLE);
    count(m);
}

void kit_mover_move(struct kit_mover *m, unsigned n)
{
    char name[16];

    for (unsigned i = 3 * m->slot, done = 0; done < n; i++) {
        format_text(name, sizeof(name), "m%u", i % KIT_MOVES_NAMES);
        if (!take_out(m, i % KIT_MOVES_NAMES, name))
            continue;
        put_back(m, i % KIT_MOVES_NAMES, name);
        done++;
    }
}
