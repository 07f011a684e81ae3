#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/net.h"

void net_start(void)
{
    signal(SIGPIPE, SIG_IGN);
}

sockbroker_socket net_open(int family, int type)
{
    return socket(family, type | SOCK_CLOEXEC, 0);
}

sockbroker_socket net_accept(sockbroker_socket listener)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

bool net_set_nonblocking(sockbroker_socket sock)
{
    int on = 1;

    return ioctl(sock, FIONBIO, &on) == 0;
}

bool net_set_option(sockbroker_socket sock, int level, int name, int value)
{
    return setsockopt(sock, level, name, &value, sizeof(value)) == 0;
}

bool net_get_option(sockbroker_socket sock, int level, int name, int *value_out)
{
    socklen_t len = sizeof(*value_out);

    return getsockopt(sock, level, name, value_out, &len) == 0;
}

bool net_share_port(sockbroker_socket sock)
{
    return net_set_option(sock, SOL_SOCKET, SO_REUSEPORT, 1);
}

long net_send(sockbroker_socket sock, const void *bytes, size_t len)
{
    return send(sock, bytes, len, MSG_NOSIGNAL);
}

long net_receive(sockbroker_socket sock, void *bytes, size_t room)
{
    return recv(sock, bytes, room, 0);
}

bool net_send_to(sockbroker_socket sock, const void *bytes, size_t len, const struct sockaddr_storage *to, socklen_t to_len)
{
    return sendto(sock, bytes, len, MSG_NOSIGNAL, (const struct sockaddr *)to, to_len) == (ssize_t)len;
}

long net_receive_from(sockbroker_socket sock, void *bytes, size_t room, struct sockaddr_storage *from_out, socklen_t *len_out)
{
    *len_out = sizeof(*from_out);
    return recvfrom(sock, bytes, room, 0, (struct sockaddr *)from_out, len_out);
}

long net_unread(sockbroker_socket sock)
{
    int n = 0;

    return ioctl(sock, FIONREAD, &n) ? -1 : n;
}

void net_close(sockbroker_socket *sock)
{
    int saved = errno;

    if (*sock >= 0)
        close(*sock);
    *sock = SOCKBROKER_SOCKET_NONE;
    errno = saved;
}

unsigned net_wait(struct net_event *events, size_t n, int ms)
{
    struct pollfd *fds = calloc(n + 1, sizeof(*fds));
    unsigned n_ready = 0;

    if (!fds)
        abort();
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){ .fd = events[i].sock, .events = events[i].wants_write ? POLLOUT : POLLIN };
    bool any = poll(fds, n, ms) > 0;
    for (size_t i = 0; i < n; i++) {
        events[i].is_ready = any && fds[i].revents;
        n_ready += events[i].is_ready;
    }
    free(fds);
    return n_ready;
}

int net_error(void)
{
    return errno;
}

const char *net_error_text(void)
{
    return strerror(errno);
}

bool net_is_pending(void)
{
    return errno == EAGAIN || errno == EINPROGRESS || errno == EINTR;
}

bool net_tells_resets(void)
{
    return true;
}

bool net_ends_reset(sockbroker_socket sock)
{
    char byte;

    return recv(sock, &byte, 1, 0) < 0 && errno == ECONNRESET;
}

bool net_is_reset(int code)
{
    return code == ECONNRESET;
}

bool net_is_inherited(sockbroker_socket sock)
{
    return !(fcntl(sock, F_GETFD) & FD_CLOEXEC);
}
