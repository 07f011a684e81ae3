#include "restart_asker.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http_answer.h"

static const char ask_and_leave[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
static const char ask_and_stay[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

static void leave(struct asker *a)
{
    reset_close(a->sock); /* the only descriptor, so epoll forgets it too */
    a->sock = -1;
    a->state = ASKER_AWAY;
}

static struct tally *tally_of(const struct asker *a)
{
    return a->is_kept ? &a->window->kept : &a->window->fresh;
}

/* A connection that fails with a part of the answer read is cut, whatever the error. */
static void fail(struct asker *a, int error)
{
    if (a->n_read > 0)
        tally_counted(tally_of(a), CUT);
    else
        tally_failed(tally_of(a), error);
    a->window->n_open--;
    leave(a);
}

static void succeed(struct asker *a, bool closes)
{
    tally_served(tally_of(a), 0, 1, now_ns() - a->began_ns);
    a->window->n_open--;
    if (a->is_kept && closes)
        a->window->n_announced++;
    if (a->is_kept && !closes)
        a->state = ASKER_IDLE;
    else
        leave(a);
}

static void ask(struct asker *a, int epoll)
{
    const char *request = a->is_kept ? ask_and_stay : ask_and_leave;
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = a };

    epoll_ctl(epoll, EPOLL_CTL_MOD, a->sock, &want);
    a->state = ASKER_WAITS;
    if (send(a->sock, request, strlen(request), MSG_NOSIGNAL) < 0)
        fail(a, errno);
}

static void open_connection(struct asker *a, int epoll)
{
    struct epoll_event want = { .events = EPOLLOUT, .data.ptr = a };

    a->sock = socket(a->to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    a->state = ASKER_CONNECTS;
    if (a->sock < 0 || (connect(a->sock, (const struct sockaddr *)&a->to->addr, a->to->addr_len) && errno != EINPROGRESS) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, a->sock, &want))
        fail(a, errno);
}

/* Nothing was asked, so nothing may come but the end of the stream. */
static void look_while_idle(struct asker *a)
{
    char byte;
    ssize_t n = recv(a->sock, &byte, 1, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n == 0)
        window_now()->n_idle++;
    else if (n > 0)
        tally_counted(&window_now()->kept, WRONG);
    else
        tally_failed(&window_now()->kept, errno);
    leave(a);
}

void asker_begin(struct asker *a, int epoll, uint64_t due_ns)
{
    if (a->state == ASKER_IDLE)
        look_while_idle(a); /* as any client does before it uses a connection again */
    a->n_read = 0;
    a->window = window_now();
    a->window->n_open++;
    a->began_ns = now_ns();
    if (a->began_ns - due_ns > a->window->lag_ns)
        a->window->lag_ns = a->began_ns - due_ns;
    if (a->state == ASKER_IDLE)
        ask(a, epoll);
    else
        open_connection(a, epoll);
}

static void finish_connect(struct asker *a, int epoll)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(a->sock, SOL_SOCKET, SO_ERROR, &error, &len))
        error = errno;
    if (error)
        fail(a, error);
    else
        ask(a, epoll);
}

static void read_answer(struct asker *a)
{
    ssize_t n = recv(a->sock, a->answer + a->n_read, sizeof a->answer - a->n_read, 0);
    bool closes;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        fail(a, n < 0 ? errno : 0);
        return;
    }
    a->n_read += (size_t)n;
    switch (http_answer_read(a->answer, a->n_read, &closes)) {
    case HTTP_WHOLE:
        succeed(a, closes);
        return;
    case HTTP_PART:
        if (a->n_read < sizeof a->answer)
            return;
        break;
    case HTTP_WRONG:
        break;
    }
    tally_counted(tally_of(a), WRONG);
    a->window->n_open--;
    leave(a);
}

void asker_go_on(struct asker *a, int epoll)
{
    switch (a->state) {
    case ASKER_CONNECTS:
        finish_connect(a, epoll);
        break;
    case ASKER_WAITS:
        read_answer(a);
        break;
    case ASKER_IDLE:
        look_while_idle(a);
        break;
    case ASKER_AWAY:
        break;
    }
}

void asker_expire(struct asker *a, uint64_t timeout_ns)
{
    if ((a->state == ASKER_CONNECTS || a->state == ASKER_WAITS) && now_ns() - a->began_ns > timeout_ns) {
        a->n_read = 0; /* in time is what it was not, however much came */
        fail(a, ETIMEDOUT);
    }
}
