#include "proto/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"

/* ---- which directory ---- */

static const char *default_dir(char *buf, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (geteuid() == 0)
        return "/run/sockbroker";
    if (!runtime || runtime[0] != '/')
        return NULL;
    snprintf(buf, size, "%s/sockbroker", runtime);
    return buf;
}

static void drop_trailing_slashes(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
}

sockbroker_status sb_rundir_find(const char *given, char dir_out[SB_RUNDIR_MAX], struct sockbroker_error *error_out)
{
    char buf[PATH_MAX];
    char full[2 * PATH_MAX];
    const char *dir = given && given[0] ? given : getenv("SOCKBROKER_DIR");

    if (!dir || !dir[0])
        dir = default_dir(buf, sizeof(buf));
    if (!dir)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "no runtime directory: XDG_RUNTIME_DIR is not set; name one with --dir or SOCKBROKER_DIR");
    if (dir[0] == '/') {
        snprintf(full, sizeof(full), "%s", dir);
    } else {
        char here[PATH_MAX];

        if (!getcwd(here, sizeof(here)))
            return sb_oserr_set(error_out, errno, "current directory", "name an absolute path with --dir");
        snprintf(full, sizeof(full), "%s/%s", here, dir);
    }
    drop_trailing_slashes(full);
    if (strlen(full) >= SB_RUNDIR_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "runtime directory \"%.60s...\" has %zu bytes; a socket path has room for %d, name a shorter one",
                            full, strlen(full), SB_RUNDIR_MAX - 1);
    memcpy(dir_out, full, strlen(full) + 1);
    return SOCKBROKER_OK;
}

const char *sb_rundir_path(const char *dir, const char *file, char path_out[SB_PATH_MAX])
{
    snprintf(path_out, SB_PATH_MAX, "%.*s/%.8s", SB_RUNDIR_MAX - 1, dir, file);
    return path_out;
}

/* ---- may it be trusted ---- */

static sockbroker_status unsafe(struct sockbroker_error *error, const char *path, const char *cause, const char *cure)
{
    return sb_error_set(error, SOCKBROKER_UNSAFE_PATH, 0, "%s: %s; %s", path, cause, cure);
}

static bool is_trusted(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

/* A directory above ours: whoever may write there may put another one in our place. /tmp and its like are sticky: there
 * nobody may move what is not his. */
static sockbroker_status check_parent(const char *path, const struct stat *st, struct sockbroker_error *error)
{
    if (S_ISLNK(st->st_mode))
        return unsafe(error, path, "is a symbolic link", "name the directory that it leads to");
    if (!S_ISDIR(st->st_mode))
        return unsafe(error, path, "is not a directory", "name another --dir");
    if (!is_trusted(st->st_uid))
        return unsafe(error, path, "belongs to another user", "use a directory whose parents belong to root or to you");
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) && !(st->st_mode & S_ISVTX))
        return unsafe(error, path, "can be written by other users", "take their right away (chmod go-w) or name another --dir");
    return SOCKBROKER_OK;
}

static sockbroker_status check_parents(const char *dir, struct sockbroker_error *error)
{
    char path[SB_RUNDIR_MAX];
    struct stat st;

    memcpy(path, dir, strlen(dir) + 1);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (lstat(path, &st) && errno == ENOENT) /* as a system error it would read "no broker" */
            return unsafe(error, path, "does not exist", "make it first");
        if (lstat(path, &st))
            return sb_oserr_set(error, errno, path, NULL);
        sockbroker_status result = check_parent(path, &st, error);
        if (result)
            return result;
        *slash = '/';
    }
    return SOCKBROKER_OK;
}

static sockbroker_status check_own(const char *dir, uint32_t mode, struct sockbroker_error *error)
{
    struct stat st;
    char cure[64];

    if (lstat(dir, &st))
        return sb_oserr_set(error, errno, dir, NULL);
    if (S_ISLNK(st.st_mode))
        return unsafe(error, dir, "is a symbolic link", "name the directory that it leads to");
    if (!S_ISDIR(st.st_mode))
        return unsafe(error, dir, "is not a directory", "name another --dir; it was left as it is");
    if (st.st_uid != geteuid())
        return unsafe(error, dir, "belongs to another user", "run as that user or name another --dir");
    if ((st.st_mode & 0777u & ~mode) == 0)
        return SOCKBROKER_OK;
    snprintf(cure, sizeof(cure), "chmod %04o it, or set dir_mode", (unsigned)mode);
    return unsafe(error, dir, "gives others more rights than dir_mode", cure);
}

/* Nothing but what a broker leaves behind may stand where we bind and rename. */
static sockbroker_status check_public(const char *dir, const char *file, struct sockbroker_error *error)
{
    char path[SB_PATH_MAX];
    struct stat st;

    sb_rundir_path(dir, file, path);
    if (lstat(path, &st))
        return errno == ENOENT ? SOCKBROKER_OK : sb_oserr_set(error, errno, path, NULL);
    if (S_ISSOCK(st.st_mode))
        return SOCKBROKER_OK;
    return unsafe(error, path, "is not a socket", "it was left as it is; move it away or name another --dir");
}

static bool is_there(const char *dir, const char *file)
{
    char path[SB_PATH_MAX];
    struct stat st;

    return lstat(sb_rundir_path(dir, file, path), &st) == 0;
}

/* ---- the claim ---- */

static sockbroker_status lock_dir(struct sb_rundir *r, struct sockbroker_error *error)
{
    char path[SB_PATH_MAX];

    sb_rundir_path(r->dir, "lock", path);
    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (r->lock < 0)
        return errno == ELOOP ? unsafe(error, path, "is a symbolic link", "remove it")
                              : sb_oserr_set(error, errno, path, "check the directory");
    if (flock(r->lock, LOCK_EX | LOCK_NB) == 0)
        return SOCKBROKER_OK;
    if (errno != EWOULDBLOCK)
        return sb_oserr_set(error, errno, path, NULL);
    return sb_error_set(error, SOCKBROKER_BUSY, 0,
                        "%s: a broker is already running there; use it, stop it, or name another --dir", r->dir);
}

/* Names of sockets that brokers left which were killed. We hold the lock: nobody uses them. */
static void remove_leftovers(const struct sb_rundir *r)
{
    char path[SB_PATH_MAX];

    for (uint64_t g = r->generation > 64 ? r->generation - 64 : 1; g <= r->generation; g++) {
        struct sb_rundir old = { .generation = g };

        memcpy(old.dir, r->dir, sizeof(old.dir));
        unlink(sb_rundir_private_path(&old, SB_RUNDIR_CONTROL, path));
        unlink(sb_rundir_private_path(&old, SB_RUNDIR_HANDOFF, path));
    }
}

/* The lock file counts the brokers that ran here, so that no two use the same private names. */
static void count_generation(struct sb_rundir *r)
{
    char text[24] = "";
    ssize_t n = pread(r->lock, text, sizeof(text) - 1, 0);

    r->generation = n > 0 ? strtoull(text, NULL, 10) % 1000000u + 1 : 1;
    int len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)r->generation);
    if (ftruncate(r->lock, 0) == 0 && pwrite(r->lock, text, (size_t)len, 0) != len)
        r->generation = 1 + (uint64_t)getpid() % 1000000u; /* a full disk: any other name will do */
    remove_leftovers(r);
}

static sockbroker_status make_dir(const char *dir, uint32_t mode, struct sockbroker_error *error)
{
    if (mkdir(dir, 0700) == 0)
        return chmod(dir, mode) ? sb_oserr_set(error, errno, dir, NULL) : SOCKBROKER_OK;
    return errno == EEXIST ? SOCKBROKER_OK : sb_oserr_set(error, errno, dir, "make it or name another --dir");
}

static sockbroker_status check_all(const char *dir, uint32_t mode, struct sockbroker_error *error)
{
    sockbroker_status st = check_parents(dir, error);

    if (!st)
        st = make_dir(dir, mode, error);
    if (!st)
        st = check_own(dir, mode, error);
    if (!st)
        st = check_public(dir, SB_RUNDIR_CONTROL, error);
    return st ? st : check_public(dir, SB_RUNDIR_HANDOFF, error);
}

sockbroker_status sb_rundir_open(const char *dir, uint32_t mode, struct sb_rundir *rundir_out,
                                 struct sockbroker_error *error_out)
{
    struct sb_rundir r = SB_RUNDIR_NONE;

    memcpy(r.dir, dir, strlen(dir) + 1);
    r.mode = mode;
    sockbroker_status st = check_all(dir, mode, error_out);
    if (!st)
        st = lock_dir(&r, error_out);
    if (st) {
        sb_socket_close(&r.lock);
        return st;
    }
    count_generation(&r);
    r.was_left = is_there(r.dir, SB_RUNDIR_CONTROL);
    *rundir_out = r;
    return SOCKBROKER_OK;
}

/* Not when somebody has removed the lock file: then a newer broker may run there, with a lock file of its own. */
static bool holds_lock(const struct sb_rundir *r)
{
    char path[SB_PATH_MAX];
    struct stat mine, there;

    return fstat(r->lock, &mine) == 0 && lstat(sb_rundir_path(r->dir, "lock", path), &there) == 0 &&
           mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

sockbroker_status sb_rundir_adopt(const char *dir, uint32_t mode, sockbroker_socket *lock, struct sb_rundir *rundir_out,
                                  struct sockbroker_error *error_out)
{
    struct sb_rundir r = SB_RUNDIR_NONE;

    memcpy(r.dir, dir, strlen(dir) + 1);
    r.mode = mode;
    r.lock = *lock;
    sockbroker_status st = check_all(dir, mode, error_out);
    if (!st && !holds_lock(&r))
        st = unsafe(error_out, dir, "its lock file is not the one that the running broker holds", "start the broker anew");
    if (st)
        return st;
    sb_socket_take(lock);
    count_generation(&r);
    *rundir_out = r;
    return SOCKBROKER_OK;
}

/* ---- while another takes the names ---- */

static const char *const public_names[] = { SB_RUNDIR_CONTROL, SB_RUNDIR_HANDOFF };

sockbroker_status sb_rundir_keep(const struct sb_rundir *r, struct sockbroker_error *error_out)
{
    char from[SB_PATH_MAX], to[SB_PATH_MAX];

    for (size_t i = 0; i < sizeof(public_names) / sizeof(public_names[0]); i++) {
        sb_rundir_path(r->dir, public_names[i], from);
        sb_rundir_private_path(r, public_names[i], to);
        unlink(to);
        if (link(from, to))
            return sb_oserr_set(error_out, errno, to, "check the directory");
    }
    return SOCKBROKER_OK;
}

/* rename() does nothing when both are one file: then the second name is still to be removed. */
void sb_rundir_put_back(const struct sb_rundir *r)
{
    char from[SB_PATH_MAX], to[SB_PATH_MAX];

    for (size_t i = 0; i < sizeof(public_names) / sizeof(public_names[0]); i++) {
        sb_rundir_private_path(r, public_names[i], from);
        sb_rundir_path(r->dir, public_names[i], to);
        if (rename(from, to) == 0)
            unlink(from);
    }
}

void sb_rundir_forget(const struct sb_rundir *r)
{
    char path[SB_PATH_MAX];

    for (size_t i = 0; i < sizeof(public_names) / sizeof(public_names[0]); i++)
        unlink(sb_rundir_private_path(r, public_names[i], path));
}

void sb_rundir_close(struct sb_rundir *r)
{
    char path[SB_PATH_MAX];

    if (r->lock < 0)
        return;
    if (!r->stays && holds_lock(r)) { /* so the names are ours */
        unlink(sb_rundir_path(r->dir, SB_RUNDIR_CONTROL, path));
        unlink(sb_rundir_path(r->dir, SB_RUNDIR_HANDOFF, path));
    }
    sb_socket_close(&r->lock);
}

const char *sb_rundir_private_path(const struct sb_rundir *r, const char *file, char path_out[SB_PATH_MAX])
{
    snprintf(path_out, SB_PATH_MAX, "%s/%c.%llu", r->dir, file[0], (unsigned long long)(r->generation % 1000000u));
    return path_out;
}

sockbroker_status sb_rundir_publish(const struct sb_rundir *r, const char *file, struct sockbroker_error *error_out)
{
    char from[SB_PATH_MAX];
    char to[SB_PATH_MAX];
    uint32_t access = 0600u | (r->mode & 0010u ? 0060u : 0u) | (r->mode & 0001u ? 0066u : 0u);

    sb_rundir_private_path(r, file, from);
    sb_rundir_path(r->dir, file, to);
    if (chmod(from, access) || rename(from, to))
        return sb_oserr_set(error_out, errno, to, "check the directory");
    return SOCKBROKER_OK;
}
