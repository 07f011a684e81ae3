#include "bench_accept.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096 /* as the broker's here */

int bench_accept_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

static bool watch(int set, int sock, uint32_t exclusive)
{
    struct epoll_event want = { .events = EPOLLIN | exclusive, .data.fd = sock };

    return epoll_ctl(set, EPOLL_CTL_ADD, sock, &want) == 0;
}

bool bench_accept_own(int set, int port)
{
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons((uint16_t)port) };
    int sock = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int off = 0;

    return sock >= 0 && !setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) &&
           !setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) && !bind(sock, (struct sockaddr *)&any, sizeof any) &&
           !listen(sock, BACKLOG) && watch(set, sock, EPOLLEXCLUSIVE);
}

sockbroker_status bench_accept_fetch(int set, struct sockbroker_worker *worker, const char *endpoint,
                                     struct sockbroker_error *error_out)
{
    unsigned n = 1;

    for (unsigned i = 0; i < n; i++) {
        struct sockbroker_conn listener;
        sockbroker_status st = sockbroker_worker_socket(worker, endpoint, i, &listener, &n, error_out);

        if (st)
            return st;
        watch(set, listener.sock, EPOLLEXCLUSIVE);
    }
    watch(set, sockbroker_worker_fd(worker), 0);
    return SOCKBROKER_OK;
}

static void accept_all(int listener, unsigned char index)
{
    for (int conn; (conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0; close(conn))
        send(conn, &index, 1, MSG_NOSIGNAL);
}

static sockbroker_status take_handed_over(struct sockbroker_worker *worker, unsigned char index)
{
    struct sockbroker_conn conn;
    sockbroker_status st;

    while ((st = sockbroker_worker_next(worker, 0, &conn)) == SOCKBROKER_OK) {
        send(conn.sock, &index, 1, MSG_NOSIGNAL);
        close(conn.sock);
        sockbroker_worker_finished(worker, conn.info.lease_id);
    }
    return st;
}

sockbroker_status bench_accept_serve(int set, struct sockbroker_worker *worker, unsigned char index)
{
    int handed_over = worker ? sockbroker_worker_fd(worker) : -1;
    sockbroker_status st = SOCKBROKER_AGAIN;

    while (st == SOCKBROKER_AGAIN) {
        struct epoll_event got;

        if (epoll_wait(set, &got, 1, -1) < 1)
            continue;
        if (got.data.fd == handed_over)
            st = take_handed_over(worker, index);
        else
            accept_all(got.data.fd, index);
    }
    return st;
}
