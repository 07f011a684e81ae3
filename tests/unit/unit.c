#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "proto/clock.h"
#include "proto/socket.h"

void unit_assert_status(sockbroker_status expected, sockbroker_status got, const char *what, const char *file, int line)
{
    if (expected == got)
        return;
    print_error("%s: %s, not %s\n", what, sockbroker_status_name(got), sockbroker_status_name(expected));
    _fail(file, line);
}

/* ---- events ---- */

bool unit_wait_for(bool (*holds)(void *), void *arg)
{
    uint64_t end_ms = sb_clock_ms() + UNIT_PATIENCE_MS;

    while (!holds(arg)) {
        if (sb_clock_ms() > end_ms)
            return false;
        unit_pause();
    }
    return true;
}

/* ---- sockets ---- */

size_t unit_address(const char *ip, uint16_t port, struct sockaddr_storage *sa_out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa_out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa_out;

    memset(sa_out, 0, sizeof(*sa_out));
    if (!strchr(ip, ':')) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        assert_int_equal(inet_pton(AF_INET, ip, &v4->sin_addr), 1);
        return sizeof(*v4);
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
    return sizeof(*v6);
}

int unit_option(sockbroker_socket sock, int level, int name)
{
    int value = 0; /* Windows may fill less of it */
    socklen_t len = sizeof(value);

    return getsockopt(sock, level, name, (void *)&value, &len) ? -1 : value;
}

bool unit_is_open(sockbroker_socket sock)
{
    return unit_option(sock, SOL_SOCKET, SO_TYPE) != -1;
}

sockbroker_socket unit_tcp_listen(const char *ip, uint16_t *port_out)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)unit_address(ip, 0, &sa);
    int off = 0;
    sockbroker_socket sock = unit_socket(sa.ss_family, SOCK_STREAM);

    if (sa.ss_family == AF_INET6)
        assert_int_equal(setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (const void *)&off, sizeof(off)), 0);
    assert_int_equal(bind(sock, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(sock, 16), 0);
    len = sizeof(sa);
    assert_int_equal(getsockname(sock, (struct sockaddr *)&sa, &len), 0);
    *port_out =
        ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port : ((struct sockaddr_in *)&sa)->sin_port);
    return sock;
}

sockbroker_socket unit_tcp_connect(const char *ip, uint16_t port)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)unit_address(ip, port, &sa);
    sockbroker_socket sock = unit_socket(sa.ss_family, SOCK_STREAM);

    assert_int_equal(connect(sock, (struct sockaddr *)&sa, len), 0);
    return sock;
}

void unit_tcp_open(struct unit_tcp *t, const char *ip)
{
    static const char mapped[] = "::ffff:";
    bool is_mapped = !strncmp(ip, mapped, sizeof(mapped) - 1);
    uint16_t port;

    t->listener = unit_tcp_listen(is_mapped ? "::" : ip, &port);
    t->client = unit_tcp_connect(is_mapped ? ip + sizeof(mapped) - 1 : ip, port);
    t->server = unit_accept(t->listener);
    assert_true(t->server != SOCKBROKER_SOCKET_NONE);
}

void unit_tcp_close(struct unit_tcp *t)
{
    sb_socket_close(&t->listener);
    sb_socket_close(&t->client);
    sb_socket_close(&t->server);
}

bool unit_has_ipv6(void)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)unit_address("::1", 0, &sa);
    sockbroker_socket sock = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = sock != SOCKBROKER_SOCKET_NONE && bind(sock, (struct sockaddr *)&sa, len) == 0;

    sb_socket_close(&sock);
    return has;
}
