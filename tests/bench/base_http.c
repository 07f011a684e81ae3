/* The plain way to restart: one process with an SO_REUSEPORT socket of its own, which answers HTTP/1.1. The next one opens its
 * socket beside it; then this one gets SIGTERM, closes its socket, finishes what it has accepted, and ends. What the kernel had
 * queued on the socket by then is lost. Prints "ready" once it listens. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base.h"

struct client {
    struct client *next, **link;
    int sock;
    size_t n_read;
    bool is_asked; /* at least one request was answered */
    char request[1024];
};

static struct client *clients;
static int set;
static bool finishing;

static const char stay[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\nhello\n";
static const char leave[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

static void end_client(struct client *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    close(c->sock);
    free(c);
}

static void add_client(int sock)
{
    struct client *c = calloc(1, sizeof *c);
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = c };

    base_check(!c, "memory");
    *c = (struct client){ .next = clients, .link = &clients, .sock = sock };
    if (clients)
        clients->link = &c->next;
    clients = c;
    base_check(epoll_ctl(set, EPOLL_CTL_ADD, sock, &want), "epoll");
}

static void answer(struct client *c)
{
    bool closes = finishing || memmem(c->request, c->n_read, "Connection: close", 17);
    const char *text = closes ? leave : stay;

    c->n_read = 0;
    c->is_asked = true;
    if (send(c->sock, text, strlen(text), MSG_NOSIGNAL) < 0 || closes)
        end_client(c);
}

static void read_request(struct client *c)
{
    ssize_t n = recv(c->sock, c->request + c->n_read, sizeof c->request - c->n_read, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        end_client(c);
        return;
    }
    c->n_read += (size_t)n;
    if (memmem(c->request, c->n_read, "\r\n\r\n", 4))
        answer(c);
    else if (c->n_read == sizeof c->request)
        end_client(c);
}

/* The sockets that nobody has asked on yet may have a request on its way, so they stay. */
static void finish(int listener)
{
    struct client *next;

    finishing = true;
    close(listener);
    for (struct client *c = clients; c; c = next) {
        next = c->next;
        if (c->is_asked && c->n_read == 0)
            end_client(c);
    }
}

static void serve(int *listener, int *signals)
{
    while (!finishing || clients) {
        struct epoll_event got;
        int sock;

        if (epoll_wait(set, &got, 1, -1) < 1)
            continue;
        if (got.data.ptr == signals && !finishing)
            finish(*listener);
        else if (got.data.ptr == listener)
            while ((sock = accept4(*listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                add_client(sock);
        else if (got.data.ptr != signals)
            read_request(got.data.ptr);
    }
}

static void watch(int fd, void *who)
{
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = who };

    base_check(fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &want), "epoll");
}

int main(int argc, char **argv)
{
    struct base_options options;
    sigset_t end;
    int listener;
    int signals;

    base_parse(argc, argv, NULL, &options);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    signals = signalfd(-1, &end, SFD_CLOEXEC);
    set = epoll_create1(EPOLL_CLOEXEC);
    options.shares_port = true;
    listener = base_listen(&options, SOCK_NONBLOCK);
    watch(signals, &signals);
    watch(listener, &listener);
    puts("ready");
    fflush(stdout);
    serve(&listener, &signals);
    return 0;
}
