/* resolve.h: the addresses of a host, as the system's resolver tells them. */
#ifndef SB_BROKER_RESOLVE_H
#define SB_BROKER_RESOLVE_H

#include <stddef.h>

#include "sockbroker/socket.h"

/* Waits for the resolver, so it is nothing for the loop. host: a name, or an address as text (fe80::1%eth0). All addresses of
 * both families, also of one that this machine has no address of; each once, port 0, in the resolver's order.
 * OK, NOT_FOUND (the host has no address), TIMEOUT (the resolver got no answer), UNSUPPORTED (more than max), NO_MEMORY,
 * SYSTEM. */
sockbroker_status sb_resolve(const char *host, struct sockbroker_addr *list_out, size_t max, size_t *n_out,
                             struct sockbroker_error *error_out);

#endif
