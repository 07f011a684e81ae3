/* oserr.h: the one place where the system's error codes become ours. */
#ifndef SB_PROTO_OSERR_H
#define SB_PROTO_OSERR_H

#include <stddef.h>

#include "sockbroker/status.h"

/* Of the last failed system call of this thread: errno, WSAGetLastError(). */
int sb_oserr_last(void);

/* What sb_oserr_last() says from now on, until a call fails. */
void sb_oserr_set_last(int os_code);

sockbroker_status sb_oserr_status(int os_code);

/* "EMFILE (Too many open files)". Returns text_out. */
const char *sb_oserr_text(int os_code, char *text_out, size_t text_size);

/* Sets "WHAT: TEXT OF THE CODE. CURE" and returns the status of the code. cure may be NULL. */
sockbroker_status sb_oserr_set(struct sockbroker_error *error, int os_code, const char *what, const char *cure);

#endif
