#include "tests/unit/unit.h"

#include <ws2tcpip.h>

#include <windows.h>

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

/* ---- handles ---- */

static int n_before;

int unit_count_descriptors(void)
{
    DWORD n = 0;

    return GetProcessHandleCount(GetCurrentProcess(), &n) ? (int)n : -1;
}

int unit_setup(void **state)
{
    (void)state;
    if (sb_socket_prepare())
        return -1;
    n_before = unit_count_descriptors();
    return n_before < 0 ? -1 : 0;
}

static bool is_as_before(void *arg)
{
    (void)arg;
    return unit_count_descriptors() <= n_before; /* the system closes some of its own late */
}

int unit_teardown(void **state)
{
    (void)state;
    if (unit_wait_for(is_as_before, NULL))
        return 0;
    print_error("%d handles before, %d now\n", n_before, unit_count_descriptors());
    return -1;
}

/* ---- events ---- */

bool unit_wait_for(bool (*holds)(void *), void *arg)
{
    uint64_t end_ms = sb_clock_ms() + UNIT_PATIENCE_MS;

    while (!holds(arg)) {
        if (sb_clock_ms() > end_ms)
            return false;
        Sleep(1);
    }
    return true;
}

/* ---- names of pipes, no two processes the same ---- */

const char *unit_path(const char *name)
{
    static char paths[4][64];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "sb-unit-%lu-%s", GetCurrentProcessId(), name);
    return path;
}

/* ---- TCP ---- */

static int address(const char *ip, uint16_t port, struct sockaddr_storage *sa_out)
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

static sockbroker_socket tcp_socket(int family)
{
    SOCKET sock = WSASocketW(family, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

    assert_true(sock != INVALID_SOCKET);
    return sock;
}

sockbroker_socket unit_tcp_listen(const char *ip, uint16_t *port_out)
{
    struct sockaddr_storage sa;
    int len = address(ip, 0, &sa);
    DWORD off = 0;
    sockbroker_socket sock = tcp_socket(sa.ss_family);

    if (sa.ss_family == AF_INET6)
        assert_int_equal(setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&off, sizeof(off)), 0);
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
    int len = address(ip, port, &sa);
    sockbroker_socket sock = tcp_socket(sa.ss_family);

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
    t->server = accept(t->listener, NULL, NULL);
    assert_true(t->server != INVALID_SOCKET);
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
    int len = address("::1", 0, &sa);
    sockbroker_socket sock = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = sock != INVALID_SOCKET && bind(sock, (struct sockaddr *)&sa, len) == 0;

    sb_socket_close(&sock);
    return has;
}
