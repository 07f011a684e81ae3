#include <stdlib.h>

#include <winsock2.h>
#include <windows.h>

#include "tests/support/kit_watch.h"
#include "tests/support/net.h"

#define SOCKETS_MAX 65
#define LOOK_MS 50 /* for sockets that were added meanwhile */

static SRWLOCK lock = SRWLOCK_INIT;
static sockbroker_socket sockets[SOCKETS_MAX];
static size_t n_sockets;
static size_t turn; /* who is looked at first, so that none starves */

void kit_watch_begin(void)
{
    n_sockets = 0;
}

void kit_watch_end(void)
{
    n_sockets = 0;
}

void kit_watch_add(sockbroker_socket sock, bool is_shared)
{
    (void)is_shared;
    AcquireSRWLockExclusive(&lock);
    if (n_sockets == SOCKETS_MAX)
        abort();
    sockets[n_sockets++] = sock;
    ReleaseSRWLockExclusive(&lock);
}

void kit_watch_drop(sockbroker_socket sock)
{
    AcquireSRWLockExclusive(&lock);
    for (size_t i = n_sockets; i-- > 0;) {
        if (sockets[i] == sock)
            sockets[i] = sockets[--n_sockets];
    }
    ReleaseSRWLockExclusive(&lock);
}

static size_t copy(struct net_event *events)
{
    AcquireSRWLockShared(&lock);
    size_t n = n_sockets;
    for (size_t i = 0; i < n; i++)
        events[i] = (struct net_event){ .sock = sockets[i] };
    ReleaseSRWLockShared(&lock);
    return n;
}

bool kit_watch_wait(int ms, sockbroker_socket *ready_out)
{
    struct net_event events[SOCKETS_MAX];

    for (int waited = 0;; waited += LOOK_MS) {
        size_t n = copy(events);

        if (net_wait(events, n, ms < LOOK_MS ? ms : LOOK_MS)) {
            while (!events[turn++ % n].is_ready)
                continue;
            *ready_out = events[(turn - 1) % n].sock;
            return true;
        }
        if (waited + LOOK_MS >= ms)
            return false;
    }
}
