#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/format.h"

/* ---- descriptors ---- */

#define FDS_LISTED 1024

static int n_before;
static bool was_open[FDS_LISTED];

int unit_count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* . and .. and this reading */
}

int unit_setup(void **state)
{
    (void)state;
    for (int fd = 0; fd < FDS_LISTED; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) != -1;
    n_before = unit_count_descriptors();
    return n_before < 0 ? -1 : 0;
}

static bool is_as_before(void *arg)
{
    (void)arg;
    return unit_count_descriptors() == n_before;
}

static void list_new_descriptors(void)
{
    char path[64], target[256];

    for (int fd = 0; fd < FDS_LISTED; fd++) {
        format_text(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t len = was_open[fd] ? -1 : readlink(path, target, sizeof(target) - 1);
        if (len > 0)
            print_error("  %d -> %.*s\n", fd, (int)len, target);
    }
}

int unit_teardown(void **state)
{
    (void)state;
    unit_folder_remove();
    if (unit_wait_for(is_as_before, NULL))
        return 0;
    print_error("%d descriptors before, %d now; new ones:\n", n_before, unit_count_descriptors());
    list_new_descriptors();
    return -1;
}

int unit_count_sockets(void)
{
    char path[64], target[16] = "";
    int n = 0;

    for (int fd = 0; fd < 256; fd++) { /* by name: touching a descriptor that another thread closes just now would be a race */
        format_text(path, sizeof(path), "/proc/self/fd/%d", fd);
        n += readlink(path, target, sizeof(target)) > 8 && !memcmp(target, "socket:[", 8);
    }
    return n;
}

static bool has_sockets(void *arg)
{
    return unit_count_sockets() == *(int *)arg;
}

bool unit_wait_sockets(int n)
{
    return unit_wait_for(has_sockets, &n);
}

/* ---- events ---- */

int unit_poll(sockbroker_socket sock, short events, int timeout_ms)
{
    struct pollfd p = { .fd = sock, .events = events };
    int n;

    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0 ? p.revents : 0;
}

bool unit_wait_readable(sockbroker_socket sock)
{
    return unit_poll(sock, POLLIN, UNIT_PATIENCE_MS) != 0;
}

bool unit_is_readable(sockbroker_socket sock)
{
    return unit_poll(sock, POLLIN, 0) != 0;
}

void unit_pause(void)
{
    struct timespec pause = { 0, 500000 };

    nanosleep(&pause, NULL);
}

/* ---- folder ---- */

static char folder[32];

const char *unit_folder(void)
{
    if (!folder[0]) {
        strcpy(folder, "/tmp/sb_unit_XXXXXX");
        if (!mkdtemp(folder))
            abort();
    }
    return folder;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void unit_folder_remove(void)
{
    if (folder[0])
        nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    folder[0] = '\0';
}

const char *unit_path(const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    format_text(path, sizeof(paths[0]), "%s/%s", unit_folder(), name);
    return path;
}

/* ---- sockets ---- */

sockbroker_socket unit_socket(int family, int type)
{
    int sock = socket(family, type | SOCK_CLOEXEC, 0);

    assert_true(sock >= 0);
    return sock;
}

sockbroker_socket unit_accept(sockbroker_socket listener)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* ---- environment ---- */

void unit_set_env(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

/* ---- processes ---- */

static bool is_child;

int unit_in_child(void (*run)(void *), void *arg)
{
    int status = -1;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        is_child = true;
        run(arg);
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

void unit_require(bool truth, const char *what, const char *file, int line)
{
    if (truth)
        return;
    print_error("%s (errno %s)\n", what, strerrorname_np(errno));
    if (!is_child)
        _fail(file, line);
    fprintf(stderr, "%s:%d: in the child\n", file, line);
    _exit(99);
}

bool unit_own_network(void)
{
    struct ifreq lo = { .ifr_name = "lo" };
    bool is_up;
    int sock;

    if (unshare(CLONE_NEWNET))
        return false;
    sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    lo.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    is_up = sock >= 0 && ioctl(sock, SIOCSIFFLAGS, &lo) == 0;
    if (sock >= 0)
        close(sock);
    return is_up;
}

bool unit_write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return written;
}
