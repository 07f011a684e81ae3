/* What inherit.h promises: a socket goes to who asks for just that one. */
#include "broker/inherit.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-lib/datagram.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"
#include "tests/unit/unit.h"

static struct sb_listen_request at(const char *text, bool dual)
{
    struct sb_listen_request r = { .dual = dual, .backlog = 16 };

    assert_status(SOCKBROKER_OK, sockbroker_addr_parse(text, &r.addr, NULL));
    return r;
}

/* A listening socket; the request becomes what it got. */
static sockbroker_socket open_at(struct sb_listen_request *r)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    enum sb_listen_note note;
    struct sockbroker_error error;

    assert_status(SOCKBROKER_OK, sb_listen_open(r, &sock, &r->addr, &note, &error));
    return sock;
}

static bool take(struct sb_inherited **list, const char *endpoint, enum sb_protocol protocol, uint32_t slot,
                 const struct sb_listen_request *r)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sockbroker_addr addr;
    bool taken = sb_inherit_take(list, endpoint, protocol, slot, r, &sock, &addr);

    sb_socket_close(&sock);
    return taken;
}

#define ANY SB_INHERIT_ANY_SLOT
#define TCP SB_PROTOCOL_TCP

static void only_just_that_one_is_given(void **state)
{
    struct sb_inherited *list = NULL;
    struct sb_listen_request r = at("127.0.0.1:0", false);
    sockbroker_socket sock = open_at(&r);
    struct sb_listen_request other = r;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_inherit_add(&list, "web", ANY, &sock, NULL));
    assert_int_equal(sock, SOCKBROKER_SOCKET_NONE);
    assert_false(take(&list, "mail", TCP, ANY, &r));
    assert_false(take(&list, "web", SB_PROTOCOL_UDP, ANY, &r));
    assert_false(take(&list, "web", TCP, 0, &r));
    other.addr.port ^= 1;
    assert_false(take(&list, "web", TCP, ANY, &other));
    other = at("0.0.0.0:0", false);
    assert_false(take(&list, "web", TCP, ANY, &other));
    other = at("[::]:0", true);
    assert_false(take(&list, "web", TCP, ANY, &other));
    assert_true(take(&list, "web", TCP, ANY, &r));
    assert_null(list);
}

static void v6only_must_be_the_same(void **state)
{
    struct sb_inherited *list = NULL;
    struct sb_listen_request r = at("[::]:0", true);
    struct sb_listen_request alone;

    (void)state;
    if (!unit_has_ipv6())
        skip();
    sockbroker_socket sock = open_at(&r);
    assert_status(SOCKBROKER_OK, sb_inherit_add(&list, "web", ANY, &sock, NULL));
    alone = r;
    alone.dual = false;
    assert_false(take(&list, "web", TCP, ANY, &alone));
    assert_true(take(&list, "web", TCP, ANY, &r));
}

static void nameless_one_is_for_any_and_port_0_takes_its_port(void **state)
{
    struct sb_inherited *list = NULL;
    struct sb_listen_request r = at("127.0.0.1:0", false);
    struct sb_listen_request any = r;
    sockbroker_socket sock = open_at(&r);
    struct sockbroker_addr addr;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_inherit_add(&list, "", ANY, &sock, NULL));
    assert_true(sb_inherit_take(&list, "web", TCP, ANY, &any, &sock, &addr));
    assert_int_equal(addr.port, r.addr.port);
    assert_true(sb_socket_is_nonblocking(sock));
    sb_socket_close(&sock);
}

static void what_does_not_serve_is_refused_and_stays_with_the_caller(void **state)
{
    struct sb_inherited *list = NULL;
    struct sockbroker_error error;
    sockbroker_socket socks[] = { socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                                  socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), dup(0) };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(socks); i++) {
        assert_status(SOCKBROKER_INVALID, sb_inherit_add(&list, "web", ANY, &socks[i], &error));
        assert_non_null(strstr(error.text, "web"));
        assert_true(socks[i] >= 0);
        sb_socket_close(&socks[i]);
    }
    assert_null(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(only_just_that_one_is_given),
        UNIT_TEST(v6only_must_be_the_same),
        UNIT_TEST(nameless_one_is_for_any_and_port_0_takes_its_port),
        UNIT_TEST(what_does_not_serve_is_refused_and_stays_with_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
