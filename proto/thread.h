/* thread.h: lock, condition and thread, the same on both systems. thread.c uses nng's, which is in the house anyway. */
#ifndef SB_PROTO_THREAD_H
#define SB_PROTO_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "sockbroker/status.h"

struct sb_lock; /* a mutex and one condition */
struct sb_thread;

/* OK or NO_MEMORY. */
sockbroker_status sb_lock_create(struct sb_lock **lock_out);
void sb_lock_destroy(struct sb_lock *lock); /* NULL is allowed */
void sb_lock_take(struct sb_lock *lock);
void sb_lock_drop(struct sb_lock *lock);

/* With the lock taken. wait lets go of it meanwhile and returns when woken, or after timeout_ms (-1: never). */
void sb_lock_wait(struct sb_lock *lock, int64_t timeout_ms);
void sb_lock_wake(struct sb_lock *lock);

sockbroker_status sb_thread_create(void (*run)(void *), void *arg, struct sb_thread **thread_out);
void sb_thread_join(struct sb_thread *thread); /* waits for its end and frees it; NULL is allowed */

uint32_t sb_process_id(void);

/* A number that is another one in a forked child; 0 only before the first call. Costs no system call after the first. */
unsigned sb_process_epoch(void);

#endif
