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

/* ---- the control socket ---- */

const uint8_t fault_sp_req[FAULT_SP_GREETING] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };

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

static bool read_all(int sock, uint8_t *buf, size_t len)
{
    size_t have = 0;

    while (have < len) {
        if (kit_is_silent(sock, KIT_WAIT_MS))
            kit_fail("the broker is silent");
        ssize_t n = recv(sock, buf + have, len - have, 0);
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

int fault_ipc_open(struct kit_broker *b)
{
    uint8_t theirs[FAULT_SP_GREETING];
    int sock = fault_knock(b, SB_RUNDIR_CONTROL);

    if (send(sock, fault_sp_req, sizeof(fault_sp_req), MSG_NOSIGNAL) != sizeof(fault_sp_req) ||
        !read_all(sock, theirs, sizeof(theirs)))
        kit_fail("no greeting from the broker");
    return sock;
}

size_t fault_ipc_head(uint64_t len, uint8_t out[9])
{
    out[0] = 1;
    for (unsigned i = 0; i < 8; i++)
        out[1 + i] = (uint8_t)(len >> (56 - 8 * i));
    return 9;
}

bool fault_ipc_send(int sock, const void *body, size_t len)
{
    static uint32_t number;
    uint8_t frame[13 + 2 * SB_MESSAGE_MAX];
    size_t n = fault_ipc_head(4 + len, frame);

    number++;
    frame[n++] = (uint8_t)(0x80u | (number >> 24 & 0x7fu));
    frame[n++] = (uint8_t)(number >> 16);
    frame[n++] = (uint8_t)(number >> 8);
    frame[n++] = (uint8_t)number;
    memcpy(frame + n, body, len);
    return send(sock, frame, n + len, MSG_NOSIGNAL) == (ssize_t)(n + len);
}

bool fault_ipc_receive(int sock, uint8_t *buf, size_t room, size_t *len_out)
{
    uint8_t head[13]; /* and the request's id */
    uint64_t len = 0;

    if (!read_all(sock, head, sizeof(head)))
        return false;
    for (unsigned i = 1; i < 9; i++)
        len = len << 8 | head[i];
    if (len < 4 || len - 4 > room)
        kit_fail("a reply of %llu bytes", (unsigned long long)len);
    *len_out = (size_t)len - 4;
    return read_all(sock, buf, *len_out);
}

bool fault_is_closed(int *sock, unsigned ms)
{
    uint64_t end_ms = kit_now_ms() + ms;
    char bytes[4096];
    bool closed = false;

    while (!closed && kit_now_ms() < end_ms) {
        if (!kit_is_silent(*sock, (unsigned)(end_ms - kit_now_ms())))
            closed = recv(*sock, bytes, sizeof(bytes), 0) <= 0;
    }
    sb_socket_close(sock);
    return closed;
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
