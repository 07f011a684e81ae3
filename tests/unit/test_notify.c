/* What notify.h promises: the datagrams of sd_notify(3), and nothing at all without a manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/notify.h"
#include "proto/clock.h"
#include "tests/support/format.h"

/* ---- support: a manager ---- */

static char dir[32], path[64];
static int manager = -1;
static int n_open;

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

/* Binds at `path`; a leading @ stands for the abstract name space. */
static void listen_at(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

    memcpy(at.sun_path, name, strlen(name));
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(manager >= 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&at, name[0] == '@' ? len : (socklen_t)sizeof(at)), 0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static int setup(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    n_open = count_descriptors();
    strcpy(dir, "/tmp/sb_notify_XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    format_text(path, sizeof(path), "%s/notify", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (manager >= 0)
        close(manager);
    manager = -1;
    unlink(path);
    rmdir(dir);
    return count_descriptors() == n_open ? 0 : -1;
}

/* What the manager was told; "" when nothing. Local datagrams are there when sendto() returns. */
static const char *told(void)
{
    static char message[1024];
    ssize_t len = recv(manager, message, sizeof(message) - 1, MSG_DONTWAIT);

    message[len > 0 ? len : 0] = '\0';
    return message;
}

/* ---- tests ---- */

static void manager_is_told_ready_with_status(void **state)
{
    (void)state;
    listen_at(path);
    sb_notify_ready("2 endpoints, 0 workers");
    assert_string_equal(told(), "READY=1\nSTATUS=2 endpoints, 0 workers");
    sb_notify_ready(NULL);
    assert_string_equal(told(), "READY=1");
    sb_notify_ready("");
    assert_string_equal(told(), "READY=1\nSTATUS=");
    assert_string_equal(told(), "");
}

static void reloading_carries_the_monotonic_time(void **state)
{
    uint64_t before_us = sb_clock_ns() / 1000, told_us;
    const char *message;

    (void)state;
    listen_at(path);
    sb_notify_reloading();
    message = told();
    assert_int_equal(strncmp(message, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    told_us = strtoull(message + 27, NULL, 10);
    assert_true(told_us >= before_us && told_us <= sb_clock_ns() / 1000);
}

static void stopping_is_told(void **state)
{
    (void)state;
    listen_at(path);
    sb_notify_stopping();
    assert_string_equal(told(), "STOPPING=1");
}

static void abstract_socket_is_reached(void **state)
{
    char name[64];

    (void)state;
    format_text(name, sizeof(name), "@%s", dir);
    listen_at(name);
    sb_notify_stopping();
    assert_string_equal(told(), "STOPPING=1");
}

static void path_of_107_bytes_is_reached(void **state)
{
    struct sockaddr_un at;
    char name[sizeof(at.sun_path)];

    (void)state;
    memset(name, 'x', sizeof(name));
    memcpy(name, dir, strlen(dir));
    name[strlen(dir)] = '/';
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(strlen(name), 107);
    listen_at(name);
    sb_notify_stopping();
    unlink(name);
    assert_string_equal(told(), "STOPPING=1");
}

static void status_cannot_set_another_variable(void **state)
{
    (void)state;
    listen_at(path);
    sb_notify_ready("fine\nSTOPPING=1\x1b[2J");
    assert_string_equal(told(), "READY=1\nSTATUS=fine STOPPING=1 [2J");
}

static void long_status_is_cut(void **state)
{
    char status[1000];

    (void)state;
    memset(status, 's', sizeof(status));
    status[sizeof(status) - 1] = '\0';
    listen_at(path);
    sb_notify_ready(status);
    assert_int_equal(strncmp(told(), "READY=1\nSTATUS=ssss", 19), 0);
}

static void nothing_happens_without_a_manager(void **state)
{
    static const char *const names[] = { "", "@", "/", "relative", "/nonexistent/notify", "vsock:2:1234" };

    (void)state;
    sb_notify_ready("x");
    sb_notify_reloading();
    sb_notify_stopping();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        sb_notify_ready("x");
    }
    assert_int_equal(count_descriptors(), n_open);
}

static void path_of_108_bytes_is_left_alone(void **state)
{
    char name[109];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[0] = '/';
    name[108] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    sb_notify_ready("x");
    assert_int_equal(count_descriptors(), n_open);
}

static void manager_that_stopped_reading_holds_nobody_for_long(void **state)
{
    uint64_t begin_ns;

    (void)state;
    listen_at(path);
    begin_ns = sb_clock_ns();
    for (int i = 0; i < 15; i++) /* net.unix.max_dgram_qlen is 10, or more on large machines */
        sb_notify_stopping();
    assert_true(sb_clock_ns() - begin_ns < UINT64_C(15000000000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(manager_is_told_ready_with_status),
        TEST(reloading_carries_the_monotonic_time),
        TEST(stopping_is_told),
        TEST(abstract_socket_is_reached),
        TEST(path_of_107_bytes_is_reached),
        TEST(status_cannot_set_another_variable),
        TEST(long_status_is_cut),
        TEST(nothing_happens_without_a_manager),
        TEST(path_of_108_bytes_is_left_alone),
        TEST(manager_that_stopped_reading_holds_nobody_for_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
