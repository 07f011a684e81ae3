/* takeover_build.h: a broker's things made from the messages of the broker before. */
#ifndef SB_BROKER_TAKEOVER_BUILD_H
#define SB_BROKER_TAKEOVER_BUILD_H

#include "broker/broker.h"
#include "broker/takeover_link.h"

/* What is between two messages: the deposit whose state comes; the group and the generation that are made. */
struct sb_takeover_building {
    struct sb_broker *broker;
    struct sb_kept *deposit;
    struct sb_group *group;
    struct sb_generation *generation;
};

/* One message that is neither Hello, nor Step, nor Failed. socks: what came with it; what is used is moved out.
 * OK, BAD_MESSAGE (it names what is not there), NO_MEMORY and others; then nothing of it all may be used. */
sockbroker_status sb_takeover_build(struct sb_takeover_building *t, const struct sb_takeover *message, sockbroker_socket *socks,
                                    struct sockbroker_error *error_out);

/* After the last one, or the last that came. */
void sb_takeover_built(struct sb_broker *b);

/* Once the broker serves: sockets that the configuration does not have any more are emptied and closed. */
void sb_takeover_close_surplus(struct sb_broker *b);

#endif
