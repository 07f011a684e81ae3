/* One child process (broker/spawn.h): what it gets, and how its end is told. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/config_keys.h"
#include "broker/process.h"
#include "broker/spawn.h"

/* ---- support ---- */

/* A shell that runs the text, with standard output into a file whose content comes back. */
struct outcome {
    char said[8192];
    char how[SB_CHILD_END_MAX];
};

static void fill(struct sb_text_list *list, const char *const *texts)
{
    *list = (struct sb_text_list){ 0 };
    for (size_t i = 0; texts[i]; i++)
        assert_status(SOCKBROKER_OK, sb_text_list_add("", list, texts[i], NULL));
}

static struct sb_child must_spawn(const char *const *words, const char *const *variables, const struct sb_account *user)
{
    struct sb_text_list command, environment;
    struct sb_child child = SB_CHILD_NONE;
    struct sockbroker_error error;

    fill(&command, words);
    fill(&environment, variables);
    const struct sb_spawn_request request = { &command, &environment, user, SOCKBROKER_SOCKET_NONE };
    sockbroker_status st = sb_spawn(&request, &child, &error);
    if (st)
        fail_msg("%s", error.text);
    sb_text_list_clear(&command);
    sb_text_list_clear(&environment);
    return child;
}

static const char *const plain[] = { "PATH=/usr/bin:/bin", NULL };

static struct sb_child must_start_shell(const char *text)
{
    return must_spawn((const char *const[]){ "/bin/sh", "-c", text, NULL }, plain, NULL);
}

static void bury(struct sb_child *child, char how[SB_CHILD_END_MAX])
{
    assert_true(sb_child_wait(child, UNIT_PATIENCE_MS));
    sb_child_bury(child, how);
}

/* Standard output leads into a file meanwhile. */
static void run(const char *const *words, const char *const *variables, const struct sb_account *user, struct outcome *o)
{
    const char *path = unit_path("said");
    int out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), before = dup(1);

    assert_true(out >= 0 && before >= 0);
    fflush(stdout);
    dup2(out, 1);
    struct sb_child child = must_spawn(words, variables, user);
    bury(&child, o->how);
    dup2(before, 1);
    close(before);
    ssize_t n = pread(out, o->said, sizeof(o->said) - 1, 0);
    o->said[n > 0 ? n : 0] = '\0';
    close(out);
}

static void run_shell(const char *text, struct outcome *o)
{
    run((const char *const[]){ "/bin/sh", "-c", text, NULL }, plain, NULL, o);
}

/* ---- what it gets ---- */

static void a_child_has_three_descriptors_whatever_the_broker_has(void **state)
{
    struct outcome o;
    int kept = open("/dev/null", O_RDONLY); /* inheritable: somebody forgot */
    int high = fcntl(kept, F_DUPFD, 200);

    (void)state;
    run_shell("readlink /proc/$$/fd/0; ls /proc/$$/fd | tr '\\n' ' '; echo $$ >/dev/null", &o);
    close(kept);
    close(high);
    assert_string_equal(o.said, "/dev/null\n0 1 2 ");
    assert_string_equal(o.how, "exited with 0");
}

static void a_child_has_the_environment_it_is_given_and_no_other(void **state)
{
    static const char *const variables[] = { "A=1", "B=two words", "EMPTY=", NULL };
    struct outcome o;

    (void)state;
    run((const char *const[]){ "/usr/bin/env", NULL }, variables, NULL, &o);
    assert_string_equal(o.said, "A=1\nB=two words\nEMPTY=\n");
}

static void a_child_gets_its_arguments_as_they_are(void **state)
{
    struct outcome o;

    (void)state;
    run((const char *const[]){ "printf", "[%s]", "a b", "", "$x", "*", NULL }, plain, NULL, &o); /* found in PATH */
    assert_string_equal(o.said, "[a b][][$x][*]");
}

static void a_child_has_default_signals_and_none_blocked(void **state)
{
    struct outcome o;
    sigset_t set, before;
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    run((const char *const[]){ "/bin/cat", "/proc/self/status", NULL }, plain, NULL, &o);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, pipe_before);
    assert_non_null(strstr(o.said, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
}

static void a_child_leads_a_session_of_its_own(void **state)
{
    struct sb_child child = must_start_shell("exec sleep 60");
    char how[SB_CHILD_END_MAX];

    (void)state;
    assert_true(sb_child_has(&child, child.pid));
    assert_false(sb_child_has(&child, (uint32_t)getpid()));
    while (getsid((pid_t)child.pid) != (pid_t)child.pid) /* it may not be there yet */
        assert_false(sb_child_wait(&child, 1));
    sb_child_end(&child, false);
    bury(&child, how);
    assert_string_equal(how, "was killed by signal 15");
    assert_false(sb_child_has(&child, (uint32_t)getpid()));
}

static void the_descriptor_limit_is_that_of_the_start(void *arg)
{
    struct rlimit low = { 64, 4096 };
    struct outcome o;
    uint64_t now;

    (void)arg;
    UNIT_REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
    sb_process_raise_descriptors(4096, &now);
    UNIT_REQUIRE(now == 4096);
    run_shell("ulimit -Sn; ulimit -Hn", &o);
    UNIT_REQUIRE(!strcmp(o.said, "64\n4096\n"));
    unit_folder_remove(); /* this process has its own */
}

static void a_raised_descriptor_limit_is_not_handed_on(void **state)
{
    (void)state;
    assert_child_succeeds(the_descriptor_limit_is_that_of_the_start, NULL);
}

static void another_user_gets_its_ids_and_its_groups_only(void **state)
{
    struct sb_account account = { .uid = 65534, .gid = 65533, .n_groups = 2, .groups = { 65533, 65532 } };
    struct outcome o;

    (void)state;
    if (geteuid())
        skip();
    run((const char *const[]){ "/bin/grep", "-E", "^(Uid|Gid|Groups|CapEff)", "/proc/self/status", NULL }, plain, &account, &o);
    assert_string_equal(o.said, "Uid:\t65534\t65534\t65534\t65534\nGid:\t65533\t65533\t65533\t65533\nGroups:\t65532 65533 \n"
                                "CapEff:\t0000000000000000\n");
}

static void ask_for_another_user(void *arg)
{
    struct sb_account account = { .uid = 1, .gid = 1 };
    struct sb_text_list command, environment;
    struct sb_child child;
    struct sockbroker_error error;

    (void)arg;
    fill(&command, (const char *const[]){ "/bin/true", NULL });
    fill(&environment, plain);
    const struct sb_spawn_request request = { &command, &environment, &account, SOCKBROKER_SOCKET_NONE };
    UNIT_REQUIRE(geteuid() || setuid(65534) == 0);
    UNIT_REQUIRE(sb_spawn(&request, &child, &error) == SOCKBROKER_PERMISSION);
    UNIT_REQUIRE(strstr(error.text, "/bin/true") && strstr(error.text, "root"));
}

static void only_root_starts_workers_as_somebody_else(void **state)
{
    (void)state;
    assert_child_succeeds(ask_for_another_user, NULL);
}

/* ---- how it ends ---- */

static void the_end_is_told_in_words(void **state)
{
    static const struct {
        const char *text, *how;
    } rows[] = {
        { "exit 0", "exited with 0" },
        { "exit 3", "exited with 3" },
        { "exit 127", "exited with 127" },
        { "kill -9 $$", "was killed by signal 9" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_child child = must_start_shell(rows[i].text);
        char how[SB_CHILD_END_MAX];

        bury(&child, how);
        assert_string_equal(how, rows[i].how);
    }
}

static void a_program_that_is_not_there_is_told_from_one_that_failed(void **state)
{
    static const char *const missing[] = { "/no/such/program", NULL }, *const denied[] = { "/etc/passwd", NULL };
    struct sb_child child = must_spawn(missing, plain, NULL);
    char how[SB_CHILD_END_MAX];

    (void)state;
    bury(&child, how);
    assert_non_null(strstr(how, "could not be started: the program: ENOENT"));
    child = must_spawn(denied, plain, NULL);
    bury(&child, how);
    assert_non_null(strstr(how, "EACCES"));
}

/* Standard output of the grandchild is a pipe, whose end tells that nobody has it any more. */
static void nothing_of_its_group_outlives_a_child(void **state)
{
    int ends[2], before = dup(1);
    char how[SB_CHILD_END_MAX], more[64];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(stdout);
    dup2(ends[1], 1);
    struct sb_child child = must_start_shell("sh -c 'trap \"\" TERM; echo up; sleep 60' & exit 0");
    dup2(before, 1);
    close(before);
    close(ends[1]);
    bury(&child, how);
    assert_string_equal(how, "exited with 0");
    do {
        assert_true(unit_wait_readable(ends[0]));
        n = read(ends[0], more, sizeof(more));
    } while (n > 0);
    assert_int_equal(n, 0);
    close(ends[0]);
}

static void a_child_that_ignores_the_question_is_ended(void **state)
{
    int ends[2], before = dup(1);
    char how[SB_CHILD_END_MAX], said[8];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(stdout);
    dup2(ends[1], 1);
    struct sb_child child = must_start_shell("trap 'echo no' TERM; echo up; while :; do sleep 60; done");
    dup2(before, 1);
    close(before);
    close(ends[1]);
    assert_int_equal(read(ends[0], said, 3), 3);
    kill((pid_t)child.pid, SIGTERM);
    assert_false(sb_child_wait(&child, 0));
    sb_child_end(&child, true);
    bury(&child, how);
    assert_string_equal(how, "was killed by signal 9");
    sb_child_end(&child, true); /* nobody any more */
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_child_has_three_descriptors_whatever_the_broker_has),
        UNIT_TEST(a_child_has_the_environment_it_is_given_and_no_other),
        UNIT_TEST(a_child_gets_its_arguments_as_they_are),
        UNIT_TEST(a_child_has_default_signals_and_none_blocked),
        UNIT_TEST(a_child_leads_a_session_of_its_own),
        UNIT_TEST(a_raised_descriptor_limit_is_not_handed_on),
        UNIT_TEST(another_user_gets_its_ids_and_its_groups_only),
        UNIT_TEST(only_root_starts_workers_as_somebody_else),
        UNIT_TEST(the_end_is_told_in_words),
        UNIT_TEST(a_program_that_is_not_there_is_told_from_one_that_failed),
        UNIT_TEST(nothing_of_its_group_outlives_a_child),
        UNIT_TEST(a_child_that_ignores_the_question_is_ended),
    };

    return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
