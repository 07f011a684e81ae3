/* What peer.h promises: the process at the other end, by the kernel's word, and never another one that got its number. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/peer.h"

/* A child that has connected to a socket of ours and waits. */
struct child {
    pid_t pid;
    int listener, sock;
};

static void open_child(struct child *c, uid_t uid)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    strcpy(at.sun_path, unit_path("sock"));
    chmod(unit_folder(), 0755);
    c->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(c->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    chmod(at.sun_path, 0666);
    assert_int_equal(listen(c->listener, 4), 0);
    c->pid = fork();
    if (c->pid == 0) {
        int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);

        close(c->listener);
        if (uid && (setgid(uid) || setuid(uid)))
            _exit(97);
        if (connect(sock, (struct sockaddr *)&at, sizeof(at)))
            _exit(98);
        for (;;)
            pause();
    }
    c->sock = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(c->sock >= 0);
    unlink(at.sun_path);
}

static void close_child(struct child *c)
{
    close(c->sock);
    close(c->listener);
}

static void wait_for_end(const struct sb_peer *peer)
{
    assert_true(unit_wait_readable(peer->handle)); /* as peer.h promises */
}

static void the_peer_is_the_child_that_connected(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct child c;

    (void)state;
    open_child(&c, 0);
    assert_status(SOCKBROKER_OK, sb_peer_open(c.sock, &peer));
    assert_int_equal(peer.pid, c.pid);
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(peer.gid, getegid());
    assert_true(fcntl(peer.handle, F_GETFD) & FD_CLOEXEC);
    assert_true(sb_peer_is_alive(&peer));
    assert_status(SOCKBROKER_OK, sb_peer_kill(&peer));
    wait_for_end(&peer);
    assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
    sb_peer_close(&peer);
    close_child(&c);
}

static void users_are_told_by_their_numbers(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct child c;

    (void)state;
    if (geteuid() != 0)
        skip();
    open_child(&c, 65534);
    assert_status(SOCKBROKER_OK, sb_peer_open(c.sock, &peer));
    assert_int_equal(peer.uid, 65534);
    assert_int_equal(peer.gid, 65534);
    kill(c.pid, SIGKILL);
    waitpid(c.pid, NULL, 0);
    sb_peer_close(&peer);
    close_child(&c);
}

static void a_dead_child_is_noticed_before_anybody_waits_for_it(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct child c;

    (void)state;
    open_child(&c, 0);
    assert_status(SOCKBROKER_OK, sb_peer_open(c.sock, &peer));
    kill(c.pid, SIGKILL);
    wait_for_end(&peer);
    assert_false(sb_peer_is_alive(&peer)); /* a zombie is dead */
    assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
    assert_false(sb_peer_is_alive(&peer));
    assert_status(SOCKBROKER_CLOSED, sb_peer_kill(&peer));
    sb_peer_close(&peer);
    close_child(&c);
}

static void a_stopped_child_is_alive_and_can_be_killed(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct child c;
    int status;

    (void)state;
    open_child(&c, 0);
    assert_status(SOCKBROKER_OK, sb_peer_open(c.sock, &peer));
    kill(c.pid, SIGSTOP);
    assert_int_equal(waitpid(c.pid, &status, WUNTRACED), c.pid);
    assert_true(WIFSTOPPED(status));
    assert_true(sb_peer_is_alive(&peer));
    assert_status(SOCKBROKER_OK, sb_peer_kill(&peer));
    wait_for_end(&peer);
    assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    sb_peer_close(&peer);
    close_child(&c);
}

/* The number of one that was waited for may belong to a stranger by now. */
static void a_peer_that_is_gone_is_never_another_process(void **state)
{
    struct child c;

    (void)state;
    for (int waited = 0; waited <= 1; waited++) {
        struct sb_peer peer = SB_PEER_NONE;
        int status;

        open_child(&c, 0);
        kill(c.pid, SIGKILL);
        assert_true(unit_poll(c.sock, POLLRDHUP, UNIT_PATIENCE_MS) & POLLRDHUP);
        if (waited)
            waitpid(c.pid, &status, 0);
        sockbroker_status st = sb_peer_open(c.sock, &peer);
        if (!st) { /* the kernel still knows it: then it must know that it is dead */
            assert_int_equal(peer.pid, c.pid);
            wait_for_end(&peer); /* a dying process closes its sockets first */
            assert_false(sb_peer_is_alive(&peer));
            assert_status(waited ? SOCKBROKER_CLOSED : SOCKBROKER_OK, sb_peer_kill(&peer)); /* a zombie takes any signal */
        } else {
            assert_status(SOCKBROKER_CLOSED, st);
            assert_int_equal(peer.handle, SOCKBROKER_SOCKET_NONE);
        }
        sb_peer_close(&peer);
        if (!waited)
            waitpid(c.pid, &status, 0);
        close_child(&c);
        unit_folder_remove();
    }
}

static void both_ends_of_a_pair_are_ourselves(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_status(SOCKBROKER_OK, sb_peer_open(pair[0], &peer));
    assert_int_equal(peer.pid, getpid());
    assert_true(sb_peer_is_alive(&peer));
    sb_peer_close(&peer);
    close(pair[0]);
    close(pair[1]);
}

static void what_has_no_peer_is_refused(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct unit_tcp t;

    (void)state;
    unit_tcp_open(&t, "127.0.0.1");
    assert_true(sb_peer_open(t.server, &peer) != SOCKBROKER_OK); /* TCP has no process at the other end */
    assert_true(sb_peer_open(-1, &peer) != SOCKBROKER_OK);
    assert_int_equal(peer.handle, SOCKBROKER_SOCKET_NONE);
    assert_false(sb_peer_is_alive(&peer));
    sb_peer_close(&peer);
    unit_tcp_close(&t);
}

static void kill_a_process_of_root(void *arg)
{
    UNIT_REQUIRE(setgid(65534) == 0 && setuid(65534) == 0);
    UNIT_REQUIRE(sb_peer_kill(arg) == SOCKBROKER_PERMISSION);
}

static void who_may_not_kill_is_told_so(void **state)
{
    struct sb_peer peer = SB_PEER_NONE;
    struct child c;

    (void)state;
    if (geteuid() != 0)
        skip();
    open_child(&c, 0);
    assert_status(SOCKBROKER_OK, sb_peer_open(c.sock, &peer));
    assert_child_succeeds(kill_a_process_of_root, &peer);
    assert_true(sb_peer_is_alive(&peer));
    kill(c.pid, SIGKILL);
    waitpid(c.pid, NULL, 0);
    sb_peer_close(&peer);
    close_child(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_peer_is_the_child_that_connected),
        UNIT_TEST(users_are_told_by_their_numbers),
        UNIT_TEST(a_dead_child_is_noticed_before_anybody_waits_for_it),
        UNIT_TEST(a_stopped_child_is_alive_and_can_be_killed),
        UNIT_TEST(a_peer_that_is_gone_is_never_another_process),
        UNIT_TEST(both_ends_of_a_pair_are_ourselves),
        UNIT_TEST(what_has_no_peer_is_refused),
        UNIT_TEST(who_may_not_kill_is_told_so),
    };

    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
