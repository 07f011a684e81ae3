#include "tests/unit/unit.h"

#include <stdlib.h>

#include "proto/oserr.h"
#include "proto/socket.h"
#include "tests/support/format.h"

/* ---- handles ---- */

#define HANDLES_LISTED 16384 /* the system counts in fours from 4 on */

static int n_before;

int unit_count_descriptors(void)
{
    DWORD n = 0;

    return GetProcessHandleCount(GetCurrentProcess(), &n) ? (int)n : -1;
}

int unit_setup(void **state)
{
    (void)state;
    if (sb_socket_prepare())
        return -1;
    n_before = unit_count_descriptors();
    return n_before < 0 ? -1 : 0;
}

static bool is_as_before(void *arg)
{
    (void)arg;
    return unit_count_descriptors() <= n_before; /* the system closes some of its own late */
}

int unit_teardown(void **state)
{
    (void)state;
    if (unit_wait_for(is_as_before, NULL))
        return 0;
    print_error("%d handles before, %d now\n", n_before, unit_count_descriptors());
    return -1;
}

/* Asking every number there can be is slow and sure. */
int unit_count_sockets(void)
{
    int n = 0;

    for (uintptr_t h = 4; h < HANDLES_LISTED; h += 4)
        n += unit_is_open((SOCKET)h);
    return n;
}

static bool has_sockets(void *arg)
{
    return unit_count_sockets() == *(int *)arg;
}

bool unit_wait_sockets(int n)
{
    return unit_wait_for(has_sockets, &n);
}

/* ---- events ---- */

int unit_poll(sockbroker_socket sock, short events, int timeout_ms)
{
    WSAPOLLFD p = { .fd = sock, .events = events };

    return WSAPoll(&p, 1, timeout_ms) > 0 ? p.revents : 0;
}

bool unit_wait_readable(sockbroker_socket sock)
{
    return unit_poll(sock, POLLIN, UNIT_PATIENCE_MS) != 0;
}

bool unit_is_readable(sockbroker_socket sock)
{
    return unit_poll(sock, POLLIN, 0) != 0;
}

void unit_pause(void)
{
    Sleep(1);
}

/* ---- names of pipes ---- */

const char *unit_path(const char *name)
{
    static char paths[4][64];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    format_text(path, sizeof(paths[0]), "sb-unit-%lu-%s", GetCurrentProcessId(), name);
    return path;
}

/* ---- sockets ---- */

sockbroker_socket unit_socket(int family, int type)
{
    SOCKET sock = WSASocketW(family, type, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

    assert_true(sock != INVALID_SOCKET);
    return sock;
}

sockbroker_socket unit_accept(sockbroker_socket listener)
{
    SOCKET sock = accept(listener, NULL, NULL);

    if (sock != INVALID_SOCKET)
        SetHandleInformation((HANDLE)sock, HANDLE_FLAG_INHERIT, 0);
    return sock;
}

/* ---- environment ---- */

/* An empty variable is one that is not there. */
void unit_set_env(const char *name, const char *value)
{
    assert_int_equal(_putenv_s(name, value ? value : ""), 0);
}

/* ---- processes ---- */

void unit_require(bool truth, const char *what, const char *file, int line)
{
    char text[128];

    if (truth)
        return;
    print_error("%s (%s)\n", what, sb_oserr_text(sb_oserr_last(), text, sizeof(text)));
    _fail(file, line);
}
