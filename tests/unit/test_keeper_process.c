/* What keeper.h promises, with puppets for brokers: this program is started again by the keeper, connects to the test, and does
 * what it is told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/keeper.h"
#include "broker/keeper_items.h"
#include "broker/keeper_link.h"
#include "proto/socket.h"
#include "proto/xfer.h"
#include "tests/support/format.h"
#include "tests/unit/unit.h"

#define LINE_MAX_LEN 512

/* ---- a puppet ---- */

static int test; /* the way to it */

static void call_test(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    test = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    format_text(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (connect(test, (struct sockaddr *)&at, sizeof(at)))
        _exit(99);
}

static unsigned n_taken;

/* "LABEL:NUMBER " for each thing the keeper gives, cut to the answer's room. */
static void take_all(int keeper, char *answer)
{
    struct sb_keeper_packet p = { .word = SB_KEEPER_PUT };
    size_t at = 0;

    answer[0] = '\0';
    while (p.word != SB_KEEPER_END) {
        struct stat st;

        unit_wait_readable(keeper);
        if (sb_keeper_receive(keeper, &p) || p.word == SB_KEEPER_END)
            continue;
        fstat(p.passenger, &st);
        if (at < LINE_MAX_LEN)
            at += (size_t)snprintf(answer + at, LINE_MAX_LEN - at, "%s:%llu ", p.label, (unsigned long long)st.st_ino);
        sb_socket_close(&p.passenger);
        n_taken++;
    }
}

static void put(int keeper, const char *label, char *answer)
{
    int thing = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct stat st;

    fstat(thing, &st);
    sb_keeper_send(keeper, SOCKBROKER_SOCKET_NONE, SB_KEEPER_PUT, label, thing);
    close(thing);
    format_text(answer, LINE_MAX_LEN, "%s:%llu ", label, (unsigned long long)st.st_ino);
}

static void wait_for_keeper(int keeper)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        _exit(98);
    sb_keeper_send(keeper, SOCKBROKER_SOCKET_NONE, SB_KEEPER_BARRIER, "", ends[1]);
    close(ends[1]);
    unit_poll(ends[0], POLLIN, UNIT_PATIENCE_MS);
    close(ends[0]);
}

static void follow(int keeper, const char *pid, char *answer)
{
    int ends[2];
    char yes;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        _exit(98);
    sb_keeper_send(keeper, SOCKBROKER_SOCKET_NONE, SB_KEEPER_FOLLOW, pid, ends[1]);
    close(ends[1]);
    unit_wait_readable(ends[0]);
    strcpy(answer, recv(ends[0], &yes, 1, MSG_DONTWAIT) == 1 ? "yes" : "no");
    close(ends[0]);
}

static void obey(const char *path, int keeper, const char *order, char *answer)
{
    strcpy(answer, "done");
    if (!strcmp(order, "take"))
        take_all(keeper, answer);
    else if (!strncmp(order, "put ", 4))
        put(keeper, order + 4, answer);
    else if (!strncmp(order, "drop ", 5))
        sb_keeper_send(keeper, SOCKBROKER_SOCKET_NONE, SB_KEEPER_DROP, order + 5, SOCKBROKER_SOCKET_NONE);
    else if (!strcmp(order, "ready"))
        sb_keeper_send(keeper, SOCKBROKER_SOCKET_NONE, SB_KEEPER_READY, "", SOCKBROKER_SOCKET_NONE);
    else if (!strcmp(order, "count"))
        format_text(answer, LINE_MAX_LEN, "%u", n_taken);
    else if (!strcmp(order, "pid"))
        format_text(answer, LINE_MAX_LEN, "%d %d", (int)getpid(), (int)getppid());
    else if (!strncmp(order, "follow ", 7))
        follow(keeper, order + 7, answer);
    else if (!strcmp(order, "rename"))
        sb_keeper_send(keeper, SOCKBROKER_SOCKET_NONE, SB_KEEPER_RENAME, "", SOCKBROKER_SOCKET_NONE);
    else if (!strncmp(order, "exit ", 5))
        _exit(atoi(order + 5));
    else if (!strcmp(order, "kill"))
        raise(SIGKILL);
    else if (!strcmp(order, "fork") && fork() == 0)
        call_test(path);
    wait_for_keeper(keeper);
}

static void say_signal(int number)
{
    (void)number;
    (void)!write(test, "signal", 7);
}

static int be_puppet(const char *path)
{
    int keeper = atoi(getenv(SB_KEEPER_VARIABLE));
    char order[LINE_MAX_LEN], answer[LINE_MAX_LEN];
    sigset_t none;

    call_test(path);
    signal(SIGHUP, say_signal);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (;;) {
        ssize_t n = recv(test, order, sizeof(order) - 1, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 97;
        order[n] = '\0';
        obey(path, keeper, order, answer);
        if (send(test, answer, strlen(answer) + 1, MSG_NOSIGNAL) < 0)
            return 96;
    }
}

/* ---- the test's side ---- */

struct stage {
    char path[108];
    int door;
    pid_t keeper;
};

static void open_stage(struct stage *s, uint32_t restarts)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    static char name[] = "puppet";
    char *argv[] = { name, s->path, NULL };
    struct sb_keeper_options options = { argv, restarts, 60000, SB_LOG_INFO };

    format_text(s->path, sizeof(s->path), "%s", unit_path("door"));
    format_text(at.sun_path, sizeof(at.sun_path), "%s", s->path);
    s->door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->door, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->door, 8), 0);
    s->keeper = fork();
    if (s->keeper == 0) {
        freopen("/dev/null", "w", stderr);
        _exit(sb_keeper_run(&options));
    }
}

static int end_code(struct stage *s)
{
    int status;

    assert_int_equal(waitpid(s->keeper, &status, 0), s->keeper);
    close(s->door);
    unit_folder_remove();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int next_puppet(struct stage *s)
{
    assert_true(unit_wait_readable(s->door));
    int sock = accept4(s->door, NULL, NULL, SOCK_CLOEXEC);
    assert_true(sock >= 0);
    return sock;
}

static const char *hear(int puppet)
{
    static char answer[LINE_MAX_LEN];

    assert_true(unit_wait_readable(puppet));
    ssize_t n = recv(puppet, answer, sizeof(answer) - 1, 0);
    answer[n > 0 ? n : 0] = '\0';
    return answer;
}

static const char *ask(int puppet, const char *order)
{
    assert_true(send(puppet, order, strlen(order), MSG_NOSIGNAL) > 0);
    return hear(puppet);
}

/* It ends; there is no answer. */
static void end_puppet(int *puppet, const char *order)
{
    assert_true(send(*puppet, order, strlen(order), MSG_NOSIGNAL) > 0);
    sb_socket_close(puppet);
}

static int ready_puppet(struct stage *s)
{
    int puppet = next_puppet(s);

    ask(puppet, "take");
    ask(puppet, "ready");
    return puppet;
}

/* ---- what it keeps ---- */

static void next_broker_gets_what_was_kept(void **state)
{
    char first[LINE_MAX_LEN], second[LINE_MAX_LEN], both[2 * LINE_MAX_LEN];
    struct stage s;

    (void)state;
    open_stage(&s, 10);
    int p = next_puppet(&s);
    assert_string_equal(ask(p, "take"), "");
    strcpy(first, ask(p, "put a/1"));
    ask(p, "put b/1");
    ask(p, "put c/1");
    ask(p, "drop b/1");
    ask(p, "drop nothing");
    strcpy(second, ask(p, "put c/1")); /* another one under the same label */
    ask(p, "ready");
    end_puppet(&p, "kill");
    p = next_puppet(&s);
    format_text(both, sizeof(both), "%s%s", first, second);
    assert_string_equal(ask(p, "take"), both);
    ask(p, "ready");
    end_puppet(&p, "kill");
    p = next_puppet(&s);
    assert_string_equal(ask(p, "take"), both);
    ask(p, "ready");
    end_puppet(&p, "exit 0");
    assert_int_equal(end_code(&s), 0);
}

/* More than the kernel holds for one pair: it goes on when the broker reads. */
static void many_things_are_handed_over(void **state)
{
    struct stage s;
    char order[32];

    (void)state;
    open_stage(&s, 10);
    int p = next_puppet(&s);
    ask(p, "take");
    for (unsigned i = 0; i < 600; i++) {
        format_text(order, sizeof(order), "put %u", i);
        ask(p, order);
    }
    ask(p, "ready");
    end_puppet(&p, "kill");
    p = next_puppet(&s);
    ask(p, "take");
    assert_string_equal(ask(p, "count"), "600");
    ask(p, "ready");
    end_puppet(&p, "exit 3");
    assert_int_equal(end_code(&s), 3);
}

/* ---- how it ends ---- */

static void documented_ends_are_passed_on(void **state)
{
    (void)state;
    for (int code = 0; code <= 3; code++) {
        struct stage s;
        char order[16];

        open_stage(&s, 10);
        int p = code % 2 ? next_puppet(&s) : ready_puppet(&s);
        format_text(order, sizeof(order), "exit %d", code);
        end_puppet(&p, order);
        assert_int_equal(end_code(&s), code);
    }
}

static void other_ends_are_followed_up_to_the_limit(void **state)
{
    struct stage s;

    (void)state;
    open_stage(&s, 2);
    for (unsigned i = 0; i < 3; i++) {
        int p = i == 1 ? next_puppet(&s) : ready_puppet(&s);

        end_puppet(&p, i == 1 ? "exit 1" : "exit 4"); /* 1 is no end of a broker that was to go on */
    }
    assert_int_equal(end_code(&s), 4);
}

static void death_while_stopping_is_the_end(void **state)
{
    struct stage s;

    (void)state;
    open_stage(&s, 10);
    int p = ready_puppet(&s);
    kill(s.keeper, SIGTERM); /* the puppet dies of it */
    assert_int_equal(end_code(&s), 128 + SIGTERM);
    close(p);
}

static void signals_are_passed_on(void **state)
{
    struct stage s;

    (void)state;
    open_stage(&s, 10);
    int p = ready_puppet(&s);
    kill(s.keeper, SIGHUP);
    assert_string_equal(hear(p), "signal");
    end_puppet(&p, "exit 0");
    assert_int_equal(end_code(&s), 0);
}

static bool is_gone(void *pid)
{
    return kill(*(pid_t *)pid, 0) && errno == ESRCH;
}

static void broker_dies_with_its_keeper(void **state)
{
    struct stage s;
    pid_t pid;

    (void)state;
    open_stage(&s, 10);
    int p = ready_puppet(&s);
    pid = (pid_t)strtol(ask(p, "pid"), NULL, 10);
    kill(s.keeper, SIGKILL);
    assert_int_equal(end_code(&s), 128 + SIGKILL);
    assert_true(unit_wait_for(is_gone, &pid));
    close(p);
}

/* ---- another process takes over ---- */

/* Both say that it is done. */
static int fork_puppet(struct stage *s, int old)
{
    ask(old, "fork");
    int new = next_puppet(s);

    hear(new);
    return new;
}

static pid_t pid_of(int puppet)
{
    return (pid_t)strtol(ask(puppet, "pid"), NULL, 10);
}

static pid_t parent_of(int puppet)
{
    return (pid_t)strtol(strchr(ask(puppet, "pid"), ' '), NULL, 10);
}

/* The one that began goes, and its end is no end; what the follower does not name is dropped. */
static void follower_is_the_broker(void **state)
{
    struct stage s;
    char order[32], kept[LINE_MAX_LEN];

    (void)state;
    open_stage(&s, 10);
    int old = ready_puppet(&s);
    ask(old, "put a");
    ask(old, "put b");
    int new = fork_puppet(&s, old);
    format_text(order, sizeof(order), "follow %d", (int)pid_of(new));
    assert_string_equal(ask(new, order), "yes");
    ask(new, "rename");
    strcpy(kept, ask(new, "put b"));
    end_puppet(&old, "exit 0");
    ask(new, "ready");
    while (parent_of(new) != s.keeper)
        continue; /* as soon as the old one is gone */
    kill(s.keeper, SIGHUP);
    assert_string_equal(hear(new), "signal");
    end_puppet(&new, "kill");
    new = next_puppet(&s);
    assert_string_equal(ask(new, "take"), kept);
    ask(new, "ready");
    end_puppet(&new, "exit 0");
    assert_int_equal(end_code(&s), 0);
}

/* It has begun to name what it has, and dies before it is ready. */
static void follower_that_is_not_ready_drops_nothing(void **state)
{
    struct stage s;
    char order[32], a[LINE_MAX_LEN], kept[2 * LINE_MAX_LEN];

    (void)state;
    open_stage(&s, 10);
    int old = ready_puppet(&s);
    strcpy(a, ask(old, "put a"));
    int new = fork_puppet(&s, old);
    format_text(order, sizeof(order), "follow %d", (int)pid_of(new));
    assert_string_equal(ask(new, order), "yes");
    ask(new, "rename");
    format_text(kept, sizeof(kept), "%s%s", a, ask(new, "put b"));
    end_puppet(&old, "exit 0");
    while (parent_of(new) != s.keeper)
        continue;
    end_puppet(&new, "kill");
    new = next_puppet(&s);
    assert_string_equal(ask(new, "take"), kept);
    ask(new, "ready");
    end_puppet(&new, "kill");
    new = next_puppet(&s);
    assert_string_equal(ask(new, "take"), kept);
    ask(new, "ready");
    end_puppet(&new, "exit 0");
    assert_int_equal(end_code(&s), 0);
}

struct passing {
    pid_t keeper;
    int puppet;
};

/* The keeper passes signals on to the one that is the broker. */
static bool hears_signals(void *arg)
{
    struct passing *p = arg;

    kill(p->keeper, SIGHUP);
    return unit_poll(p->puppet, POLLIN, 10) != 0;
}

static void old_one_goes_on_when_the_follower_dies(void **state)
{
    struct stage s;
    char order[32];

    (void)state;
    open_stage(&s, 10);
    int old = ready_puppet(&s);
    int new = fork_puppet(&s, old);
    format_text(order, sizeof(order), "follow %d", (int)pid_of(new));
    assert_string_equal(ask(new, order), "yes");
    end_puppet(&new, "kill");
    assert_true(unit_wait_for(hears_signals, &(struct passing){ s.keeper, old }));
    assert_int_equal(send(old, "exit 0", 6, MSG_NOSIGNAL), 6); /* closed with signals unread it would be a reset */
    assert_int_equal(end_code(&s), 0);
    close(old);
}

/* A number without a process, a process of nobody we know, and the broker itself. */
static void nonsense_is_not_followed(void **state)
{
    struct stage s;

    (void)state;
    open_stage(&s, 10);
    int p = ready_puppet(&s);
    assert_string_equal(ask(p, "follow 0"), "no");
    assert_string_equal(ask(p, "follow -1"), "no");
    assert_string_equal(ask(p, "follow x"), "no");
    assert_string_equal(ask(p, "follow 4194305"), "no");
    end_puppet(&p, "exit 2");
    assert_int_equal(end_code(&s), 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(next_broker_gets_what_was_kept),
        UNIT_TEST(many_things_are_handed_over),
        UNIT_TEST(documented_ends_are_passed_on),
        UNIT_TEST(other_ends_are_followed_up_to_the_limit),
        UNIT_TEST(death_while_stopping_is_the_end),
        UNIT_TEST(signals_are_passed_on),
        UNIT_TEST(broker_dies_with_its_keeper),
        UNIT_TEST(follower_is_the_broker),
        UNIT_TEST(follower_that_is_not_ready_drops_nothing),
        UNIT_TEST(old_one_goes_on_when_the_follower_dies),
        UNIT_TEST(nonsense_is_not_followed),
    };

    if (argc > 1 && sb_keeper_is_ours())
        return be_puppet(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
