/* A file here may be a console, a pipe or a disk's, and only the last could be waited for together with a socket: so a thread
 * reads the input, and this one does the rest. */
#include "broker/pump.h"

#include <winsock2.h>

#include <io.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define ROOM 65536
#define LOOK_MS 100   /* how often a thread that waits for the peer looks whether all is over */
#define LEAVE_MS 1000 /* how long a thread that cannot be called back from its file is waited for */

struct pump {
    HANDLE in;
    sockbroker_socket conn;
    CRITICAL_SECTION lock; /* of what follows, and of the use of conn by the thread */
    bool over;             /* conn is the caller's again */
    int up_code;           /* why not all of the input went */
    const char *up_what;
    char bytes[ROOM];
};

/* ---- up: the thread ---- */

static void note(struct pump *p, int code, const char *what)
{
    p->up_code = code;
    p->up_what = what;
}

/* Sends some of it. False: there is nobody to send it to. */
static bool send_some(struct pump *p, const char *bytes, DWORD len, DWORD *sent)
{
    EnterCriticalSection(&p->lock);
    bool goes_on = !p->over;
    int n = goes_on ? send(p->conn, bytes, (int)len, 0) : 0;
    int code = n < 0 ? WSAGetLastError() : 0;

    if (code && code != WSAEWOULDBLOCK) {
        note(p, code, "the connection does not take all of the input");
        goes_on = false;
    }
    LeaveCriticalSection(&p->lock);
    *sent = n > 0 ? (DWORD)n : 0;
    return goes_on;
}

static bool send_all(struct pump *p, DWORD len)
{
    DWORD at = 0, sent;

    while (at < len) {
        WSAPOLLFD writable = { .fd = p->conn, .events = POLLOUT };

        if (!send_some(p, p->bytes + at, len - at, &sent))
            return false;
        at += sent;
        if (!sent)
            WSAPoll(&writable, 1, LOOK_MS);
    }
    return true;
}

static void end_up(struct pump *p, DWORD code)
{
    EnterCriticalSection(&p->lock);
    if (!p->over && code && code != ERROR_BROKEN_PIPE && code != ERROR_HANDLE_EOF)
        note(p, (int)code, "standard input");
    if (!p->over)
        shutdown(p->conn, SD_SEND);
    LeaveCriticalSection(&p->lock);
}

static DWORD WINAPI send_input(LPVOID arg)
{
    struct pump *p = arg;
    DWORD n = 0;

    for (;;) {
        BOOL ok = ReadFile(p->in, p->bytes, ROOM, &n, NULL);

        if (!ok || !n) {
            end_up(p, ok ? 0 : GetLastError());
            return 0;
        }
        if (!send_all(p, n))
            return 0;
    }
}

/* ---- down ---- */

static sockbroker_status write_all(HANDLE out, const char *bytes, DWORD len, struct sockbroker_error *error)
{
    while (len) {
        DWORD n = 0;

        if (!WriteFile(out, bytes, len, &n, NULL)) {
            int code = (int)GetLastError();

            if (code == ERROR_BROKEN_PIPE || code == ERROR_NO_DATA)
                return sb_error_set(error, SOCKBROKER_CLOSED, code, "standard output: its reader has closed it");
            return sb_oserr_set(error, code, "standard output", "give it something that can be written");
        }
        bytes += n;
        len -= n;
    }
    return SOCKBROKER_OK;
}

/* Until the peer has sent its end. */
static sockbroker_status receive_all(sockbroker_socket conn, HANDLE out, struct sockbroker_error *error)
{
    char bytes[ROOM / 4];
    sockbroker_status st = SOCKBROKER_OK;

    while (!st) {
        WSAPOLLFD readable = { .fd = conn, .events = POLLIN };

        WSAPoll(&readable, 1, -1);
        int n = recv(conn, bytes, sizeof(bytes), 0);
        if (n == 0)
            return SOCKBROKER_OK;
        if (n > 0)
            st = write_all(out, bytes, (DWORD)n, error);
        else if (WSAGetLastError() != WSAEWOULDBLOCK)
            st = sb_oserr_set(error, WSAGetLastError(), "the connection", "see what its peer says about it");
    }
    return st;
}

/* ---- both ---- */

/* False: the thread is still in its file, and all of this stays until the process ends. */
static bool end_thread(struct pump *p, HANDLE thread)
{
    EnterCriticalSection(&p->lock);
    p->over = true;
    LeaveCriticalSection(&p->lock);
    CancelSynchronousIo(thread);
    bool ended = WaitForSingleObject(thread, LEAVE_MS) == WAIT_OBJECT_0;
    CloseHandle(thread);
    return ended;
}

static sockbroker_status run(struct pump *p, HANDLE out, struct sockbroker_error *error, bool *ended_out)
{
    HANDLE thread = CreateThread(NULL, 0, send_input, p, 0, NULL);

    *ended_out = true;
    if (!thread)
        return sb_oserr_set(error, (int)GetLastError(), "a thread for the input", "try again");
    sockbroker_status st = receive_all(p->conn, out, error);
    *ended_out = end_thread(p, thread);
    if (!st && p->up_what)
        st = sb_oserr_set(error, p->up_code, p->up_what, "see what its peer says about it");
    return st;
}

sockbroker_status sb_pump_run(int in, int out, sockbroker_socket conn, struct sockbroker_error *error_out)
{
    struct pump *p = calloc(1, sizeof(*p));
    bool ended;

    if (!p)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for copying");
    p->in = (HANDLE)_get_osfhandle(in);
    p->conn = conn;
    InitializeCriticalSection(&p->lock);
    sb_socket_set_nonblocking(conn, true);
    sockbroker_status st = run(p, (HANDLE)_get_osfhandle(out), error_out, &ended);
    if (ended) {
        DeleteCriticalSection(&p->lock);
        free(p);
    }
    return st;
}
