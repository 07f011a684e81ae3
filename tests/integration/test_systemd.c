/* The service manager gives sockets and keeps them: socket activation, the descriptor store. The test is the manager. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/socket.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"
#include "tests/support/kit_keeper.h"
#include "tests/support/kit_kinds.h"
#include "tests/support/kit_upgrade.h"
#include "tests/support/net.h"

/* ---- the manager ---- */

struct manager {
    char dir[32];
    char path[64];
    char variable[96];
    int sock;
};

static void open_manager(struct manager *m)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    strcpy(m->dir, "/tmp/sbkit-notify-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    format_text(m->path, sizeof(m->path), "%s/notify", m->dir);
    format_text(m->variable, sizeof(m->variable), "NOTIFY_SOCKET=%s", m->path);
    format_text(at.sun_path, sizeof(at.sun_path), "%s", m->path);
    m->sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(m->sock, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void close_manager(struct manager *m)
{
    close(m->sock);
    unlink(m->path);
    rmdir(m->dir);
}

struct stored {
    char name[300];
    int fd;
};

/* One message; descriptor_out is -1 when none came. False: nothing is there. */
static bool hear(struct manager *m, char *text, size_t room, int *descriptor_out)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { text, room - 1 };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)
    };
    ssize_t n = recvmsg(m->sock, &message, MSG_CMSG_CLOEXEC);

    if (n < 0)
        return false;
    text[n] = '\0';
    *descriptor_out = -1;
    if (CMSG_FIRSTHDR(&message))
        memcpy(descriptor_out, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(*descriptor_out));
    return true;
}

static void remove_stored(struct stored *s, unsigned *n, const char *name)
{
    for (unsigned i = 0; i < *n; i++) {
        if (strcmp(s[i].name, name))
            continue;
        close(s[i].fd);
        s[i] = s[--*n];
        return;
    }
}

/* Does what the manager does until it hears READY=1; how many it has in its store then. */
static void serve_as_manager(struct manager *m, struct stored *s, unsigned *n, const char *until)
{
    char text[512];
    bool is_over = false;
    int fd;

    while (!is_over) {
        kit_until(hear(m, text, sizeof(text), &fd));
        const char *name = strstr(text, "FDNAME=");

        is_over = strstr(text, until) != NULL;
        if (strstr(text, "FDSTORE=1") && name && fd >= 0) {
            format_text(s[*n].name, sizeof(s[*n].name), "%.*s", (int)strcspn(name + 7, "\n"), name + 7);
            s[(*n)++].fd = fd;
        } else {
            if (strstr(text, "FDSTOREREMOVE=1") && name)
                remove_stored(s, n, name + 7);
            if (fd >= 0)
                close(fd);
        }
    }
}

/* `exec` keeps the pid that the shell put into LISTEN_PID. */
static struct kit_process *start_by_manager(struct manager *m, const char *dir, const int *given, unsigned n, const char *names,
                                            const char *endpoint)
{
    char order[1024];

    format_text(order, sizeof(order),
                "LISTEN_PID=$$ LISTEN_FDS=%u LISTEN_FDNAMES='%s' exec " SB_BROKER_EXE
                " serve --set keeper=systemd --dir %s --endpoint '%s'",
                n, names, dir, endpoint);
    return kit_process_start(
        "broker", "/bin/sh",
        &(struct kit_start){ .args = { "-c", order }, .env = { m->variable }, .give = given, .n_give = n });
}

static int listen_at(const char *host, uint16_t *port_out)
{
    struct sockaddr_storage at;
    socklen_t len = net_address(host, 0, &at);
    int sock = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(sock, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(sock, 16), 0);
    *port_out = net_port(sock);
    return sock;
}

/* ---- what it gives comes back ---- */

/* From a socket unit at first, then from the store: the queue outlives the broker without any keeper. */
static void descriptor_store_does_the_keepers_job(void **state)
{
    struct manager m;
    struct stored s[16];
    unsigned n = 0;
    uint16_t port;
    char dir[] = "/tmp/sbkit-XXXXXX", endpoint[64], names[1024] = "web.socket";
    int given[8] = { listen_at("127.0.0.1", &port) };
    uint64_t number = sb_socket_identity(given[0]);

    (void)state;
    assert_non_null(mkdtemp(dir));
    open_manager(&m);
    format_text(endpoint, sizeof(endpoint), "web=127.0.0.1:%u,hold_max=0", port);
    struct kit_process *p = start_by_manager(&m, dir, given, 1, names, endpoint);
    serve_as_manager(&m, s, &n, "READY=1");
    close(given[0]);
    assert_int_equal(n, 1);
    assert_int_equal(strncmp(s[0].name, "listener/web/", 13), 0);
    assert_int_equal(sb_socket_identity(s[0].fd), number);
    sockbroker_socket sock = kit_connect(NULL, "127.0.0.1", port);
    kit_process_kill(p);
    p = start_by_manager(&m, dir, &s[0].fd, 1, s[0].name, endpoint);
    serve_as_manager(&m, s, &n, "READY=1");
    assert_int_equal(n, 1); /* it knows that this one is there */
    struct kit_broker b = { .process = p };
    format_text(b.dir, sizeof(b.dir), "%s", dir);
    struct kit_process *w = kit_worker_start(&b, "w", "hello", NULL);
    assert_int_equal(fault_answers_by(&sock, 1, "w"), 1);
    kit_worker_stop(w);
    assert_int_equal(kit_run((const char *const[]){ "pause", "web", "--dir", dir, NULL }, NULL, 0), 0);
    serve_as_manager(&m, s, &n, "FDNAME=paused/web");
    assert_int_equal(n, 2);
    kit_process_ask_end(p);
    serve_as_manager(&m, s, &n, "STOPPING=1"); /* a pause does not outlive an ordered stop */
    assert_int_equal(kit_process_wait(p), 0);
    assert_int_equal(n, 1); /* a restart of the service finds it there */
    kit_process_free(p);
    close(s[0].fd);
    close_manager(&m);
    format_text(names, sizeof(names), "%s/lock", dir);
    unlink(names);
    rmdir(dir);
}

/* The store does not forget by itself what the new broker does not have any more, nor does it want a thing twice. */
static void upgrade_goes_on_with_the_descriptor_store(void **state)
{
    static const char both[] = "endpoint stays { address = \"[::]:0\" }\nendpoint goes { address = \"[::]:0\" }\n";
    static const char one[] = "endpoint stays { address = \"[::]:0\" }\n";
    struct manager m;
    struct stored s[16];
    unsigned n = 0;
    struct kit_config f;

    (void)state;
    kit_config_open(&f, both);
    open_manager(&m);
    struct kit_broker *b = kit_broker_launch(
        &(struct kit_start){ .args = { "--config", f.path, "--set", "keeper=systemd" }, .env = { m.variable } });
    serve_as_manager(&m, s, &n, "READY=1");
    assert_int_equal(n, 2);
    uint16_t stays = kit_broker_port(b, "stays"), goes = kit_broker_port(b, "goes");
    kit_config_write(&f, one);
    struct kit_process *command = kit_upgrade_start(b, NULL);
    serve_as_manager(&m, s, &n, "MAINPID=");
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_free(command);
    kit_upgrade_follow(b, 0);
    assert_int_equal(n, 1);
    assert_int_equal(strncmp(s[0].name, "listener/stays/", 15), 0);
    assert_int_equal(net_port(s[0].fd), stays);
    kit_until(kit_is_refused("127.0.0.1", goes));
    command = kit_upgrade_start(b, NULL); /* as it is */
    serve_as_manager(&m, s, &n, "MAINPID=");
    assert_int_equal(kit_process_wait(command), 0);
    kit_process_free(command);
    kit_upgrade_follow(b, 0);
    assert_int_equal(n, 1);
    assert_int_equal(kit_broker_port(b, "stays"), stays);
    kit_broker_stop(b);
    serve_as_manager(&m, s, &n, "STOPPING=1");
    assert_int_equal(n, 1);
    close(s[0].fd);
    close_manager(&m);
    kit_config_close(&f);
}

/* The keeper takes them too: by the endpoint's name, and by any other for who asks for just that address. What nobody asks for
 * is closed. */
static void activated_sockets_are_adopted(void **state)
{
    uint16_t ports[3];
    int given[3] = { listen_at("127.0.0.1", &ports[0]), listen_at("::1", &ports[1]), listen_at("127.0.0.1", &ports[2]) };
    uint64_t numbers[2] = { sb_socket_identity(given[0]), sb_socket_identity(given[1]) };
    struct kit_kinds kinds;
    char dir[] = "/tmp/sbkit-XXXXXX", order[1024], path[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    format_text(order, sizeof(order),
                "LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=web:unknown:unknown exec " SB_BROKER_EXE
                " serve --dir %s --endpoint web=127.0.0.1:0 --endpoint other=[::1]:%u",
                dir, ports[1]);
    struct kit_process *p =
        kit_process_start("broker", "/bin/sh", &(struct kit_start){ .args = { "-c", order }, .give = given, .n_give = 3 });
    struct kit_broker b = { .process = p };
    format_text(b.dir, sizeof(b.dir), "%s", dir);
    kit_process_wait_log(p, "event=ready");
    for (unsigned i = 0; i < 3; i++)
        close(given[i]);
    assert_int_equal(kit_broker_port(&b, "web"), ports[0]);
    assert_int_equal(kit_broker_port(&b, "other"), ports[1]);
    kit_until(kit_is_refused("127.0.0.1", ports[2]));
    kit_keeper_crash(&b);
    assert_int_equal(kit_broker_port(&b, "web"), ports[0]);
    assert_int_equal(kit_listener_number(AF_INET, ports[0]), numbers[0]);
    assert_int_equal(kit_listener_number(AF_INET6, ports[1]), numbers[1]);
    kit_kinds_of(p->pid, &kinds);
    assert_int_equal(kit_kinds_count(&kinds, "socket"), 1 + 2);
    kit_process_ask_end(p);
    assert_int_equal(kit_process_wait(p), 0);
    kit_process_free(p);
    format_text(path, sizeof(path), "%s/lock", dir);
    unlink(path);
    rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(descriptor_store_does_the_keepers_job),
        cmocka_unit_test_setup_teardown(upgrade_goes_on_with_the_descriptor_store, kit_upgrade_setup, kit_upgrade_teardown),
        TEST(activated_sockets_are_adopted),
    };

    return kit_main(tests, argc, argv);
}
