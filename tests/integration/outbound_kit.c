#include "tests/integration/outbound_kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/support/fault.h"

/* ---- a network and a hosts file ---- */

#define HOSTS                                                                                                                  \
    "127.0.0.1 localhost\n::1 localhost\n"                                                                                     \
    "2001:db8::1 far.test\n127.0.0.1 four.test\n"

static bool is_inside;

static void cover(const char *path, const char *text)
{
    char own[] = "/tmp/sbkit-outbound-XXXXXX";
    int fd = mkstemp(own);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, 0644) ||
        mount(own, path, NULL, MS_BIND, NULL))
        kit_fail("%s: %s", path, strerror(errno));
    close(fd);
    unlink(own);
}

int enter(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return 0;
    int network = fault_net_enter();
    sb_socket_close(&network);
    cover("/etc/hosts", HOSTS);
    cover("/etc/nsswitch.conf", "hosts: files\n");
    is_inside = true;
    return 0;
}

void need_place(void)
{
    if (!is_inside)
        skip();
}

/* ---- servers ---- */

struct sockbroker_addr address_of(const char *ip, uint16_t port)
{
    struct sockbroker_addr addr;
    struct sockbroker_error error;

    if (sockbroker_addr_parse_ip(ip, &addr, &error))
        kit_fail("%s", error.text);
    addr.port = port;
    return addr;
}

int listen_at(const char *ip, int backlog)
{
    struct sockbroker_addr at = address_of(ip, PORT);
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(&at, &sa);
    int on = 1;
    sockbroker_socket sock = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (sa.ss_family == AF_INET6)
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(sock, (struct sockaddr *)&sa, len) || listen(sock, backlog))
        kit_fail("%s: %s", ip, strerror(errno));
    return sock;
}

void open_hole(struct hole *h, const char *ip)
{
    h->sock = listen_at(ip, 0);
    h->filler = kit_connect(NULL, ip, PORT);
}

void close_hole(struct hole *h)
{
    sb_socket_close(&h->sock);
    kit_close(&h->filler);
}

int accept_at(sockbroker_socket listener)
{
    if (kit_is_silent(listener, KIT_WAIT_MS))
        kit_fail("nobody connects");
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* ---- the broker and a worker inside the test ---- */

void open_scene(struct scene *s, const struct kit_start *how)
{
    memset(s, 0, sizeof(*s));
    need_place();
    s->b = kit_broker_start(how);
    s->worker = kit_worker_open(s->b, "asker", "");
}

void open_plain_scene(struct scene *s)
{
    open_scene(s, &(struct kit_start){ .args = { WEB } });
}

void open_scene_with(struct scene *s, const char *setting)
{
    open_scene(s, &(struct kit_start){ .args = { WEB, "--set", setting } });
}

void close_scene(struct scene *s)
{
    sockbroker_worker_close(s->worker);
    kit_broker_wait_ready(s->b, 0);
    kit_broker_wait_idle_fds(s->b);
    kit_broker_stop(s->b);
}

sockbroker_status ask(struct scene *s, const struct sockbroker_connect_options *options)
{
    memset(s->attempts, 0x5a, sizeof(s->attempts));
    s->n_attempts = 99;
    return sockbroker_worker_connect(s->worker, options, &s->conn, s->attempts, &s->n_attempts, &s->error);
}

sockbroker_status ask_host(struct scene *s, const char *host)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;

    o.host = host;
    o.port = PORT;
    return ask(s, &o);
}

#define MANY_MAX 4

sockbroker_status ask_addresses(struct scene *s, const char *const *ips, const char *source)
{
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;
    struct sockbroker_addr addresses[MANY_MAX];

    while (o.n_addresses < MANY_MAX && ips[o.n_addresses]) {
        addresses[o.n_addresses] = address_of(ips[o.n_addresses], 1); /* the port of an address means nothing */
        o.n_addresses++;
    }
    o.addresses = addresses;
    o.port = PORT;
    if (source)
        o.source = address_of(source, 0);
    return ask(s, &o);
}

void must(struct scene *s, sockbroker_status expected, sockbroker_status got)
{
    if (got != expected)
        kit_fail("%s, not %s: %s", sockbroker_status_name(got), sockbroker_status_name(expected), s->error.text);
}

void must_say(const char *text, const char *piece)
{
    if (!strstr(text, piece))
        kit_fail("\"%s\" is not in: %s", piece, text);
}

void must_be(const struct sockbroker_addr *addr, const char *ip)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    if (strcmp(sockbroker_addr_format_ip(addr, text), ip))
        kit_fail("%s, not %s", text, ip);
}

void must_be_connected(struct scene *s, sockbroker_socket listener, const char *local, const char *peer)
{
    const struct sockbroker_socket_info *info = &s->conn.info;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct sockbroker_addr real;
    char bytes[8] = "";
    int server = accept_at(listener);

    must_be(&info->local, local);
    must_be(&info->peer, peer);
    assert_int_equal(info->peer.port, PORT);
    assert_int_equal(info->type, SOCKBROKER_STREAM);
    assert_int_equal(info->socket_family, info->peer.family);
    assert_false(info->listening);
    assert_false(info->nonblocking);
    assert_false(sb_socket_is_nonblocking(s->conn.sock));
    assert_int_equal(getsockname(s->conn.sock, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &real), SOCKBROKER_OK);
    assert_int_equal(sockbroker_addr_compare(&real, &info->local), 0);
    assert_int_equal(send(s->conn.sock, "ping", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(recv(server, bytes, 4, MSG_WAITALL), 4);
    assert_string_equal(bytes, "ping");
    sb_socket_close(&s->conn.sock);
    assert_int_equal(recv(server, bytes, 1, 0), 0); /* at once: nobody else has a copy */
    sb_socket_close(&server);
}
