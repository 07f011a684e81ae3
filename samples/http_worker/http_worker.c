/* http_worker: many connections in one thread. The worker's descriptor is one more thing to poll for an event loop,
 * here libuv's; each connection then answers HTTP/1.1 requests until one side has enough. request.c reads them.
 *
 *     sockbroker serve --dir /tmp/sb --endpoint 'web=[::]:8080' &  http_worker --dir /tmp/sb --endpoint web
 *     curl http://localhost:8080/
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uv.h>

#include "../common/net.h"
#include "../common/sample.h"
#include "../common/system.h"
#include "request.h"

enum {
    LINGER_MS = 2000,   /* how long a client may take to read the last answer */
    GOOD_BYE_MS = 1000, /* how long a worker that ends lets an idle client ask once more, to tell it in the answer */
};

static struct sockbroker_worker *worker;
static struct sample_option idle_ms = { "idle-ms", "for a request to arrive", 1, 3600000, 15000, NULL };
static uv_poll_t connections;
static uv_timer_t pause_timer;
static uv_signal_t sigterm, sigint;
static bool finishing; /* nothing new: answer what has begun and end */
static sockbroker_status last_answer = SOCKBROKER_CLOSED;

static void start(const struct sockbroker_conn *conn);
static void go_on(uv_timer_t *timer);
static void finish(void);

/* The loop calls this when sockbroker_worker_next() has something to say. */
static void take_connections(uv_poll_t *poll, int status, int events)
{
    struct sockbroker_conn conn;
    sockbroker_status st;

    (void)status;
    (void)events;
    while ((st = sockbroker_worker_next(worker, 0, &conn)) == SOCKBROKER_OK)
        start(&conn);
    if (st == SOCKBROKER_AGAIN)
        return;
    uv_poll_stop(poll);
    if (st == SOCKBROKER_NO_DESCRIPTORS) { /* wait until some are closed */
        uv_timer_start(&pause_timer, go_on, 100, 0);
        return;
    }
    last_answer = st; /* DRAINING, CLOSED, or no way back to the broker */
    finish();
}

static void go_on(uv_timer_t *timer)
{
    (void)timer;
    if (!finishing)
        uv_poll_start(&connections, UV_READABLE, take_connections);
}

/* ---- one connection ---- */

struct client {
    uv_tcp_t tcp;
    uv_timer_t timer; /* for the next request, or for the client to read the last answer */
    uv_write_t write;
    uv_shutdown_t shutdown;
    enum { HEAD, BODY, ANSWER, LAST } state;
    struct request request;
    uint64_t lease_id, body_left;
    char address[SOCKBROKER_ADDR_TEXT_MAX];
    char in[REQUEST_HEAD_MAX], out[512];
    size_t n_in;
    unsigned long n_answered;
};

static void read_on(struct client *c);
static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *room_out);
static void got_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes);
static void timed_out(uv_timer_t *timer);

static void free_client(uv_handle_t *handle)
{
    free(handle->data);
}

static void tcp_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;

    sockbroker_worker_finished(worker, c->lease_id);
    uv_close((uv_handle_t *)&c->timer, free_client);
}

static void end_client(struct client *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, tcp_closed);
}

/* After the last answer: half-close and read until the client has closed too. A close with unread bytes would be a
 * reset, and the client might lose the answer. */
static void linger(struct client *c)
{
    c->state = LAST;
    c->n_in = 0;
    uv_timer_start(&c->timer, timed_out, LINGER_MS, 0);
    uv_read_stop((uv_stream_t *)&c->tcp); /* a second start would be an error */
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, NULL) || uv_read_start((uv_stream_t *)&c->tcp, give_room, got_bytes))
        end_client(c);
}

/* It has been answered and has not begun to ask again. */
static bool is_idle(const struct client *c)
{
    return c->state == HEAD && c->n_in == 0 && c->n_answered > 0;
}

static void timed_out(uv_timer_t *timer)
{
    struct client *c = timer->data;

    if (is_idle(c))
        linger(c);
    else
        end_client(c);
}

/* A close may cross the client's next request, and then that is lost. So a worker that ends waits for it. */
static void await_request(struct client *c)
{
    uv_timer_start(&c->timer, timed_out, finishing && is_idle(c) ? GOOD_BYE_MS : idle_ms.value, 0);
}

static void next_request(struct client *c)
{
    c->state = HEAD;
    await_request(c);
    if (uv_read_start((uv_stream_t *)&c->tcp, give_room, got_bytes))
        end_client(c);
    else
        read_on(c); /* what came with the request before */
}

static void answered(uv_write_t *write, int status)
{
    struct client *c = write->data;

    if (status < 0)
        end_client(c);
    else if (c->request.keep_alive)
        next_request(c);
    else
        linger(c);
}

static void answer(struct client *c, int status)
{
    char body[256], date[64];
    time_t now = time(NULL);
    const char *reason = status == 200   ? "OK"
                         : status == 400 ? "Bad Request"
                         : status == 413 ? "Content Too Large"
                         : status == 431 ? "Request Header Fields Too Large"
                         : status == 501 ? "Not Implemented"
                                         : "HTTP Version Not Supported";
    int n = status == 200 ? snprintf(body, sizeof(body), "%s answers %s\n", sample_name(), c->address)
                          : snprintf(body, sizeof(body), "%d %s\n", status, reason);

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    c->request.keep_alive = c->request.keep_alive && !finishing;
    n = snprintf(c->out, sizeof(c->out),
                 "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s",
                 status, reason, date, n, c->request.keep_alive ? "keep-alive" : "close", c->request.is_head ? "" : body);
    uv_buf_t out = uv_buf_init(c->out, (unsigned)n);
    c->state = ANSWER;
    c->n_answered++;
    uv_read_stop((uv_stream_t *)&c->tcp);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &out, 1, answered))
        end_client(c);
}

static void used(struct client *c, size_t n)
{
    c->n_in -= n;
    memmove(c->in, c->in + n, c->n_in);
}

static void read_head(struct client *c)
{
    int status = request_parse(c->in, c->n_in, &c->request);
    uv_buf_t go_ahead = uv_buf_init("HTTP/1.1 100 Continue\r\n\r\n", 25);

    if (status == 0)
        return; /* the rest is on its way */
    if (status != 200) {
        c->request = (struct request){ 0 };
        answer(c, status);
        return;
    }
    used(c, c->request.head_len);
    c->body_left = c->request.body_len;
    c->state = BODY;
    if (c->request.expects_continue && c->n_in == 0)
        uv_try_write((uv_stream_t *)&c->tcp, &go_ahead, 1);
}

/* The body is of no interest here. */
static void skip_body(struct client *c)
{
    size_t n = c->n_in < c->body_left ? c->n_in : (size_t)c->body_left;

    used(c, n);
    c->body_left -= n;
    if (c->body_left == 0)
        answer(c, 200);
    else if (n > 0)
        uv_timer_start(&c->timer, timed_out, idle_ms.value, 0);
}

/* Goes as far as the bytes that are there allow. While an answer is being written, the next request waits. */
static void read_on(struct client *c)
{
    if (c->state == HEAD)
        read_head(c);
    if (c->state == BODY)
        skip_body(c);
    if (c->state == LAST)
        c->n_in = 0;
}

/* There is always room: reading stops while an answer is written, and a full buffer without a request's end is answered. */
static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *room_out)
{
    struct client *c = handle->data;

    (void)size;
    *room_out = uv_buf_init(c->in + c->n_in, (unsigned)(sizeof(c->in) - c->n_in));
}

static void got_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct client *c = stream->data;

    (void)bytes;
    if (n < 0) { /* the client has gone, or will say no more */
        end_client(c);
        return;
    }
    c->n_in += (size_t)n;
    if (c->state == HEAD && c->n_in == (size_t)n) /* a request begins */
        await_request(c);
    read_on(c);
}

static void start(const struct sockbroker_conn *conn)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c) {
        net_close(conn->sock);
        sockbroker_worker_finished(worker, conn->info.lease_id);
        return;
    }
    c->lease_id = conn->info.lease_id;
    sockbroker_addr_format(&conn->info.peer, c->address);
    uv_tcp_init(uv_default_loop(), &c->tcp);
    uv_timer_init(uv_default_loop(), &c->timer);
    c->tcp.data = c->timer.data = c->write.data = c;
    if (uv_tcp_open(&c->tcp, conn->sock)) {
        net_close(conn->sock);
        end_client(c);
        return;
    }
    next_request(c);
}

/* ---- the end ---- */

static void hurry_if_idle(uv_handle_t *handle, void *arg)
{
    struct client *c = handle->data;

    (void)arg;
    if (handle->type == UV_TCP && !uv_is_closing(handle) && is_idle(c))
        await_request(c);
}

/* The loop ends by itself when the last client is gone. */
static void finish(void)
{
    finishing = true;
    uv_close((uv_handle_t *)&connections, NULL);
    uv_close((uv_handle_t *)&pause_timer, NULL);
    uv_walk(uv_default_loop(), hurry_if_idle, NULL);
}

static void end_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    if (finishing)
        _Exit(EXIT_FAILURE);
    sockbroker_worker_stop(worker); /* take_connections() then learns of it */
}

static void watch_signal(uv_signal_t *handle, int number)
{
    uv_signal_init(uv_default_loop(), handle);
    uv_signal_start(handle, end_signal, number);
    uv_unref((uv_handle_t *)handle);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();

    system_ignore_broken_pipes(); /* libuv writes without MSG_NOSIGNAL */
    watch_signal(&sigterm, SIGTERM);
    watch_signal(&sigint, SIGINT);
    worker = sample_open(argc, argv, &idle_ms);
    uv_timer_init(loop, &pause_timer);
    uv_poll_init_socket(loop, &connections, sockbroker_worker_fd(worker));
    uv_poll_start(&connections, UV_READABLE, take_connections);
    uv_run(loop, UV_RUN_DEFAULT);
    return sample_close(worker, last_answer);
}
