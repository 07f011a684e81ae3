#include "watch.h"

#include <winsock2.h>

#define WATCHED_MAX 128

static WSAPOLLFD watched[WATCHED_MAX];
static unsigned n_watched, next;

bool watch_add(sockbroker_socket sock, bool exclusive)
{
    (void)exclusive; /* all wake; who comes late finds nothing */
    if (n_watched == WATCHED_MAX)
        return false;
    watched[n_watched++] = (WSAPOLLFD){ .fd = sock, .events = POLLRDNORM };
    return true;
}

void watch_remove(sockbroker_socket sock)
{
    for (unsigned i = 0; i < n_watched; i++) {
        if (watched[i].fd == sock)
            watched[i--] = watched[--n_watched];
    }
}

sockbroker_socket watch_wait(int timeout_ms)
{
    if (WSAPoll(watched, n_watched, timeout_ms) < 1)
        return SOCKBROKER_SOCKET_NONE;
    for (unsigned i = 0; i < n_watched; i++) {
        unsigned at = next++ % n_watched;
        if (watched[at].revents)
            return watched[at].fd;
    }
    return SOCKBROKER_SOCKET_NONE;
}

bool watch_has_room(sockbroker_socket sock, int timeout_ms)
{
    return WSAPoll(&(WSAPOLLFD){ .fd = sock, .events = POLLWRNORM }, 1, timeout_ms) > 0;
}
