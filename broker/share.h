/* share.h: sockets of an endpoint that workers use themselves: listening ones (mode share, shard), and UDP.
 */
#ifndef SB_BROKER_SHARE_H
#define SB_BROKER_SHARE_H

#include "broker/broker.h"
#include "proto/channel.h"

struct sb_listener;
struct sb_session;

/* The socket goes away: what was granted of it and not fetched yet, too. */
void sb_share_forget(struct sb_listener *l);

/* The socket is of no use any more, to nobody: closes it, and tells the workers that have it to finish. */
void sb_share_lose(struct sb_listener *l, const char *cause);

/* A UDP socket that somebody shut down is replaced as soon as it can be. Meanwhile there is none. */
void sb_share_keep_datagram(struct sb_listener *l);

/* A worker asks for one; answers the call. */
void sb_share(struct sb_session *s, const struct sb_share *request, struct sb_call *call);

#endif
