#include "broker/keeper_items.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "proto/socket.h"

static struct sb_keeper_item *find(struct sb_keeper_item *list, const char *label)
{
    struct sb_keeper_item *i;

    DL_FOREACH(list, i) {
        if (!strcmp(i->label, label))
            return i;
    }
    return NULL;
}

static void forget(struct sb_keeper_item **list, struct sb_keeper_item *i)
{
    DL_DELETE(*list, i);
    sb_socket_close(&i->descriptor);
    free(i);
}

static struct sb_keeper_item *make(const char *label)
{
    size_t size = strlen(label) + 1;
    struct sb_keeper_item *i = calloc(1, sizeof(*i) + size);

    if (i)
        memcpy(i->label, label, size);
    return i;
}

sockbroker_status sb_keeper_items_put(struct sb_keeper_item **list, const char *label, sockbroker_socket *descriptor)
{
    struct sb_keeper_item *i = find(*list, label);

    if (i) {
        sb_socket_close(&i->descriptor);
    } else {
        i = make(label);
        if (!i)
            return SOCKBROKER_NO_MEMORY;
        DL_APPEND(*list, i);
    }
    i->descriptor = sb_socket_take(descriptor);
    i->is_stale = false;
    return SOCKBROKER_OK;
}

void sb_keeper_items_drop(struct sb_keeper_item **list, const char *label)
{
    struct sb_keeper_item *i = find(*list, label);

    if (i)
        forget(list, i);
}

void sb_keeper_items_mark(struct sb_keeper_item *list, bool is_stale)
{
    struct sb_keeper_item *i;

    DL_FOREACH(list, i)
        i->is_stale = is_stale;
}

size_t sb_keeper_items_drop_stale(struct sb_keeper_item **list)
{
    struct sb_keeper_item *i, *tmp;
    size_t n = 0;

    DL_FOREACH_SAFE(*list, i, tmp) {
        if (!i->is_stale)
            continue;
        forget(list, i);
        n++;
    }
    return n;
}

size_t sb_keeper_items_count(const struct sb_keeper_item *list)
{
    const struct sb_keeper_item *i;
    size_t n;

    DL_COUNT(list, i, n);
    return n;
}

void sb_keeper_items_clear(struct sb_keeper_item **list)
{
    while (*list)
        forget(list, *list);
}
