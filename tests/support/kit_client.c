#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/kit.h"
#include "tests/support/kit_sockaddr.h"

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

socklen_t kit_sockaddr(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof(*v6);
    }
    return 0;
}

uint16_t kit_own_port(int sock)
{
    struct sockaddr_storage own;
    socklen_t len = sizeof(own);

    if (getsockname(sock, (struct sockaddr *)&own, &len))
        return 0;
    return ntohs(own.ss_family == AF_INET ? ((struct sockaddr_in *)&own)->sin_port : ((struct sockaddr_in6 *)&own)->sin6_port);
}

int kit_connect(const char *from, const char *to, uint16_t port)
{
    struct sockaddr_storage here, there;
    socklen_t len = kit_sockaddr(to, port, &there);
    int sock = len ? socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

    if (sock < 0)
        kit_fail("no socket for %s: %s", to, strerror(errno));
    if (from) {
        socklen_t from_len = kit_sockaddr(from, 0, &here);

        if (bind(sock, (struct sockaddr *)&here, from_len))
            kit_fail("bind to %s: %s", from, strerror(errno));
    }
    if (connect(sock, (struct sockaddr *)&there, len)) {
        int code = errno;

        close(sock);
        kit_fail("connect to %s port %u: %s", to, port, strerror(code));
    }
    return sock;
}

bool kit_is_silent(int sock, unsigned ms)
{
    struct pollfd p = { sock, POLLIN, 0 };

    return poll(&p, 1, (int)ms) == 0;
}

/* Byte by byte up to the newline: what follows it is the test's. */
static void read_line(int sock, char *line, size_t room)
{
    size_t len = 0;

    while (len + 1 < room && (!len || line[len - 1] != '\n')) {
        if (kit_is_silent(sock, KIT_WAIT_MS))
            kit_fail("no answer in %u ms", KIT_WAIT_MS);
        ssize_t n = recv(sock, line + len, 1, 0);
        if (n <= 0)
            kit_fail("the connection ended after %zu bytes of an answer: %s", len, n ? strerror(errno) : "end of stream");
        len++;
    }
    line[len] = '\0';
}

void kit_read_answer(int sock, struct kit_answer *answer_out)
{
    char line[256];

    read_line(sock, line, sizeof(line));
    if (!kit_answer_parse(line, answer_out))
        kit_fail("\"%s\" is not an answer", line);
    if (answer_out->port != kit_own_port(sock))
        kit_fail("client port %u got the answer for port %u", kit_own_port(sock), answer_out->port);
}

void kit_read_only_answer(int sock, struct kit_answer *answer_out)
{
    char more;

    kit_read_answer(sock, answer_out);
    if (kit_is_silent(sock, KIT_WAIT_MS))
        kit_fail("the worker does not close");
    ssize_t n = recv(sock, &more, 1, 0);
    if (n)
        kit_fail("after the answer: %s", n > 0 ? "a second one" : strerror(errno));
    kit_close(&sock);
}

void kit_close(int *sock)
{
    struct linger reset = { 1, 0 };

    if (*sock < 0)
        return;
    setsockopt(*sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(*sock);
    *sock = -1;
}
