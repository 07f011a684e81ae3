#include "tests/support/kit_deposit.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit_state.h"
#include "tests/support/net.h"

/* ---- sockets ---- */

sockbroker_socket kit_listen(const char *host, uint16_t *port_out)
{
    sockbroker_socket sock = net_open_bound(host, 0, SOCK_STREAM);

    if (sock == SOCKBROKER_SOCKET_NONE || listen(sock, 64))
        kit_fail("listen on %s: %s", host, net_error_text());
    *port_out = net_port(sock);
    return sock;
}

sockbroker_socket kit_bind_udp(const char *host, uint16_t *port_out)
{
    sockbroker_socket sock = net_open_bound(host, 0, SOCK_DGRAM);

    if (sock == SOCKBROKER_SOCKET_NONE)
        kit_fail("bind to %s: %s", host, net_error_text());
    *port_out = net_port(sock);
    return sock;
}

sockbroker_socket kit_accept(sockbroker_socket listener)
{
    if (kit_is_silent(listener, KIT_WAIT_MS))
        kit_fail("nobody connects");
    sockbroker_socket sock = net_accept(listener);
    if (sock == SOCKBROKER_SOCKET_NONE)
        kit_fail("accept: %s", net_error_text());
    return sock;
}

void kit_open_stream(const char *host, sockbroker_socket ends[2])
{
    uint16_t port;
    sockbroker_socket listener = kit_listen(host, &port);

    ends[0] = kit_connect(NULL, host, port);
    ends[1] = kit_accept(listener);
    net_close(&listener);
}

void kit_send(sockbroker_socket sock, const char *text)
{
    if (net_send(sock, text, strlen(text)) != (long)strlen(text))
        kit_fail("send: %s", net_error_text());
}

void kit_expect(sockbroker_socket sock, const char *text)
{
    char got[128] = "";
    size_t len = 0;

    while (len < strlen(text)) {
        if (kit_is_silent(sock, KIT_WAIT_MS))
            kit_fail("\"%s\" does not come, after \"%s\"", text, got);
        long n = net_receive(sock, got + len, strlen(text) - len);
        if (n <= 0)
            kit_fail("the end comes instead of \"%s\": %s", text, n ? net_error_text() : "end of stream");
        len += (size_t)n;
    }
    assert_string_equal(got, text);
}

void kit_expect_end(sockbroker_socket *sock)
{
    char byte;

    if (kit_is_silent(*sock, KIT_WAIT_MS))
        kit_fail("the connection does not end");
    if (net_receive(*sock, &byte, 1) > 0)
        kit_fail("the connection goes on");
    kit_close(sock);
}

bool kit_is_open(sockbroker_socket sock)
{
    return kit_is_silent(sock, 0);
}

/* ---- deposits ---- */

struct sockbroker_worker *kit_asker_open(struct kit_broker *b, const char *name)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *w;
    struct sockbroker_error error;

    options.dir = b->dir;
    options.endpoints = "";
    options.name = name;
    if (sockbroker_worker_open(&options, &w, &error))
        kit_fail("%s", error.text);
    return w;
}

sockbroker_status kit_deposit(struct sockbroker_worker *w, const char *name, sockbroker_socket sock, size_t state_len,
                              struct sockbroker_error *error_out)
{
    static uint8_t state[SOCKBROKER_STATE_MAX];
    struct sockbroker_deposit d = SOCKBROKER_DEPOSIT_INIT;

    kit_state_fill(name, 1, state, state_len);
    d.name = name;
    d.sock = sock;
    d.state = state;
    d.state_len = state_len;
    d.lifetime_ms = 3600000;
    return sockbroker_worker_deposit(w, &d, error_out);
}

void kit_withdraw(struct sockbroker_worker *w, const char *name, size_t state_len, struct sockbroker_conn *conn_out)
{
    static uint8_t state[SOCKBROKER_STATE_MAX];
    struct sockbroker_error error;
    size_t len = 0;

    if (sockbroker_worker_withdraw(w, name, conn_out, state, sizeof(state), &len, &error))
        kit_fail("withdraw: %s", error.text);
    if (len != state_len || !kit_state_is_whole(name, 1, state, len))
        kit_fail("deposit %s: %zu bytes of state that are not the %zu that were left", name, len, state_len);
    assert_string_equal(conn_out->info.endpoint, name);
}

sockbroker_status kit_try_withdraw(struct sockbroker_worker *w, const char *name, struct sockbroker_error *error_out)
{
    static uint8_t state[SOCKBROKER_STATE_MAX];
    struct sockbroker_conn conn;
    size_t len;
    sockbroker_status st = sockbroker_worker_withdraw(w, name, &conn, state, sizeof(state), &len, error_out);

    if (!st)
        kit_fail("deposit %s could be taken out", name);
    return st;
}

bool kit_find_deposit(struct kit_broker *b, const char *name, struct sb_deposit_status *deposit_out)
{
    struct sb_status_report r;
    bool found = false;

    kit_status(b, &r);
    for (size_t i = 0; i < r.n_deposits && !found; i++) {
        found = !strcmp(r.deposits[i].name, name);
        if (found)
            *deposit_out = r.deposits[i];
    }
    sb_status_report_deinit(&r);
    return found;
}

static bool has_deposits(const struct sb_status_report *r, void *arg)
{
    return r->n_deposits == *(unsigned *)arg && r->broker.n_deposits == r->n_deposits;
}

void kit_wait_deposits(struct kit_broker *b, unsigned n)
{
    kit_broker_wait_status(b, has_deposits, &n, "as many deposits as wanted");
}

/* ---- movers ---- */

struct kit_process *kit_mover_launch(struct kit_broker *b, const char *name, const struct kit_start *more)
{
    struct kit_start with = { .args = { "--dir", b->dir, "--name", name } };

    for (size_t i = 0; more && i < KIT_ARGS_MAX - 4 && more->args[i]; i++)
        with.args[4 + i] = more->args[i];
    if (more)
        memcpy(with.env, more->env, sizeof(with.env));
    return kit_process_start(name, SB_MOVER_EXE, &with);
}

struct kit_process *kit_mover_start(struct kit_broker *b, const char *name, const struct kit_start *more)
{
    struct kit_process *m = kit_mover_launch(b, name, more);

    kit_process_wait_log(m, "ready\n");
    return m;
}

const char *kit_mover_ask(struct kit_process *m, const char *order, const char *answer)
{
    size_t from = m->log_len;
    const char *found = NULL;

    kit_process_tell(m, order);
    kit_until((found = strstr(m->log + from, answer)) && strchr(found, '\n'));
    return found + strlen(answer);
}

sockbroker_socket kit_mover_connect(struct kit_process *m, const char *host, sockbroker_socket listener, uint16_t port)
{
    char order[64];

    format_text(order, sizeof(order), "connect %s %u", host, port);
    kit_mover_ask(m, order, "connected ");
    return kit_accept(listener);
}

void kit_mover_stop(struct kit_process *m)
{
    kit_process_tell(m, "leave");
    int code = kit_process_wait(m);
    if (code)
        kit_fail("mover %s ended with %d", m->title, code);
    kit_process_free(m);
}
