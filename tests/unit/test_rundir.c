/* What rundir.h promises: a broker starts only where nobody else can interfere, alone, and harms nothing it finds there. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/rundir.h"
#include "tests/support/format.h"

/* ---- support ---- */

#define NOBODY 65534

static void make_folder(const char *path, mode_t mode)
{
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_file_holds(const char *path, const char *text)
{
    char got[64] = "";
    FILE *f = fopen(path, "re");

    assert_non_null(f);
    assert_true(fread(got, 1, sizeof(got) - 1, f) == strlen(text));
    fclose(f);
    assert_string_equal(got, text);
}

static int bind_at(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(sock, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(sock, 1), 0);
    return sock;
}

static bool leads_to(const char *path, int listener)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, path, strlen(path) + 1);
    bool connected = connect(sock, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(sock);
    int came = connected && unit_poll(listener, POLLIN, 0) ? accept(listener, NULL, NULL) : -1;
    if (came >= 0)
        close(came);
    return came >= 0;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static const char *own_dir(void)
{
    static char dir[SB_RUNDIR_MAX];

    format_text(dir, sizeof(dir), "%s/run", unit_folder());
    return dir;
}

static void assert_refused(sockbroker_status expected, const char *dir, uint32_t mode, const char *word)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    struct sockbroker_error error;

    assert_status(expected, sb_rundir_open(dir, mode, &r, &error));
    assert_int_equal(error.status, expected);
    if (!strstr(error.text, word))
        print_error("\"%s\" is not in \"%s\"\n", word, error.text);
    assert_non_null(strstr(error.text, word));
    assert_int_equal(r.lock, SOCKBROKER_SOCKET_NONE);
}

static void open_dir(struct sb_rundir *r)
{
    struct sockbroker_error error;

    assert_status(SOCKBROKER_OK, sb_rundir_open(own_dir(), 0700, r, &error));
}

/* ---- finding ---- */

static void the_option_goes_before_the_environment_and_that_before_the_default(void **state)
{
    char dir[SB_RUNDIR_MAX];

    (void)state;
    setenv("SOCKBROKER_DIR", "/from/environment", 1);
    assert_status(SOCKBROKER_OK, sb_rundir_find("/from/option", dir, NULL));
    assert_string_equal(dir, "/from/option");
    assert_status(SOCKBROKER_OK, sb_rundir_find(NULL, dir, NULL));
    assert_string_equal(dir, "/from/environment");
    assert_status(SOCKBROKER_OK, sb_rundir_find("", dir, NULL));
    assert_string_equal(dir, "/from/environment");
    setenv("SOCKBROKER_DIR", "", 1);
    if (geteuid() == 0) {
        assert_status(SOCKBROKER_OK, sb_rundir_find(NULL, dir, NULL));
        assert_string_equal(dir, "/run/sockbroker");
    }
    unsetenv("SOCKBROKER_DIR");
}

static void find_as_user(void *arg)
{
    char dir[SB_RUNDIR_MAX];
    struct sockbroker_error error;

    (void)arg;
    UNIT_REQUIRE(geteuid() != 0 || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0));
    setenv("XDG_RUNTIME_DIR", "/run/user/65534", 1);
    UNIT_REQUIRE(sb_rundir_find(NULL, dir, &error) == SOCKBROKER_OK);
    UNIT_REQUIRE(!strcmp(dir, "/run/user/65534/sockbroker"));
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    UNIT_REQUIRE(sb_rundir_find(NULL, dir, &error) == SOCKBROKER_INVALID);
    unsetenv("XDG_RUNTIME_DIR");
    UNIT_REQUIRE(sb_rundir_find(NULL, dir, &error) == SOCKBROKER_INVALID);
    UNIT_REQUIRE(strstr(error.text, "--dir") != NULL);
}

static void users_have_theirs_in_their_runtime_folder_or_must_name_one(void **state)
{
    (void)state;
    unsetenv("SOCKBROKER_DIR");
    assert_child_succeeds(find_as_user, NULL);
}

static void paths_are_made_absolute_and_lose_their_last_slashes(void **state)
{
    static const struct {
        const char *given, *expected;
    } rows[] = {
        { "run", "%s/run" }, { "run/", "%s/run" }, { "./run", "%s/./run" }, { "a/b//", "%s/a/b" },
        { "/", "/" },        { "///", "/" },       { "/a", "/a" },          { "/a/////", "/a" },
    };
    char here[4096];

    (void)state;
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir("/tmp"), 0);
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char dir[SB_RUNDIR_MAX], expected[SB_RUNDIR_MAX];

        format_text(expected, sizeof(expected), rows[i].expected, "/tmp");
        assert_status(SOCKBROKER_OK, sb_rundir_find(rows[i].given, dir, NULL));
        assert_string_equal(dir, expected);
    }
    assert_int_equal(chdir(here), 0);
}

static void a_path_has_at_most_98_bytes(void **state)
{
    static const struct {
        size_t len;
        sockbroker_status expected;
    } rows[] = { { 97, SOCKBROKER_OK },       { 98, SOCKBROKER_OK },       { 99, SOCKBROKER_INVALID },
                 { 107, SOCKBROKER_INVALID }, { 108, SOCKBROKER_INVALID }, { 4095, SOCKBROKER_INVALID },
                 { 9000, SOCKBROKER_INVALID } };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        char given[9002], dir[SB_RUNDIR_MAX] = "untouched";
        struct sockbroker_error error;

        memset(given, 'x', sizeof(given));
        given[0] = '/';
        given[rows[i].len] = '\0';
        assert_status(rows[i].expected, sb_rundir_find(given, dir, &error));
        assert_string_equal(dir, rows[i].expected ? "untouched" : given);
        if (rows[i].expected)
            assert_non_null(strstr(error.text, "98"));
        given[rows[i].len] = '/'; /* slashes at the end do not count */
        given[rows[i].len + 1] = '\0';
        assert_status(rows[i].expected, sb_rundir_find(given, dir, NULL));
    }
}

static void every_name_in_the_longest_directory_fits_a_socket_address(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    char path[SB_PATH_MAX];

    (void)state;
    memset(r.dir, 'x', SB_RUNDIR_MAX - 1);
    r.dir[0] = '/';
    r.generation = 999999;
    sb_rundir_path(r.dir, SB_RUNDIR_HANDOFF, path);
    assert_string_equal(path + SB_RUNDIR_MAX - 1, "/handoff");
    sb_rundir_private_path(&r, SB_RUNDIR_CONTROL, path);
    assert_string_equal(path + SB_RUNDIR_MAX - 1, "/c.999999");
}

static void the_longest_directory_works(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    struct sockbroker_error error;
    char dir[SB_RUNDIR_MAX], path[SB_PATH_MAX];

    (void)state;
    memset(dir, 'x', sizeof(dir));
    dir[SB_RUNDIR_MAX - 1] = '\0';
    memcpy(dir, unit_folder(), strlen(unit_folder()));
    dir[strlen(unit_folder())] = '/';
    assert_status(SOCKBROKER_OK, sb_rundir_open(dir, 0700, &r, &error));
    int sock = bind_at(sb_rundir_private_path(&r, SB_RUNDIR_HANDOFF, path));
    assert_status(SOCKBROKER_OK, sb_rundir_publish(&r, SB_RUNDIR_HANDOFF, &error));
    assert_true(leads_to(sb_rundir_path(dir, SB_RUNDIR_HANDOFF, path), sock));
    close(sock);
    sb_rundir_close(&r);
}

/* ---- trust ---- */

static void a_missing_directory_is_made_with_its_mode_whatever_the_umask(void **state)
{
    static const uint32_t modes[] = { 0700, 0710, 0750, 0711, 0755 };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(modes); i++) {
        struct sb_rundir r = SB_RUNDIR_NONE;
        mode_t before = umask(i % 2 ? 0077 : 0);

        assert_status(SOCKBROKER_OK, sb_rundir_open(own_dir(), modes[i], &r, NULL));
        umask(before);
        assert_int_equal(mode_of(own_dir()), modes[i]);
        assert_int_equal(mode_of(unit_path("run/lock")), 0600);
        sb_rundir_close(&r);
        unit_folder_remove();
    }
}

static void a_directory_with_more_rights_than_asked_is_refused(void **state)
{
    static const struct {
        mode_t has;
        uint32_t asked;
        bool fine;
    } rows[] = {
        { 0700, 0700, true },  { 0500, 0700, true },  { 0700, 0755, true },  { 0750, 0755, true },
        { 0755, 0755, true },  { 0701, 0700, false }, { 0710, 0700, false }, { 0755, 0700, false },
        { 0777, 0755, false }, { 0755, 0711, false }, { 0770, 0750, false }, { 01777, 0755, false },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_rundir r = SB_RUNDIR_NONE;

        if (rows[i].has == 0500 && geteuid() != 0)
            continue; /* nothing could be made in it */
        make_folder(own_dir(), rows[i].has);
        if (rows[i].fine) {
            assert_status(SOCKBROKER_OK, sb_rundir_open(own_dir(), rows[i].asked, &r, NULL));
            sb_rundir_close(&r);
        } else {
            assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), rows[i].asked, "chmod");
        }
        assert_int_equal(mode_of(own_dir()), rows[i].has); /* never changed by us */
        unit_folder_remove();
    }
}

static void symbolic_links_are_refused_wherever_they_stand(void **state)
{
    static const struct {
        const char *link, *target, *dir;
    } rows[] = {
        { "run", "real", "run" },
        { "run", "real", "run/" },
        { "run", "missing", "run" },
        { "parent", "real", "parent/run" },
        { "real/parent", ".", "real/parent/run" },
        { "parent", "real", "parent/../run" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        make_folder(unit_path("real"), 0700);
        assert_int_equal(symlink(rows[i].target, unit_path(rows[i].link)), 0);
        assert_refused(SOCKBROKER_UNSAFE_PATH, unit_path(rows[i].dir), 0700, "symbolic link");
        assert_false(exists(unit_path("real/run")));
        assert_false(exists(unit_path("missing")));
        unit_folder_remove();
    }
}

static void parents_that_others_may_write_are_refused_unless_sticky(void **state)
{
    static const struct {
        mode_t parent;
        bool fine;
    } rows[] = {
        { 0700, true },  { 0755, true },  { 0711, true },  { 01777, true },  { 01770, true },
        { 0777, false }, { 0770, false }, { 0707, false }, { 02775, false }, { 0722, false },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_rundir r = SB_RUNDIR_NONE;

        make_folder(unit_path("parent"), rows[i].parent);
        if (rows[i].fine) {
            assert_status(SOCKBROKER_OK, sb_rundir_open(unit_path("parent/run"), 0700, &r, NULL));
            sb_rundir_close(&r);
        } else {
            assert_refused(SOCKBROKER_UNSAFE_PATH, unit_path("parent/run"), 0700, "written by other users");
            assert_false(exists(unit_path("parent/run")));
        }
        unit_folder_remove();
    }
}

static void a_parent_higher_up_counts_as_much(void **state)
{
    (void)state;
    make_folder(unit_path("a"), 0777);
    make_folder(unit_path("a/b"), 0700);
    assert_refused(SOCKBROKER_UNSAFE_PATH, unit_path("a/b/run"), 0700, "/a:");
}

static void what_belongs_to_somebody_else_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_folder(own_dir(), 0700);
    assert_int_equal(chown(own_dir(), NOBODY, NOBODY), 0);
    assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), 0700, "belongs to another user");
    unit_folder_remove();
    make_folder(unit_path("parent"), 0755);
    assert_int_equal(chown(unit_path("parent"), NOBODY, NOBODY), 0);
    assert_refused(SOCKBROKER_UNSAFE_PATH, unit_path("parent/run"), 0700, "belongs to another user");
}

static void open_as_nobody(void *arg)
{
    struct sb_rundir r = SB_RUNDIR_NONE;

    UNIT_REQUIRE(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    UNIT_REQUIRE(sb_rundir_open(((char **)arg)[0], 0700, &r, NULL) == SOCKBROKER_OK); /* below parents of root */
    sb_rundir_close(&r);
    UNIT_REQUIRE(sb_rundir_open(((char **)arg)[1], 0700, &r, NULL) == SOCKBROKER_UNSAFE_PATH); /* root's own */
    UNIT_REQUIRE(sb_rundir_open(((char **)arg)[2], 0700, &r, NULL) == SOCKBROKER_PERMISSION);  /* may not be made */
}

static void a_user_may_have_one_below_parents_of_root_but_not_roots(void **state)
{
    char *dirs[3];

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(unit_folder(), 0755), 0);
    make_folder(unit_path("mine"), 0700);
    assert_int_equal(chown(unit_path("mine"), NOBODY, NOBODY), 0);
    make_folder(unit_path("roots"), 0700);
    dirs[0] = strdup(unit_path("mine"));
    dirs[1] = strdup(unit_path("roots"));
    dirs[2] = strdup(unit_path("new"));
    assert_child_succeeds(open_as_nobody, dirs);
    for (size_t i = 0; i < 3; i++)
        free(dirs[i]);
}

static void what_is_not_a_directory_is_refused_and_untouched(void **state)
{
    (void)state;
    make_file(own_dir(), "precious");
    assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), 0700, "not a directory");
    assert_refused(SOCKBROKER_UNSAFE_PATH, unit_path("run/below"), 0700, "not a directory");
    assert_file_holds(own_dir(), "precious");
}

static void a_missing_parent_is_not_made(void **state)
{
    (void)state;
    assert_refused(SOCKBROKER_UNSAFE_PATH, unit_path("no/run"), 0700, "does not exist; make it first");
    assert_false(exists(unit_path("no")));
}

static void what_stands_at_a_public_name_and_is_no_socket_is_refused_and_untouched(void **state)
{
    static const char *const names[] = { SB_RUNDIR_CONTROL, SB_RUNDIR_HANDOFF };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(names); i++) {
        char name[32];

        make_folder(own_dir(), 0700);
        format_text(name, sizeof(name), "run/%s", names[i]);
        make_file(unit_path(name), "precious");
        assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), 0700, "not a socket");
        assert_file_holds(unit_path(name), "precious");
        unlink(unit_path(name));
        make_folder(unit_path(name), 0700);
        assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), 0700, "not a socket");
        rmdir(unit_path(name));
        make_file(unit_path("precious"), "precious");
        assert_int_equal(symlink("../precious", unit_path(name)), 0);
        assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), 0700, "not a socket");
        assert_file_holds(unit_path("precious"), "precious");
        assert_int_equal(mkfifo(unit_path("run/fifo"), 0600), 0);
        assert_int_equal(rename(unit_path("run/fifo"), unit_path(name)), 0);
        assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), 0700, "not a socket");
        unit_folder_remove();
    }
}

static void a_lock_that_is_a_link_is_refused_and_its_target_untouched(void **state)
{
    (void)state;
    make_folder(own_dir(), 0700);
    make_file(unit_path("precious"), "precious");
    assert_int_equal(symlink("../precious", unit_path("run/lock")), 0);
    assert_refused(SOCKBROKER_UNSAFE_PATH, own_dir(), 0700, "symbolic link");
    assert_file_holds(unit_path("precious"), "precious");
}

static void leftover_sockets_of_a_killed_broker_are_no_obstacle(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;

    (void)state;
    make_folder(own_dir(), 0700);
    make_file(unit_path("run/lock"), "41\n");
    close(bind_at(unit_path("run/control")));
    close(bind_at(unit_path("run/c.41")));
    close(bind_at(unit_path("run/h.40")));
    open_dir(&r);
    assert_int_equal(r.generation, 42);
    assert_false(exists(unit_path("run/c.41")));
    assert_false(exists(unit_path("run/h.40")));
    assert_true(exists(unit_path("run/control"))); /* until a new one is moved over it */
    sb_rundir_close(&r);
}

/* ---- lock ---- */

static void one_broker_at_a_time(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    struct sb_rundir second = SB_RUNDIR_NONE;

    (void)state;
    open_dir(&r);
    assert_true(fcntl(r.lock, F_GETFD) & FD_CLOEXEC);
    assert_refused(SOCKBROKER_BUSY, own_dir(), 0700, "already running");
    sb_rundir_close(&r);
    assert_int_equal(r.lock, SOCKBROKER_SOCKET_NONE);
    sb_rundir_close(&r); /* of one that is closed: nothing */
    open_dir(&second);
    sb_rundir_close(&second);
}

static void the_second_broker_harms_nothing(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    char path[SB_PATH_MAX];

    (void)state;
    open_dir(&r);
    int sock = bind_at(sb_rundir_private_path(&r, SB_RUNDIR_CONTROL, path));
    int unpublished = bind_at(sb_rundir_private_path(&r, SB_RUNDIR_HANDOFF, path));
    assert_status(SOCKBROKER_OK, sb_rundir_publish(&r, SB_RUNDIR_CONTROL, NULL));
    assert_refused(SOCKBROKER_BUSY, own_dir(), 0700, own_dir());
    assert_true(leads_to(unit_path("run/control"), sock));
    assert_true(leads_to(path, unpublished));
    close(sock);
    close(unpublished);
    sb_rundir_close(&r);
}

static void each_broker_has_its_own_generation(void **state)
{
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct sb_rundir r = SB_RUNDIR_NONE;

        open_dir(&r);
        assert_int_equal(r.generation, last + 1);
        last = r.generation;
        sb_rundir_close(&r);
    }
}

static void a_lock_file_with_anything_in_it_will_do(void **state)
{
    static const char *const texts[] = {
        "", "\n", "garbage", "-1", "999999\n", "1000000\n", "99999999999999999999999999999999", "0x10", " 5", "5 and more"
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(texts); i++) {
        struct sb_rundir r = SB_RUNDIR_NONE;

        make_folder(own_dir(), 0700);
        make_file(unit_path("run/lock"), texts[i]);
        open_dir(&r);
        assert_in_range(r.generation, 1, 1000000);
        sb_rundir_close(&r);
        unit_folder_remove();
    }
}

static void hold_and_die(void *arg)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    char path[SB_PATH_MAX];

    UNIT_REQUIRE(sb_rundir_open(arg, 0700, &r, NULL) == SOCKBROKER_OK);
    bind_at(sb_rundir_private_path(&r, SB_RUNDIR_CONTROL, path));
    UNIT_REQUIRE(sb_rundir_publish(&r, SB_RUNDIR_CONTROL, NULL) == SOCKBROKER_OK);
    raise(SIGKILL);
}

static void a_killed_broker_leaves_the_directory_free(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    char dir[SB_RUNDIR_MAX], path[SB_PATH_MAX];

    (void)state;
    strcpy(dir, own_dir());
    assert_int_equal(unit_in_child(hold_and_die, dir), SIGKILL);
    assert_true(exists(unit_path("run/control")));
    open_dir(&r);
    assert_int_equal(r.generation, 2);
    int sock = bind_at(sb_rundir_private_path(&r, SB_RUNDIR_CONTROL, path));
    assert_status(SOCKBROKER_OK, sb_rundir_publish(&r, SB_RUNDIR_CONTROL, NULL));
    assert_true(leads_to(unit_path("run/control"), sock));
    close(sock);
    sb_rundir_close(&r);
}

/* ---- publishing ---- */

static void publishing_gives_the_socket_its_mode_and_its_name(void **state)
{
    static const struct {
        uint32_t dir;
        mode_t sock;
    } rows[] = { { 0700, 0600 }, { 0710, 0660 }, { 0750, 0660 }, { 0711, 0666 }, { 0755, 0666 } };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct sb_rundir r = SB_RUNDIR_NONE;
        char private[SB_PATH_MAX];

        assert_status(SOCKBROKER_OK, sb_rundir_open(own_dir(), rows[i].dir, &r, NULL));
        int sock = bind_at(sb_rundir_private_path(&r, SB_RUNDIR_CONTROL, private));
        assert_false(exists(unit_path("run/control")));
        assert_status(SOCKBROKER_OK, sb_rundir_publish(&r, SB_RUNDIR_CONTROL, NULL));
        assert_false(exists(private));
        assert_int_equal(mode_of(unit_path("run/control")), rows[i].sock);
        assert_true(leads_to(unit_path("run/control"), sock));
        close(sock);
        sb_rundir_close(&r);
        assert_false(exists(unit_path("run/control")));
        assert_true(exists(unit_path("run/lock")));
        unit_folder_remove();
    }
}

static void publishing_moves_over_an_older_socket_without_a_gap(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    char path[SB_PATH_MAX];

    (void)state;
    make_folder(own_dir(), 0700);
    int old = bind_at(unit_path("run/control"));
    open_dir(&r);
    int new = bind_at(sb_rundir_private_path(&r, SB_RUNDIR_CONTROL, path));
    assert_true(leads_to(unit_path("run/control"), old));
    assert_status(SOCKBROKER_OK, sb_rundir_publish(&r, SB_RUNDIR_CONTROL, NULL));
    assert_true(leads_to(unit_path("run/control"), new));
    close(old);
    close(new);
    sb_rundir_close(&r);
}

static void publishing_what_was_not_bound_is_an_error(void **state)
{
    struct sb_rundir r = SB_RUNDIR_NONE;
    struct sockbroker_error error;

    (void)state;
    open_dir(&r);
    assert_true(sb_rundir_publish(&r, SB_RUNDIR_CONTROL, &error) != SOCKBROKER_OK);
    assert_int_equal(error.os_code, ENOENT);
    assert_non_null(strstr(error.text, "/run/control"));
    sb_rundir_close(&r);
}

/* Somebody cleaned the directory, so that a second broker could start: the first one's end must not hurt it (F61). */
static void the_end_of_an_old_broker_leaves_a_newer_ones_names(void **state)
{
    struct sb_rundir old = SB_RUNDIR_NONE, new = SB_RUNDIR_NONE;
    char path[SB_PATH_MAX];

    (void)state;
    open_dir(&old);
    assert_int_equal(unlink(unit_path("run/lock")), 0);
    open_dir(&new);
    int sock = bind_at(sb_rundir_private_path(&new, SB_RUNDIR_CONTROL, path));
    assert_status(SOCKBROKER_OK, sb_rundir_publish(&new, SB_RUNDIR_CONTROL, NULL));
    sb_rundir_close(&old);
    assert_true(exists(unit_path("run/control")));
    assert_true(leads_to(unit_path("run/control"), sock));
    close(sock);
    sb_rundir_close(&new);
    assert_false(exists(unit_path("run/control")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_option_goes_before_the_environment_and_that_before_the_default),
        UNIT_TEST(users_have_theirs_in_their_runtime_folder_or_must_name_one),
        UNIT_TEST(paths_are_made_absolute_and_lose_their_last_slashes),
        UNIT_TEST(a_path_has_at_most_98_bytes),
        UNIT_TEST(every_name_in_the_longest_directory_fits_a_socket_address),
        UNIT_TEST(the_longest_directory_works),
        UNIT_TEST(a_missing_directory_is_made_with_its_mode_whatever_the_umask),
        UNIT_TEST(a_directory_with_more_rights_than_asked_is_refused),
        UNIT_TEST(symbolic_links_are_refused_wherever_they_stand),
        UNIT_TEST(parents_that_others_may_write_are_refused_unless_sticky),
        UNIT_TEST(a_parent_higher_up_counts_as_much),
        UNIT_TEST(what_belongs_to_somebody_else_is_refused),
        UNIT_TEST(a_user_may_have_one_below_parents_of_root_but_not_roots),
        UNIT_TEST(what_is_not_a_directory_is_refused_and_untouched),
        UNIT_TEST(a_missing_parent_is_not_made),
        UNIT_TEST(what_stands_at_a_public_name_and_is_no_socket_is_refused_and_untouched),
        UNIT_TEST(a_lock_that_is_a_link_is_refused_and_its_target_untouched),
        UNIT_TEST(leftover_sockets_of_a_killed_broker_are_no_obstacle),
        UNIT_TEST(one_broker_at_a_time),
        UNIT_TEST(the_second_broker_harms_nothing),
        UNIT_TEST(each_broker_has_its_own_generation),
        UNIT_TEST(a_lock_file_with_anything_in_it_will_do),
        UNIT_TEST(a_killed_broker_leaves_the_directory_free),
        UNIT_TEST(publishing_gives_the_socket_its_mode_and_its_name),
        UNIT_TEST(publishing_moves_over_an_older_socket_without_a_gap),
        UNIT_TEST(publishing_what_was_not_bound_is_an_error),
        UNIT_TEST(the_end_of_an_old_broker_leaves_a_newer_ones_names),
    };

    return cmocka_run_group_tests_name("rundir", tests, NULL, NULL);
}
