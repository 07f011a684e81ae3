#include "broker/pump.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/error.h"
#include "proto/oserr.h"

#define ROOM 65536
#define NOBODY (-1) /* poll() passes over it */

/* One way: filled when empty, then emptied. */
struct flow {
    char bytes[ROOM];
    size_t at, len;
    bool ended; /* no more comes in */
};

struct pump {
    int in, out;
    sockbroker_socket conn;
    struct flow up, down; /* to the connection, from it */
    sockbroker_status up_status;
    struct sockbroker_error *error;
};

static bool is_empty(const struct flow *f)
{
    return f->at == f->len;
}

static bool is_passing(int code)
{
    return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

/* Takes the result of a read. False: it failed. */
static bool filled(struct flow *f, ssize_t n)
{
    if (n < 0)
        return is_passing(errno);
    f->at = 0;
    f->len = (size_t)n;
    f->ended = n == 0;
    return true;
}

/* Takes the result of a write. False: it failed. */
static bool drained(struct flow *f, ssize_t n)
{
    if (n < 0)
        return is_passing(errno);
    f->at += (size_t)n;
    return true;
}

static sockbroker_status fail(struct pump *p, int code, const char *what, const char *cure)
{
    return sb_oserr_set(p->error, code, what, cure);
}

/* ---- up ---- */

/* A peer that reads no more may have something to say all the same: only its end ends us. */
static void send_up(struct pump *p)
{
    ssize_t n = send(p->conn, p->up.bytes + p->up.at, p->up.len - p->up.at, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (drained(&p->up, n))
        return;
    p->up_status = fail(p, errno, "the connection does not take all of the input", "see what its peer says about it");
    p->up.at = p->up.len = 0;
    p->up.ended = true;
}

static sockbroker_status read_up(struct pump *p)
{
    if (!filled(&p->up, read(p->in, p->up.bytes, ROOM)))
        return fail(p, errno, "standard input", "give it something that can be read");
    if (p->up.ended)
        shutdown(p->conn, SHUT_WR);
    return SOCKBROKER_OK;
}

/* ---- down ---- */

static sockbroker_status receive_down(struct pump *p)
{
    if (filled(&p->down, recv(p->conn, p->down.bytes, ROOM, MSG_DONTWAIT)))
        return SOCKBROKER_OK;
    return fail(p, errno, "the connection", "see what its peer says about it");
}

/* A file that is ready takes PIPE_BUF bytes without waiting (POSIX, poll() and write() to a pipe). */
static sockbroker_status write_down(struct pump *p)
{
    size_t left = p->down.len - p->down.at;

    if (drained(&p->down, write(p->out, p->down.bytes + p->down.at, left < PIPE_BUF ? left : PIPE_BUF)))
        return SOCKBROKER_OK;
    if (errno == EPIPE)
        return sb_error_set(p->error, SOCKBROKER_CLOSED, EPIPE, "standard output: its reader has closed it");
    return fail(p, errno, "standard output", "give it something that can be written");
}

/* ---- both ---- */

enum { IN, CONN, OUT };

static struct pollfd watch(int fd, short events)
{
    return (struct pollfd){ .fd = events ? fd : NOBODY, .events = events };
}

static sockbroker_status wait_for_work(const struct pump *p, struct pollfd fds[3])
{
    short up = is_empty(&p->up) ? 0 : POLLOUT;
    short down = is_empty(&p->down) && !p->down.ended ? POLLIN : 0;

    fds[IN] = watch(p->in, is_empty(&p->up) && !p->up.ended ? POLLIN : 0);
    fds[CONN] = watch(p->conn, up | down);
    fds[OUT] = (struct pollfd){ .fd = p->out, .events = is_empty(&p->down) ? 0 : POLLOUT }; /* its end shows at any time */
    while (poll(fds, 3, -1) < 0) {
        if (errno != EINTR)
            return sb_oserr_set(p->error, errno, "poll", "try again");
    }
    return SOCKBROKER_OK;
}

static sockbroker_status work(struct pump *p, const struct pollfd fds[3])
{
    const short more = POLLIN | POLLHUP | POLLERR;
    sockbroker_status st = SOCKBROKER_OK;

    if (fds[OUT].revents & (POLLERR | POLLHUP | POLLNVAL))
        return sb_error_set(p->error, SOCKBROKER_CLOSED, 0, "standard output: its reader has closed it");
    if (fds[OUT].revents & POLLOUT)
        st = write_down(p);
    if (!st && (fds[CONN].events & POLLIN) && (fds[CONN].revents & more))
        st = receive_down(p);
    if (!st && (fds[CONN].events & POLLOUT) && fds[CONN].revents)
        send_up(p);
    if (!st && fds[IN].revents)
        st = read_up(p);
    return st;
}

sockbroker_status sb_pump_run(int in, int out, sockbroker_socket conn, struct sockbroker_error *error_out)
{
    struct pump *p = calloc(1, sizeof(*p));
    struct pollfd fds[3];
    sockbroker_status st = SOCKBROKER_OK;

    if (!p)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for copying");
    p->in = in;
    p->out = out;
    p->conn = conn;
    p->error = error_out;
    while (!st && !(p->down.ended && is_empty(&p->down))) {
        st = wait_for_work(p, fds);
        if (!st)
            st = work(p, fds);
    }
    if (!st)
        st = p->up_status;
    free(p);
    return st;
}
