/* Deposits where the system is asked for more than Windows has: other users, limits of descriptors, descriptors of other kinds.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"

#define OWNER "54320" /* users who have no name here */
#define STRANGER "54321"
#define FRIEND "54322"

static struct kit_broker *start(const char *setting)
{
    return kit_broker_start(&(struct kit_start){
        .args = { "--endpoint", "web=[::]:0", "--set", "attach_ms=60000", "--set", setting ? setting : "max_deposits=1024" } });
}

/* Nothing is left in the broker of what was here. */
static void finish(struct kit_broker *b, struct sockbroker_worker *w)
{
    sockbroker_worker_close(w);
    kit_wait_deposits(b, 0);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

static void only_tcp_and_udp_sockets_in_use_are_taken(void **state)
{
    struct kit_broker *b = start(NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    int pipes[2], pair[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    int idle_tcp = socket(AF_INET6, SOCK_STREAM, 0);
    int idle_udp = socket(AF_INET, SOCK_DGRAM, 0);
    const struct {
        int fd;
        const char *cause;
    } cases[] = {
        { pipes[0], "no TCP or UDP socket" },
        { pair[0], "no TCP or UDP socket" },
        { idle_tcp, "was never made" },
        { idle_udp, "not bound" },
    };
    for (size_t i = 0; i < 4; i++) {
        if (kit_deposit(w, "x", cases[i].fd, 100, &error) != SOCKBROKER_INVALID || !strstr(error.text, cases[i].cause))
            kit_fail("%zu: %s", i, error.text);
    }
    assert_int_not_equal(kit_deposit(w, "x", 9999, 100, &error), SOCKBROKER_OK); /* no descriptor at all */
    kit_wait_deposits(b, 0);
    int all[] = { pipes[0], pipes[1], pair[0], pair[1], idle_tcp, idle_udp };
    for (size_t i = 0; i < 6; i++)
        close(all[i]);
    finish(b, w);
}

static void worker_without_descriptors_leaves_the_deposit_there(void **state)
{
    struct kit_broker *b = start(NULL);
    struct kit_process *poor = kit_mover_start(b, "poor", NULL);
    struct sockbroker_worker *w = kit_asker_open(b, "w");
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    sockbroker_socket ends[2];

    (void)state;
    kit_open_stream("::1", ends);
    assert_int_equal(kit_deposit(w, "c", ends[1], 100, &error), SOCKBROKER_OK);
    close(ends[1]);
    kit_mover_ask(poor, "starve", "starved");
    for (unsigned i = 0; i < 3; i++)
        kit_mover_ask(poor, "withdraw c", "withdraw c gave NO_DESCRIPTORS");
    kit_withdraw(w, "c", 100, &conn);
    kit_send(conn.sock, "alive");
    kit_expect(ends[0], "alive");
    close(conn.sock);
    kit_close(&ends[0]);
    kit_mover_stop(poor);
    finish(b, w);
}

static struct kit_process *start_as(struct kit_broker *b, const char *name, const char *uid)
{
    return kit_mover_start(b, name, &(struct kit_start){ .args = { "--uid", uid, "--endpoint", "web" } });
}

/* A broker that others can reach, and serve. */
static struct kit_broker *start_public(char dir[64])
{
    static const char endpoint[] = "web=[::]:0,allow_uid=" OWNER "+" FRIEND "+" STRANGER;

    format_text(dir, 64, "/tmp/sbdeposit-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint, "--set", "dir_mode=0711" }, .dir = dir });
}

static void finish_public(struct kit_broker *b, const char *dir)
{
    char lock[96];

    finish(b, NULL);
    format_text(lock, sizeof(lock), "%s/lock", dir);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
}

static void other_users_take_out_what_they_are_allowed(void **state)
{
    char dir[64];
    uint16_t port;

    (void)state;
    if (geteuid() != 0)
        skip();
    struct kit_broker *b = start_public(dir);
    struct kit_process *owner = start_as(b, "owner", OWNER);
    struct kit_process *friend = start_as(b, "friend", FRIEND);
    struct kit_process *stranger = start_as(b, "stranger", STRANGER);
    struct kit_process *same = start_as(b, "same", OWNER);
    sockbroker_socket listener = kit_listen("::1", &port);
    int clients[3];

    for (unsigned i = 0; i < 3; i++) {
        clients[i] = kit_mover_connect(owner, "::1", listener, port);
        char order[64];
        format_text(order, sizeof(order), "deposit d%u 7 60000 %s", i, FRIEND);
        kit_mover_ask(owner, order, "gave OK");
    }
    kit_mover_ask(stranger, "withdraw d0",
                  "withdraw d0 gave REFUSED: uid " STRANGER " may not take deposit \"d0\" of uid " OWNER);
    kit_mover_ask(friend, "withdraw d0", "withdraw d0 gave OK");
    kit_mover_ask(same, "withdraw d1", "withdraw d1 gave OK");
    struct sockbroker_worker *root = kit_asker_open(b, "root");
    struct sockbroker_conn conn;
    kit_withdraw(root, "d2", 7, &conn);
    close(conn.sock);
    sockbroker_worker_close(root);
    struct kit_process *all[] = { owner, friend, stranger, same };
    for (unsigned i = 0; i < 4; i++)
        kit_mover_stop(all[i]);
    for (unsigned i = 0; i < 3; i++)
        kit_expect_end(&clients[i]);
    close(listener);
    finish_public(b, dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_tcp_and_udp_sockets_in_use_are_taken, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(worker_without_descriptors_leaves_the_deposit_there, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(other_users_take_out_what_they_are_allowed, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
