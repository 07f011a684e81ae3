/* Connections that the broker makes for workers: whose workers may ask, how many at once, and that nothing is left behind
 * however a worker or the broker ends. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/integration/outbound_kit.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

#define STRANGER "65533"
#define AT_ONCE_PER_WORKER 16u /* what one worker may have under way */

/* ---- processes ---- */

static struct kit_process *launch_asker(struct kit_broker *b, const char *name, const char *endpoints, const char *uid,
                                        const char *env)
{
    return kit_process_start(name, SB_ASKER_EXE,
                             &(struct kit_start){ .args = { b->dir, name, endpoints, uid, uid }, .env = { env } });
}

static struct kit_process *start_asker(struct kit_broker *b, const char *name, const char *env)
{
    struct kit_process *p = launch_asker(b, name, "", NULL, env);

    kit_process_wait_log(p, "ready\n");
    kit_broker_wait_worker(b, name, "ready");
    return p;
}

static void end_asker(struct kit_process *p)
{
    kit_process_end_input(p);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_free(p);
}

/* ---- other users ---- */

static struct kit_broker *start_public(char dir[64], const char *const *settings)
{
    struct kit_start how = { .args = { "--endpoint", "web=[::]:0,allow_uid=0+" STRANGER, "--set", "dir_mode=0711" },
                             .dir = dir };

    format_text(dir, 64, "/tmp/sboutbound-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    for (size_t i = 0; settings[i]; i++) {
        how.args[4 + 2 * i] = "--set";
        how.args[5 + 2 * i] = settings[i];
    }
    return kit_broker_start(&how);
}

static void stop_public(struct kit_broker *b, const char *dir)
{
    char lock[96];

    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
    format_text(lock, sizeof(lock), "%s/lock", dir);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
}

static void other_users_need_rules(void **state)
{
    static const struct {
        const char *settings[3];
        const char *order, *says;
    } rows[] = {
        { { NULL },
          "connect 127.0.0.1 4000 5000",
          "failed REFUSED uid " STRANGER " may not have connections made; allow it with "
          "connect_uid" },
        { { "connect_allow=127.0.0.0/8" }, "connect 127.0.0.1 4000 5000", "failed REFUSED uid " STRANGER " may not" },
        { { "connect_uid=" STRANGER }, "connect 127.0.0.1 4000 5000", "no connect_allow rule holds it" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" }, "connect 127.0.0.1 4000 5000", "connected 127.0.0.1:" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8:4000" },
          "connect localhost 4000 5000",
          "connected 127.0.0.1:" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" }, "connect ::1 4000 5000", "no connect_allow rule holds it" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" },
          "connect 127.0.0.1 4000 5000 1023",
          "failed REFUSED source port 1023 is for root; use 0 or 1024 to 65535" },
        { { "connect_uid=" STRANGER, "connect_allow=127.0.0.0/8" },
          "connect 127.0.0.1 4000 5000 1024",
          "connected 127.0.0.1:1024" },
    };

    (void)state;
    if (geteuid())
        skip();
    need_place();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char dir[64];
        struct kit_broker *b = start_public(dir, rows[i].settings);
        int v4 = listen_at("127.0.0.1", 16);
        struct kit_process *p = launch_asker(b, "stranger", "web", STRANGER, NULL);

        kit_process_wait_log(p, "ready\n");
        kit_process_tell(p, rows[i].order);
        kit_process_wait_log(p, rows[i].says);
        end_asker(p);
        sb_socket_close(&v4);
        stop_public(b, dir);
    }
}

/* A worker that serves nothing has no reason to be there unless it may ask. */
static void other_users_need_leave_to_attach_for_this_alone(void **state)
{
    static const char *const none[] = { NULL }, *const some[] = { "connect_uid=" STRANGER, NULL };
    char dir[64];

    (void)state;
    if (geteuid())
        skip();
    need_place();
    struct kit_broker *b = start_public(dir, none);
    struct kit_process *p = launch_asker(b, "stranger", "", STRANGER, NULL);
    kit_process_wait_log(p,
                         "attach gave REFUSED: uid " STRANGER " may not attach without an endpoint; name one, or allow it with "
                         "connect_uid");
    end_asker(p);
    stop_public(b, dir);

    b = start_public(dir, some);
    p = launch_asker(b, "stranger", "", STRANGER, NULL);
    kit_process_wait_log(p, "ready\n");
    end_asker(p);
    stop_public(b, dir);
}

/* ---- ends ---- */

/* Sockets of this network that wait for an answer to their SYN. */
static unsigned count_attempts(const char *table)
{
    char path[64], line[512];
    unsigned n = 0, state;

    format_text(path, sizeof(path), "/proc/thread-self/net/%s", table);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        n += sscanf(line, " %*d: %*32[0-9A-F]:%*x %*32[0-9A-F]:%*x %x", &state) == 1 && state == 2;
    if (f)
        fclose(f);
    return n;
}

static void wait_under_way(unsigned n)
{
    kit_until(count_attempts("tcp") + count_attempts("tcp6") == n);
}

static void a_worker_killed_while_the_race_runs_leaves_nothing(void **state)
{
    struct hole v4, v6;
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    open_hole(&v4, "127.0.0.1");
    open_hole(&v6, "::1");
    struct kit_process *p = start_asker(s.b, "victim", NULL);
    kit_process_tell(p, "connect localhost 4000 600000");
    wait_under_way(2);
    kit_process_kill(p);
    kit_broker_wait_worker(s.b, "victim", "gone");
    wait_under_way(0);
    close_hole(&v4);
    close_hole(&v6);
    must(&s, SOCKBROKER_SYSTEM, ask_host(&s, "localhost")); /* the broker goes on */
    close_scene(&s);                                        /* and has no descriptor too many */
}

/* With the socket in its hands, or without, before it has said that it has it: the server sees the end. */
static void a_worker_killed_after_the_grant_leaves_nothing(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct scene s;
    open_plain_scene(&s);
    int v6 = listen_at("::1", 16);
    struct kit_process *p = start_asker(s.b, "victim", "SOCKBROKER_FAILPOINTS=settle_grant=kill");
    kit_process_tell(p, "connect ::1 4000 60000");
    assert_int_equal(kit_process_wait(p), 128 + SIGKILL);
    kit_process_free(p);
    int server = accept_at(v6);
    char byte;
    assert_true(recv(server, &byte, 1, 0) <= 0);
    sb_socket_close(&server);
    kit_broker_wait_worker(s.b, "victim", "gone");

    p = start_asker(s.b, "sleeper", "SOCKBROKER_FAILPOINTS=settle_grant=stop"); /* long asleep, then dead */
    kit_process_tell(p, "connect ::1 4000 60000");
    server = accept_at(v6);
    kit_process_wait_stopped(p);
    kit_process_kill(p);
    assert_true(recv(server, &byte, 1, 0) <= 0);
    sb_socket_close(&server);
    kit_broker_wait_worker(s.b, "sleeper", "gone");
    sb_socket_close(&v6);
    close_scene(&s);
}

static void short_of_memory_the_broker_says_so(void **state)
{
    fault_need_failpoints();
    (void)state;
    struct scene s;
    open_scene(&s, &(struct kit_start){ .args = { WEB },
                                        .env = { "SOCKBROKER_FAILPOINTS=outbound_memory=ENOMEM*1,"
                                                 "dial_socket=EMFILE*1" } });
    int v6 = listen_at("::1", 16);
    must(&s, SOCKBROKER_NO_MEMORY, ask_host(&s, "::1"));
    must(&s, SOCKBROKER_NO_DESCRIPTORS, ask_host(&s, "::1"));
    must_say(s.error.text, "Raise the limit");
    must(&s, SOCKBROKER_OK, ask_host(&s, "::1"));
    must_be_connected(&s, v6, "::1", "::1");
    sb_socket_close(&v6);
    close_scene(&s);
}

static void the_broker_stops_while_a_race_runs(void **state)
{
    struct hole v4, v6;

    (void)state;
    need_place();
    open_hole(&v4, "127.0.0.1");
    open_hole(&v6, "::1");
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { WEB } });
    struct kit_process *p = start_asker(b, "asker", NULL);
    kit_process_tell(p, "connect localhost 4000 600000");
    wait_under_way(2);
    kit_broker_stop(b);
    kit_process_wait_log(p, "\nfailed "); /* at once, not at its deadline */
    end_asker(p);
    close_hole(&v4);
    close_hole(&v6);
}

/* ---- many ---- */

struct caller {
    struct sockbroker_worker *worker;
    const char *host;
    pthread_t thread;
    sockbroker_status status;
    struct sockbroker_error error;
    struct sockbroker_conn conn;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    struct sockbroker_connect_options o = SOCKBROKER_CONNECT_OPTIONS_INIT;

    o.host = c->host;
    o.port = PORT;
    o.deadline_ms = 600000;
    c->status = sockbroker_worker_connect(c->worker, &o, &c->conn, NULL, NULL, &c->error);
    return NULL;
}

static void start_callers(struct caller *callers, unsigned n, struct sockbroker_worker *worker, const char *host)
{
    for (unsigned i = 0; i < n; i++) {
        callers[i] = (struct caller){ .worker = worker, .host = host, .conn.sock = SOCKBROKER_SOCKET_NONE };
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
}

static void join_callers(struct caller *callers, unsigned n, sockbroker_status expected)
{
    for (unsigned i = 0; i < n; i++) {
        pthread_join(callers[i].thread, NULL);
        if (callers[i].status != expected)
            kit_fail("caller %u: %s: %s", i, sockbroker_status_name(callers[i].status), callers[i].error.text);
        sb_socket_close(&callers[i].conn.sock);
    }
}

static void sixty_four_at_once_are_all_connected(void **state)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    struct sockbroker_worker *workers[4];
    static struct caller callers[4 * AT_ONCE_PER_WORKER];
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    int v6 = listen_at("::1", 4096);
    for (unsigned i = 0; i < 4; i++)
        workers[i] = kit_worker_open(s.b, names[i], "");
    for (unsigned round = 0; round < 2 * kit_scale(); round++) {
        for (unsigned i = 0; i < 4; i++)
            start_callers(callers + i * AT_ONCE_PER_WORKER, AT_ONCE_PER_WORKER, workers[i], "localhost");
        join_callers(callers, 4 * AT_ONCE_PER_WORKER, SOCKBROKER_OK);
        for (unsigned i = 0; i < 4 * AT_ONCE_PER_WORKER; i++) {
            int server = accept_at(v6);
            char byte;

            assert_int_equal(recv(server, &byte, 1, 0), 0); /* each one is somebody's, and was closed */
            sb_socket_close(&server);
        }
    }
    for (unsigned i = 0; i < 4; i++)
        sockbroker_worker_close(workers[i]);
    sb_socket_close(&v6);
    close_scene(&s);
}

static void one_too_many_is_told_to_wait(void **state)
{
    static struct caller callers[AT_ONCE_PER_WORKER];
    struct hole hole;
    struct scene s;

    (void)state;
    open_plain_scene(&s);
    open_hole(&hole, "127.0.0.1");
    struct sockbroker_worker *busy = kit_worker_open(s.b, "busy", "");
    kit_broker_wait_ready(s.b, 2);
    start_callers(callers, AT_ONCE_PER_WORKER, busy, "127.0.0.1");
    wait_under_way(AT_ONCE_PER_WORKER);
    struct sockbroker_worker *own = s.worker;
    s.worker = busy;
    must(&s, SOCKBROKER_BUSY, ask_host(&s, "127.0.0.1"));
    must_say(s.error.text, "16 connections are being made for this worker; ask again later");
    s.worker = own; /* others have their own */
    must(&s, SOCKBROKER_SYSTEM, ask_host(&s, "::1"));
    assert_int_equal(listen(hole.sock, 64), 0); /* no hole any more: the SYNs are repeated */
    join_callers(callers, AT_ONCE_PER_WORKER, SOCKBROKER_OK);
    sockbroker_worker_close(busy);
    kit_broker_wait_worker(s.b, "busy", "gone");
    close_hole(&hole);
    close_scene(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(other_users_need_rules),
        TEST(other_users_need_leave_to_attach_for_this_alone),
        TEST(a_worker_killed_while_the_race_runs_leaves_nothing),
        TEST(a_worker_killed_after_the_grant_leaves_nothing),
        TEST(short_of_memory_the_broker_says_so),
        TEST(the_broker_stops_while_a_race_runs),
        TEST(sixty_four_at_once_are_all_connected),
        TEST(one_too_many_is_told_to_wait),
    };

    kit_filter(argc, argv);
    return cmocka_run_group_tests(tests, enter, NULL);
}
