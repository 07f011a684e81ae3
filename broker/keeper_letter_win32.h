/* keeper_letter_win32.h: what a keeper tells the broker before it runs: memory that it inherits, whose handle is named in
 * SOCKBROKER_KEEPER.
 */
#ifndef SB_BROKER_KEEPER_LETTER_WIN32_H
#define SB_BROKER_KEEPER_LETTER_WIN32_H

#include <winsock2.h>

#include <windows.h>

#include "sockbroker/socket.h"

#define SB_SERVICE_NAME_MAX 256 /* of the service manager, without the NUL */

struct sb_keeper_letter {
    DWORD size;                               /* of this */
    WSAPROTOCOL_INFOW info;                   /* opens the broker's end of the pair, once */
    HANDLE keeper;                            /* the keeper's process, a handle of the broker's */
    BOOL is_next;                             /* there was a broker before */
    wchar_t service[SB_SERVICE_NAME_MAX + 1]; /* that the keeper runs as; empty: none */
};

/* The letter to this process; NULL: there is none, or none that can be read. */
const struct sb_keeper_letter *sb_keeper_letter(void);

/* Writes one. memory_out: inheritable, yours. Returns its view, or NULL; for UnmapViewOfFile(). */
struct sb_keeper_letter *sb_keeper_letter_make(HANDLE *memory_out);

/* How a broker that ends by itself tells so with its exit code: TerminateProcess() takes any code, and most who call it take 1.
 */
#define SB_KEEPER_DOCUMENTED 0x5b000000u

#endif
