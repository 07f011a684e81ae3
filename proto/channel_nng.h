/* channel_nng.h: what both sides of the channel need of nng. Only channel_*.c include this. */
#ifndef SB_PROTO_CHANNEL_NNG_H
#define SB_PROTO_CHANNEL_NNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nng/nng.h>

#include "proto/channel.h"

/* ---- what differs between the systems: channel_posix.c, channel_win32.c ---- */

/* The process at the other end; UINT32_MAX for what the system does not say. */
struct sb_nng_peer {
    uint32_t uid, gid, pid;
};
void sb_nng_identify(nng_pipe pipe, struct sb_nng_peer *peer_out);

/* Before the listener starts: who may connect. POSIX: the path says. guard_out is kept until the listener is closed. */
sockbroker_status sb_nng_guard(nng_listener listener, const struct sb_server_options *options, void **guard_out,
                               struct sockbroker_error *error_out);
void sb_nng_unguard(void *guard); /* NULL is allowed */

/* Before anything is said to a server: whom_out tells who it is when the answer is no. */
bool sb_nng_trusts_server(nng_pipe pipe, char *whom_out, size_t size);

/* ---- the same on both ---- */

/* "ipc://" and the path, as nng wants it on this system. Returns url_out. */
const char *sb_nng_url(const char *path, char *url_out, size_t url_size);

sockbroker_status sb_nng_status(int code);

/* Sets "WHAT: nng's text" with the cure we know, and returns the status. */
sockbroker_status sb_nng_error(struct sockbroker_error *error_out, int code, const char *what);

#endif
