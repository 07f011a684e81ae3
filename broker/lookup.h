/* lookup.h: which addresses of one family a name has, asked of the system's resolver without keeping the loop waiting.
 *
 * The resolver runs on a thread of libuv's pool. libuv lets half of them (of 4, unless UV_THREADPOOL_SIZE says otherwise) ask
 * at a time; the others queue. One that runs cannot be stopped: when cancelled it is left to finish, and its answer dropped; a
 * loop that is to end waits for it.
 */
#ifndef SB_BROKER_LOOKUP_H
#define SB_BROKER_LOOKUP_H

#include <stddef.h>
#include <uv.h>

#include "sockbroker/socket.h"

#define SB_LOOKUP_HOST_MAX 255 /* bytes of a name without the NUL: RFC 1035, section 2.3.4 */
#define SB_LOOKUP_MAX 8        /* addresses of one family; what the resolver says beyond is left out */

struct sb_lookup;

struct sb_lookup_answer {
    enum sockbroker_family family;
    struct sockbroker_addr addresses[SB_LOOKUP_MAX]; /* in the resolver's order, each once; port 0; never mapped */
    size_t n_addresses;
    struct sockbroker_error error; /* status OK, or why there are none: NOT_FOUND, NO_MEMORY, SYSTEM */
};

/* Called once, from the loop; the lookup is gone then. */
typedef void (*sb_lookup_answered)(void *arg, const struct sb_lookup_answer *answer);

/* A name as the resolver takes it: labels of 1 to 63 letters, digits, "-" and "_", joined by "." (another alphabet in its xn--
 * form, RFC 5891), whose last label is no number: the system would read 127.1 or 0x7f000001 as addresses (RFC 6943,
 * section 3.1.1; RFC 1123, section 2.1). OK, INVALID. */
sockbroker_status sb_lookup_check_host(const char *host, struct sockbroker_error *error_out);

/* OK, NO_MEMORY, SYSTEM. host is copied. */
sockbroker_status sb_lookup_start(uv_loop_t *loop, const char *host, enum sockbroker_family family, sb_lookup_answered answered,
                                  void *arg, struct sb_lookup **lookup_out);

/* No answer will come; NULL is allowed. */
void sb_lookup_cancel(struct sb_lookup *l);

#endif
