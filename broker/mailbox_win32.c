/* There are no pairs here: what workers report comes by messages, each of which wakes the loop. */
#include "broker/mailbox.h"

#include <stdlib.h>

struct sb_mailbox {
    struct sb_broker *broker;
};

sockbroker_status sb_mailbox_open(struct sb_broker *b, struct sb_mailbox **mailbox_out)
{
    struct sb_mailbox *m = calloc(1, sizeof(*m));

    if (!m)
        return SOCKBROKER_NO_MEMORY;
    m->broker = b;
    *mailbox_out = m;
    return SOCKBROKER_OK;
}

void sb_mailbox_close(struct sb_mailbox *m)
{
    free(m);
}

sockbroker_status sb_mailbox_add(struct sb_mailbox *m, struct sb_session *s)
{
    (void)m;
    (void)s;
    return SOCKBROKER_UNSUPPORTED;
}

void sb_mailbox_remove(struct sb_mailbox *m, struct sb_session *s)
{
    (void)m;
    (void)s;
}

void sb_mailbox_want_writable(struct sb_mailbox *m, struct sb_session *s, bool wanted)
{
    (void)m;
    (void)s;
    (void)wanted;
}

void sb_mailbox_expect(struct sb_mailbox *m, struct sb_session *s, bool expected)
{
    (void)m;
    (void)s;
    (void)expected;
}

void sb_mailbox_collect(struct sb_mailbox *m)
{
    (void)m;
}
