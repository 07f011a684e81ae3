/* Depositors at the door of the handoff socket: with no descriptor, with too many, at the wrong time. What was there before is
 * there after, and nothing stays open in the broker. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/rundir.h"
#include "proto/socket.h"
#include "tests/integration/deposits_kit.h"
#include "tests/support/kit_deposit.h"

/* A deposit announced, its state sent, its token shown: the broker waits for the socket at the door. */
static int open_door(struct kit_broker *b, struct fault_raw *r, const char *name, struct sb_hello *hello_out)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;
    struct sb_welcome welcome;
    sockbroker_socket none = SOCKBROKER_SOCKET_NONE;
    int door = fault_knock(b, SB_RUNDIR_HANDOFF);

    assert_int_equal(deposits_announce(r, name, 0), SOCKBROKER_OK);
    *hello_out = deposits_hello_of(r);
    assert_int_equal(sb_wire_pack_hello(hello_out, buf, sizeof(buf), &len), SOCKBROKER_OK);
    assert_int_equal(sb_xfer_send_packet(door, buf, len, SOCKBROKER_SOCKET_NONE, &os_code), SOCKBROKER_OK);
    assert_int_equal(sb_xfer_wait_packet(door, buf, sizeof(buf), &len, &none), SOCKBROKER_OK);
    assert_int_equal(sb_wire_unpack_welcome(buf, len, &welcome, NULL), SOCKBROKER_OK);
    assert_int_equal(welcome.status, SOCKBROKER_OK);
    return door;
}

/* What the broker says at the door, and that it closes it then. CLOSED: it says nothing. */
static sockbroker_status last_word(int *door)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    struct sb_welcome welcome;
    sockbroker_socket none = SOCKBROKER_SOCKET_NONE;

    if (kit_is_silent(*door, KIT_WAIT_MS))
        kit_fail("the broker says nothing and keeps the door open");
    sockbroker_status st = sb_xfer_wait_packet(*door, buf, sizeof(buf), &len, &none);
    if (!st)
        st = sb_wire_unpack_welcome(buf, len, &welcome, NULL) ? SOCKBROKER_BAD_MESSAGE : welcome.status;
    if (!fault_is_closed(door, KIT_WAIT_MS))
        kit_fail("the broker keeps the door open");
    return st;
}

/* The result of sending n copies of the socket with one byte. */
static int send_copies(int door, int sock, unsigned n)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    char byte = 1;
    struct iovec part = { &byte, 1 };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room };
    int fds[4] = { sock, sock, sock, sock };

    m.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    return sendmsg(door, &m, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static void descriptor_without_a_token_is_not_let_in(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    uint16_t port;
    sockbroker_socket sock = kit_bind_udp("::1", &port);

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 8; i++) {
        int door = fault_knock(b, SB_RUNDIR_HANDOFF);

        if (i % 2) /* the broker has opened by then and lets no descriptor in (EPERM), if the system can; else it may not have
                      yet */
            assert_int_equal(deposits_announce(&raw, "c", 0), SOCKBROKER_OK);
        int code = send_copies(door, sock, 1 + i % 3);
        if (!code)
            assert_int_equal(last_word(&door), SOCKBROKER_CLOSED);
        else
            assert_int_equal(code, EPERM);
        sb_socket_close(&door);
    }
    kit_wait_deposits(b, 0);
    close(sock);
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

static void packet_without_a_descriptor_deposits_nothing(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    int door = open_door(b, &raw, "c", &hello);
    assert_int_equal(send(door, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(last_word(&door), SOCKBROKER_BAD_MESSAGE);
    kit_wait_deposits(b, 0);
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

static void two_descriptors_deposit_nothing(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;
    int ends[2];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned n = 2; n < 5; n++) {
        kit_open_stream("::1", ends);
        int door = open_door(b, &raw, "c", &hello);
        assert_int_equal(send_copies(door, ends[1], n), 0);
        assert_int_equal(last_word(&door), SOCKBROKER_CLOSED);
        close(ends[1]);
        kit_expect_end(&ends[0]); /* no copy is left anywhere */
    }
    kit_wait_deposits(b, 0);
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

/* A door that closes again ends what it was opened for: 64 under way at once are allowed. */
static void doors_that_close_again_hold_nothing(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    for (unsigned i = 0; i < 200; i++) {
        int door = open_door(b, &raw, "c", &hello);

        sb_socket_close(&door);
        if (i % 50 == 49) /* the broker has seen the last ones when it says so */
            kit_until(deposits_append(&raw, hello.grant_id, "c", 0, 1) == SOCKBROKER_NOT_FOUND);
    }
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

static void socket_that_comes_after_its_session_is_not_kept(void **state)
{
    struct kit_broker *b = deposits_start(NULL);
    struct fault_raw raw;
    struct sb_hello hello;
    int ends[2];

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    int door = open_door(b, &raw, "c", &hello);
    fault_raw_close(&raw);
    kit_broker_wait_worker(b, "raw", "gone");
    kit_open_stream("::1", ends);
    assert_int_equal(send_copies(door, ends[1], 1), 0);
    assert_int_equal(last_word(&door), SOCKBROKER_NOT_FOUND);
    close(ends[1]);
    kit_expect_end(&ends[0]);
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

/* Nobody keeps a place who opens the door and stands in it. */
static void depositor_that_stands_in_the_door_is_sent_away(void **state)
{
    struct kit_broker *b = deposits_start("attach_ms=200");
    struct fault_raw raw;
    struct sb_hello hello;

    (void)state;
    fault_raw_start(&raw, b, "raw", 4);
    int door = open_door(b, &raw, "c", &hello);
    assert_int_equal(last_word(&door), SOCKBROKER_CLOSED);
    assert_int_equal(deposits_append(&raw, hello.grant_id, "c", 0, 1), SOCKBROKER_NOT_FOUND);
    deposits_check_works(b);
    deposits_finish(b, &raw);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(descriptor_without_a_token_is_not_let_in, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(packet_without_a_descriptor_deposits_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(two_descriptors_deposit_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(doors_that_close_again_hold_nothing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(socket_that_comes_after_its_session_is_not_kept, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(depositor_that_stands_in_the_door_is_sent_away, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
