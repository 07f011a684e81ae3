/* inherited_handles_win32.h: what a child process inherits: three standard handles, perhaps one more, and nothing else,
 * whatever happens to be inheritable.
 */
#ifndef SB_BROKER_INHERITED_HANDLES_WIN32_H
#define SB_BROKER_INHERITED_HANDLES_WIN32_H

#include <winsock2.h>

#include <windows.h>

#include <stdbool.h>

struct sb_inherited_handles {
    HANDLE standard[3]; /* input, output, error: copies of ours, or nowhere */
    HANDLE all[4];
    LPPROC_THREAD_ATTRIBUTE_LIST list;
};

/* has_input: our standard input too, else it reads from nowhere. more: inheritable, lent, or NULL. False: GetLastError(); close
 * it all the same. */
bool sb_inherited_handles_open(struct sb_inherited_handles *h, bool has_input, HANDLE more);

/* For CreateProcessW() with EXTENDED_STARTUPINFO_PRESENT. */
STARTUPINFOEXW sb_inherited_handles_use(const struct sb_inherited_handles *h);

/* All zero is allowed. */
void sb_inherited_handles_close(struct sb_inherited_handles *h);

#endif
