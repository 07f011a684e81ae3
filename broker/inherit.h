/* inherit.h: listening and UDP sockets that came from somebody else: the keeper, the service manager, or the broker before this
 * one.
 *
 * An endpoint that opens looks here first. A socket is taken for the endpoint of its name when it is exactly what the endpoint
 * asks for (family, type, address, port, IPV6_V6ONLY, and that it is bound to no interface); port 0 takes the port it has. What
 * nobody took is closed, and the log says so.
 */
#ifndef SB_BROKER_INHERIT_H
#define SB_BROKER_INHERIT_H

#include "broker/config.h"
#include "client-lib/listen.h"

#define SB_INHERIT_ANY_SLOT UINT32_MAX

/* What a socket is; of a shard, its slot in the group too. */
struct sb_inherited {
    char endpoint[SOCKBROKER_NAME_MAX + 1]; /* "": for any endpoint that asks for exactly this socket */
    enum sb_protocol protocol;
    struct sockbroker_addr addr; /* as bound */
    bool dual;
    uint32_t slot; /* SB_INHERIT_ANY_SLOT: not of a shard */
    sockbroker_socket sock;
    struct sb_inherited *prev, *next;
};

/* Looks at the socket (moves in on OK) and notes it. slot as above. OK, INVALID (it is no such socket; error says why),
 * NO_MEMORY. */
sockbroker_status sb_inherit_add(struct sb_inherited **list, const char *endpoint, uint32_t slot, sockbroker_socket *sock,
                                 struct sockbroker_error *error_out);

/* Is it just what this endpoint asks for? On a system without IPv6, 0.0.0.0 is what a dual [::] gets. */
bool sb_inherit_fits(const struct sb_inherited *s, const char *endpoint, enum sb_protocol protocol, uint32_t slot,
                     const struct sb_listen_request *request);

/* The one for this endpoint that is just so; its socket is yours. request->addr.port 0: any port, addr_out says which.
 * False: there is none. */
bool sb_inherit_take(struct sb_inherited **list, const char *endpoint, enum sb_protocol protocol, uint32_t slot,
                     const struct sb_listen_request *request, sockbroker_socket *sock_out, struct sockbroker_addr *addr_out);

/* What is left is closed and logged. */
void sb_inherit_close(struct sb_inherited **list);

#endif
