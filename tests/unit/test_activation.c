/* What activation.h promises: the descriptors that sd_listen_fds(3) tells of, for this process alone. */
#include "broker/activation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "tests/support/format.h"
#include "tests/unit/unit.h"

struct start {
    const char *pid; /* NULL: this process */
    const char *n;
    const char *names;
    int n_open; /* from 3 on */
};

static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

/* In a child of its own, where the numbers from 3 on are free. */
static sockbroker_status take(const struct start *how, struct sb_given **list)
{
    struct sockbroker_error error;
    char pid[16];

    close_range(3, ~0u, 0);
    for (int i = 0; i < how->n_open; i++)
        UNIT_REQUIRE(socket(AF_INET, SOCK_STREAM, 0) == 3 + i);
    format_text(pid, sizeof(pid), "%d", (int)getpid());
    set("LISTEN_PID", how->pid ? how->pid : pid);
    set("LISTEN_FDS", how->n);
    set("LISTEN_FDNAMES", how->names);
    sockbroker_status st = sb_activation_take(list, &error);
    UNIT_REQUIRE(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES"));
    return st;
}

static void take_named(void *arg)
{
    static const char *const labels[] = { "web", "unknown", "mail.socket", "unknown" };
    struct sb_given *list = NULL;
    struct sb_given *g;
    int i = 0;

    (void)arg;
    UNIT_REQUIRE(!take(&(struct start){ .n = "4", .names = "web::mail.socket", .n_open = 4 }, &list));
    DL_FOREACH(list, g) {
        UNIT_REQUIRE(!strcmp(g->label, labels[i]));
        UNIT_REQUIRE(g->descriptor == 3 + i++);
        UNIT_REQUIRE(fcntl(g->descriptor, F_GETFD) == FD_CLOEXEC);
    }
    UNIT_REQUIRE(i == 4);
    sb_given_clear(&list);
    UNIT_REQUIRE(fcntl(3, F_GETFD) < 0);
}

static void each_has_its_name_or_none(void **state)
{
    (void)state;
    assert_child_succeeds(take_named, NULL);
}

static void take_unnamed(void *arg)
{
    struct sb_given *list = NULL;

    (void)arg;
    UNIT_REQUIRE(!take(&(struct start){ .n = "1", .n_open = 1 }, &list));
    UNIT_REQUIRE(list && !strcmp(list->label, "unknown") && !list->next);
    sb_given_clear(&list);
}

static void names_may_be_missing(void **state)
{
    (void)state;
    assert_child_succeeds(take_unnamed, NULL);
}

static void take_foreign(void *arg)
{
    struct sb_given *list = NULL;

    (void)arg;
    UNIT_REQUIRE(!take(&(struct start){ .pid = "1", .n = "1", .n_open = 1 }, &list));
    UNIT_REQUIRE(!list);
    UNIT_REQUIRE(fcntl(3, F_GETFD) == 0);
}

static void those_of_another_process_are_left_alone(void **state)
{
    (void)state;
    assert_child_succeeds(take_foreign, NULL);
}

static void take_nonsense(void *arg)
{
    static const char *const numbers[] = { NULL, "", "x", "-1", "1x", "99999999999999999999", "70000" };
    struct sb_given *list = NULL;

    (void)arg;
    for (size_t i = 0; i < UNIT_COUNT(numbers); i++) {
        UNIT_REQUIRE(take(&(struct start){ .n = numbers[i] }, &list) == SOCKBROKER_INVALID);
        UNIT_REQUIRE(!list);
    }
    UNIT_REQUIRE(take(&(struct start){ .n = "2", .n_open = 1 }, &list) == SOCKBROKER_INVALID);
    sb_given_clear(&list);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    assert_child_succeeds(take_nonsense, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(each_has_its_name_or_none),
        UNIT_TEST(names_may_be_missing),
        UNIT_TEST(those_of_another_process_are_left_alone),
        UNIT_TEST(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
