/* ticker.h: a clock that calls the loop.
 *
 * A libuv timer gives every sleep of the loop a time-out, and to arm and disarm that in the kernel for each connection cost as
 * much as accepting it (measured on a virtual machine, where it leaves the guest). POSIX: a timerfd, armed once.
 */
#ifndef SB_BROKER_TICKER_H
#define SB_BROKER_TICKER_H

#include <stdint.h>
#include <uv.h>

#include "sockbroker/status.h"

struct sb_ticker;

/* OK, NO_MEMORY, NO_DESCRIPTORS. */
sockbroker_status sb_ticker_open(uv_loop_t *loop, void (*on_tick)(void *arg), void *arg, struct sb_ticker **ticker_out);
void sb_ticker_close(struct sb_ticker *t); /* NULL is allowed; frees when the loop lets go */

/* After first_ms, and then every every_ms (0: once). first_ms 0: not any more. */
void sb_ticker_set(struct sb_ticker *t, uint32_t first_ms, uint32_t every_ms);

#endif
