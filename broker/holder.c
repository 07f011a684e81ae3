#include "broker/holder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/custody.h"
#include "broker/listener.h"
#include "broker/session.h"

struct sb_holder *sb_holder_find(struct sb_listener *l, const struct sb_session *s)
{
    struct sb_holder *h;

    DL_FOREACH(l->holders, h) {
        if (h->session == s)
            return h;
    }
    return NULL;
}

sockbroker_status sb_holder_add(struct sb_listener *l, struct sb_session *s)
{
    if (sb_holder_find(l, s))
        return SOCKBROKER_OK;
    struct sb_holder *h = calloc(1, sizeof(*h));
    if (!h)
        return SOCKBROKER_NO_MEMORY;
    h->session = s;
    h->listener = l;
    DL_APPEND(l->holders, h);
    DL_APPEND2(s->holdings, h, session_prev, session_next);
    return SOCKBROKER_OK;
}

void sb_holder_remove(struct sb_holder *h)
{
    DL_DELETE(h->listener->holders, h);
    DL_DELETE2(h->session->holdings, h, session_prev, session_next);
    free(h);
}

void sb_holders_forget_session(struct sb_session *s)
{
    if (s->holdings)
        sb_custody_note(s->broker);
    while (s->holdings) {
        struct sb_listener *l = s->holdings->listener;

        memcpy(l->last_holder, s->name, sizeof(l->last_holder));
        sb_holder_remove(s->holdings);
    }
}

void sb_holders_forget_listener(struct sb_listener *l)
{
    while (l->holders)
        sb_holder_remove(l->holders);
}

const char *sb_holders_name(const struct sb_listener *l, char *out, size_t out_size)
{
    const struct sb_holder *h;
    size_t at = 0;

    if (!l->holders) {
        snprintf(out, out_size, l->last_holder[0] ? "%s, gone now" : "nobody", l->last_holder);
        return out;
    }
    if (!l->holders->next) {
        snprintf(out, out_size, "%s", l->holders->session->name);
        return out;
    }
    DL_FOREACH(l->holders, h) {
        if (at < out_size)
            at += (size_t)snprintf(out + at, out_size - at, "%s%s", at ? ", " : "one of ", h->session->name);
    }
    return out;
}
