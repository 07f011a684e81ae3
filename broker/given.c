#include "broker/given.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "proto/socket.h"

sockbroker_status sb_given_add(struct sb_given **list, const char *label, sockbroker_socket *descriptor)
{
    size_t size = strlen(label) + 1;
    struct sb_given *g = size <= sizeof(g->label) ? calloc(1, sizeof(*g)) : NULL;

    if (!g)
        return size <= sizeof(g->label) ? SOCKBROKER_NO_MEMORY : SOCKBROKER_INVALID;
    memcpy(g->label, label, size);
    g->descriptor = sb_socket_take(descriptor);
    DL_APPEND(*list, g);
    return SOCKBROKER_OK;
}

void sb_given_remove(struct sb_given **list, struct sb_given *g)
{
    DL_DELETE(*list, g);
    sb_socket_close(&g->descriptor);
    free(g);
}

void sb_given_clear(struct sb_given **list)
{
    while (*list)
        sb_given_remove(list, *list);
}
