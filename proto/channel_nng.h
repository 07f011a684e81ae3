/* channel_nng.h: what both sides of the channel need of nng. Only channel_*.c include this. */
#ifndef SB_PROTO_CHANNEL_NNG_H
#define SB_PROTO_CHANNEL_NNG_H

#include <stddef.h>

#include "sockbroker/status.h"

/* "ipc://" and the path, as nng wants it on this system. Returns url_out. */
const char *sb_nng_url(const char *path, char *url_out, size_t url_size);

sockbroker_status sb_nng_status(int code);

/* Sets "WHAT: nng's text" with the cure we know, and returns the status. */
sockbroker_status sb_nng_error(struct sockbroker_error *error_out, int code, const char *what);

#endif
