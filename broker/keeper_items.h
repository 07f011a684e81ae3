/* keeper_items.h: what the keeper keeps: labels, and the descriptor that each stands for. */
#ifndef SB_BROKER_KEEPER_ITEMS_H
#define SB_BROKER_KEEPER_ITEMS_H

#include <stddef.h>

#include "sockbroker/socket.h"

struct sb_keeper_item {
    sockbroker_socket descriptor;
    bool is_stale; /* the broker that follows has not named it yet */
    struct sb_keeper_item *prev, *next;
    char label[]; /* NUL-terminated */
};

/* The descriptor moves in on OK; one that had the label before is closed. OK, NO_MEMORY. */
sockbroker_status sb_keeper_items_put(struct sb_keeper_item **list, const char *label, sockbroker_socket *descriptor);

/* Nothing happens when there is none. */
void sb_keeper_items_drop(struct sb_keeper_item **list, const char *label);

/* A broker that follows begins to say what it has (is_stale); what it has not put when it is ready is dropped, which returns
 * how many. Not stale: it ended before that, and nothing is dropped. */
void sb_keeper_items_mark(struct sb_keeper_item *list, bool is_stale);
size_t sb_keeper_items_drop_stale(struct sb_keeper_item **list);

size_t sb_keeper_items_count(const struct sb_keeper_item *list);
void sb_keeper_items_clear(struct sb_keeper_item **list);

#endif
