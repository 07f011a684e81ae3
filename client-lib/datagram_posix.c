#include "client-lib/datagram.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

#include "sockbroker/addr.h"

const char *sb_datagram_claim(sockbroker_socket sock, bool reuseport)
{
    int on = 1;

    return reuseport && setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ? "SO_REUSEPORT on" : NULL;
}

void sb_datagram_ask_buffer(sockbroker_socket sock, uint32_t bytes)
{
    int wanted = bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)bytes;

    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)))
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
}

uint32_t sb_datagram_buffer(sockbroker_socket sock)
{
    int bytes = 0;
    socklen_t len = sizeof(bytes);

    getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
    return (uint32_t)bytes / 2; /* Linux doubles what was asked, for its own bookkeeping: socket(7) */
}

void sb_datagram_disconnect(sockbroker_socket sock, enum sockbroker_family family)
{
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };

    (void)family;
    connect(sock, &nobody, sizeof(nobody));
}

bool sb_datagram_is_shut_for_receiving(sockbroker_socket sock)
{
    struct pollfd p = { .fd = sock, .events = POLLRDHUP };

    return poll(&p, 1, 0) < 0 || (p.revents & (POLLRDHUP | POLLHUP | POLLNVAL));
}

/* Linux looks at the shutdown before it finds that the data cannot be read. */
bool sb_datagram_is_shut_for_sending(sockbroker_socket sock, const struct sockbroker_addr *to, bool *told_out)
{
    const void *unreadable = (const void *)(uintptr_t)1;
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(to, &sa);
    ssize_t n = sendto(sock, unreadable, 1, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&sa, len);

    *told_out = n < 0 && errno == EFAULT;
    return n < 0 && errno == EPIPE;
}
