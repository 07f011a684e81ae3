/* given.h: labelled descriptors that somebody has kept for this process. */
#ifndef SB_BROKER_GIVEN_H
#define SB_BROKER_GIVEN_H

#include "broker/keeper_link.h"

/* Before the name of one that came with the start of the keeper; "/" and a number follow. */
#define SB_GIVEN_PREFIX "given/"

struct sb_given {
    char label[SB_LABEL_MAX + 1];
    sockbroker_socket descriptor;
    struct sb_given *prev, *next;
};

/* The descriptor moves in on OK. OK, NO_MEMORY, INVALID (a label that is too long). */
sockbroker_status sb_given_add(struct sb_given **list, const char *label, sockbroker_socket *descriptor);

/* Takes it off the list; its descriptor is closed if nobody has taken it. */
void sb_given_remove(struct sb_given **list, struct sb_given *g);
void sb_given_clear(struct sb_given **list);

#endif
