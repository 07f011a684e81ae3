/* sid_win32.h: accounts of Windows (SIDs) as the small numbers that stand for users everywhere else.
 *
 * A number means something in this process only, but for two. 0 is SYSTEM, and any other account's process that acts as
 * administrator: like root, they may do everything anyway. 1000 is the process's own account, also when it is an
 * administrator's: what a broker notes of it, the one that comes after a crash understands. Any thread may call.
 */
#ifndef SB_PROTO_SID_WIN32_H
#define SB_PROTO_SID_WIN32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/socket.h"

#define SB_SID_TEXT_MAX 192 /* with the NUL: "S-1-" and 15 parts of at most 11 characters */

/* Our own account. UINT32_MAX when the system does not say. */
uint32_t sb_sid_own(void);

/* Who runs that process. OK, PERMISSION, NO_MEMORY, SYSTEM. */
sockbroker_status sb_sid_of_process(sockbroker_socket process, uint32_t *number_out);

/* "S-1-5-21-..." or the name of an account or well-known group, "alice", "DOMAIN\\alice". OK; NOT_FOUND; NO_MEMORY. */
sockbroker_status sb_sid_read(const char *text, uint32_t *number_out);

/* "S-1-5-18". "?" for a number that was never given. Returns text_out. */
const char *sb_sid_text(uint32_t number, char text_out[SB_SID_TEXT_MAX]);

/* "DOMAIN\\alice", or the text of the SID when it has no name. Returns text_out. */
const char *sb_sid_name(uint32_t number, char *text_out, size_t size);

/* May a process of ours obey or trust one of this account: our own, SYSTEM, an administrator? */
bool sb_sid_is_trusted(uint32_t number);

/* The owner of the object behind the handle (opened with READ_CONTROL). */
sockbroker_status sb_sid_of_owner(sockbroker_socket object, uint32_t *number_out);

#endif
