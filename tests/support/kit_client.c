#include <stdio.h>
#include <string.h>

#include "proto/thread.h"
#include "tests/support/kit.h"
#include "tests/support/net.h"

#define APART_FIRST 12000u /* below what Linux (32768) and Windows (49152) give by themselves */
#define APART_N 16000u

bool kit_answer_parse(const char *line, struct kit_answer *answer_out)
{
    struct kit_answer a = { .echo = "" };
    int pid;
    unsigned long long lease;
    unsigned port;

    if (sscanf(line, "%63s %d %7s %llu %u %63[^\n]", a.worker, &pid, a.family, &lease, &port, a.echo) < 5 || port > 65535)
        return false;
    a.pid = pid;
    a.lease_id = lease;
    a.port = (uint16_t)port;
    *answer_out = a;
    return true;
}

sockbroker_socket kit_connect(const char *from, const char *to, uint16_t port)
{
    struct sockaddr_storage there;
    socklen_t len = net_address(to, port, &there);
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    if (len)
        sock = from ? net_open_bound(from, 0, SOCK_STREAM) : net_open(there.ss_family, SOCK_STREAM);
    if (sock == SOCKBROKER_SOCKET_NONE)
        kit_fail("no socket for %s: %s", to, net_error_text());
    if (!net_connect(sock, to, port)) {
        net_close(&sock);
        kit_fail("connect to %s port %u: %s", to, port, net_error_text());
    }
    return sock;
}

static bool is_free(const char *host, uint16_t port)
{
    sockbroker_socket sock = net_open_bound(host, port, SOCK_STREAM);
    bool is_ours = sock != SOCKBROKER_SOCKET_NONE;

    net_close(&sock);
    return is_ours;
}

sockbroker_socket kit_listen_apart(const char *host, uint16_t *port_out)
{
    static unsigned n_asked;
    const char *other = strchr(host, ':') ? "0.0.0.0" : "::";

    for (unsigned tries = 0; tries < APART_N; tries++) {
        uint16_t port = (uint16_t)(APART_FIRST + (sb_process_id() * 16 + n_asked++) % APART_N);
        sockbroker_socket sock = is_free(other, port) ? net_open_bound(host, port, SOCK_STREAM) : SOCKBROKER_SOCKET_NONE;

        *port_out = port;
        if (sock != SOCKBROKER_SOCKET_NONE && !listen(sock, 64))
            return sock;
        net_close(&sock);
    }
    kit_fail("no port that both families have free");
}

bool kit_is_refused(const char *host, uint16_t port)
{
    struct sockaddr_storage sa;
    sockbroker_socket sock = net_address(host, port, &sa) ? net_open(sa.ss_family, SOCK_STREAM) : SOCKBROKER_SOCKET_NONE;

    if (sock == SOCKBROKER_SOCKET_NONE)
        kit_fail("no socket for %s: %s", host, net_error_text());
    bool refused = !net_connect(sock, host, port);
    net_reset(&sock);
    return refused;
}

bool kit_is_silent(sockbroker_socket sock, unsigned ms)
{
    return !net_wait_readable(sock, (int)ms);
}

/* Byte by byte up to the newline: what follows it is the test's. */
static void read_line(sockbroker_socket sock, char *line, size_t room)
{
    size_t len = 0;

    while (len + 1 < room && (!len || line[len - 1] != '\n')) {
        if (kit_is_silent(sock, KIT_WAIT_MS))
            kit_fail("no answer in %u ms", KIT_WAIT_MS);
        long n = net_receive(sock, line + len, 1);
        if (n <= 0)
            kit_fail("the connection ended after %zu bytes of an answer: %s", len, n ? net_error_text() : "end of stream");
        len++;
    }
    line[len] = '\0';
}

void kit_read_answer(sockbroker_socket sock, struct kit_answer *answer_out)
{
    char line[256];

    read_line(sock, line, sizeof(line));
    if (!kit_answer_parse(line, answer_out))
        kit_fail("\"%s\" is not an answer", line);
    if (answer_out->port != net_port(sock))
        kit_fail("client port %u got the answer for port %u", net_port(sock), answer_out->port);
}

void kit_read_only_answer(sockbroker_socket sock, struct kit_answer *answer_out)
{
    char more;

    kit_read_answer(sock, answer_out);
    if (kit_is_silent(sock, KIT_WAIT_MS))
        kit_fail("the worker does not close");
    long n = net_receive(sock, &more, 1);
    if (n)
        kit_fail("after the answer: %s", n > 0 ? "a second one" : net_error_text());
    kit_close(&sock);
}

void kit_close(sockbroker_socket *sock)
{
    net_reset(sock);
}
