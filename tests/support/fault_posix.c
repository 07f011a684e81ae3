#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/rundir.h"
#include "proto/socket.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

double fault_cpu_ms(int pid)
{
    clockid_t clock;
    struct timespec t;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
        kit_fail("no processor time of %d", pid);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- raw ---- */

struct kit_process *fault_worker_launch(struct kit_broker *b, const char *const *args)
{
    struct kit_start how = { .args = { b->dir } };

    for (size_t i = 0; i < KIT_ARGS_MAX - 2 && args[i]; i++)
        how.args[i + 1] = args[i];
    return kit_process_start("raw", SB_RAW_EXE, &how);
}

struct kit_process *fault_worker_start(struct kit_broker *b, const char *name, unsigned window)
{
    char text[16];
    const char *const args[] = { name, text, NULL };

    format_text(text, sizeof(text), "%u", window);
    struct kit_process *p = fault_worker_launch(b, args);
    kit_process_wait_log(p, "ready\n");
    kit_broker_wait_worker(b, name, "ready");
    return p;
}

uint64_t fault_raw_must_take(struct fault_raw *r, sockbroker_socket *sock_out)
{
    struct sb_delivery d;
    sockbroker_status st = fault_raw_take(r, KIT_WAIT_MS, &d, sock_out);

    if (st)
        kit_fail("no packet: %s", sockbroker_status_name(st));
    return d.number;
}

/* ---- the broker's sockets ---- */

int fault_knock(struct kit_broker *b, const char *file)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int type = strcmp(file, SB_RUNDIR_CONTROL) ? SOCK_SEQPACKET : SOCK_STREAM;
    int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    sb_rundir_path(b->dir, file, at.sun_path);
    if (sock < 0 || connect(sock, (struct sockaddr *)&at, sizeof(at)))
        kit_fail("%s: %s", at.sun_path, strerror(errno));
    return sock;
}

const unsigned fault_n_visits = 10000;

sockbroker_socket fault_call(struct kit_broker *b)
{
    return fault_knock(b, SB_RUNDIR_CONTROL);
}

bool fault_say(sockbroker_socket line, const void *bytes, size_t len)
{
    return send(line, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

long fault_hear(sockbroker_socket line, void *bytes, size_t room, unsigned ms)
{
    if (kit_is_silent(line, ms))
        return -1;
    ssize_t n = recv(line, bytes, room, 0);
    return n < 0 ? 0 : n;
}

void fault_hang_up(sockbroker_socket *line)
{
    sb_socket_close(line);
}

/* ---- a network of its own ---- */

static bool lo_up(void)
{
    struct ifreq r = { .ifr_name = "lo" };
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = ioctl(sock, SIOCGIFFLAGS, &r) == 0;

    r.ifr_flags |= IFF_UP;
    up = up && ioctl(sock, SIOCSIFFLAGS, &r) == 0;
    close(sock);
    return up;
}

int fault_net_enter(void)
{
    int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    if (unshare(CLONE_NEWNET)) {
        close(before);
        skip();
    }
    if (!lo_up())
        kit_fail("lo does not come up: %s", strerror(errno));
    return before;
}

void fault_net_leave(int *before)
{
    if (setns(*before, CLONE_NEWNET))
        kit_fail("no way back: %s", strerror(errno));
    sb_socket_close(before);
}

void fault_sysctl(const char *path, const char *value)
{
    char full[128];

    format_text(full, sizeof(full), "/proc/sys/%s", path);
    int fd = open(full, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));
    sb_socket_close(&fd);
    if (n < 0)
        kit_fail("%s: %s", full, strerror(errno));
}
