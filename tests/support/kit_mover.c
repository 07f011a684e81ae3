/* A worker that deposits and withdraws: kit_mover.h says what it does. Built against the public library alone. */
#include "tests/support/kit_mover.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/kit_state.h"

static uint8_t state[SOCKBROKER_STATE_MAX];

/* ---- orders ---- */

static uint16_t own_port(sockbroker_socket sock)
{
    struct sockaddr_in6 own; /* the port is where IPv4 has it */
    socklen_t len = sizeof(own);

    return getsockname(sock, (struct sockaddr *)&own, &len) ? 0 : ntohs(own.sin6_port);
}

static void connect_to(struct kit_mover *m, const char *host, const char *port)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = v6.sin6_port };
    bool is_v6 = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;

    inet_pton(AF_INET, host, &v4.sin_addr);
    m->sock = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(m->sock, is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, is_v6 ? sizeof(v6) : sizeof(v4)))
        perror("connect");
    printf("connected %u\n", own_port(m->sock));
}

static void close_it(struct kit_mover *m)
{
    if (m->sock >= 0)
        close(m->sock);
    m->sock = SOCKBROKER_SOCKET_NONE;
}

static void deposit(struct kit_mover *m, const char *name, const char *bytes, const char *lifetime, const char *uid)
{
    struct sockbroker_deposit d = SOCKBROKER_DEPOSIT_INIT;
    struct sockbroker_error error;
    uint32_t allowed = uid ? (uint32_t)strtoul(uid, NULL, 10) : 0;

    d.name = name;
    d.sock = m->sock;
    d.state = state;
    d.state_len = strtoul(bytes, NULL, 10);
    d.lifetime_ms = lifetime ? (unsigned)strtoul(lifetime, NULL, 10) : 0;
    d.allow_uids = &allowed;
    d.n_allow_uids = uid != NULL;
    kit_state_fill(name, 1, state, d.state_len);
    sockbroker_status st = sockbroker_worker_deposit(m->worker, &d, &error);
    if (!st)
        close_it(m);
    printf("deposit %s gave %s: %s\n", name, sockbroker_status_name(st), error.text);
}

static void withdraw(struct kit_mover *m, const char *name)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error;
    size_t len;
    sockbroker_status st = sockbroker_worker_withdraw(m->worker, name, &conn, state, sizeof(state), &len, &error);

    if (st) {
        printf("withdraw %s gave %s: %s\n", name, sockbroker_status_name(st), error.text);
        return;
    }
    m->sock = conn.sock;
    printf("withdraw %s gave OK: %zu bytes %s\n", name, len, kit_state_is_whole(name, 1, state, len) ? "whole" : "broken");
}

static void read_it(const struct kit_mover *m, const char *n)
{
    char text[64] = "";
    size_t len = strtoul(n, NULL, 10);

    if (len >= sizeof(text) || recv(m->sock, text, len, MSG_WAITALL) != (ssize_t)len)
        perror("read");
    printf("read %s\n", text);
}

static void write_it(const struct kit_mover *m, const char *text)
{
    char line[64];
    int len = snprintf(line, sizeof(line), "%s\n", text);

    if (send(m->sock, line, (size_t)len, MSG_NOSIGNAL) != len)
        perror("write");
    printf("wrote\n");
}

static void starve(void)
{
    int lowest = dup(0);
    struct rlimit limit = { (rlim_t)lowest + 1, (rlim_t)lowest + 1 };

    close(lowest);
    setrlimit(RLIMIT_NOFILE, &limit);
    printf("starved\n");
}

static void obey(struct kit_mover *m, char *line)
{
    char *words[5] = { "" };
    char *save = NULL;
    size_t n = 0;

    for (char *word = strtok_r(line, " \n", &save); word && n < 5; word = strtok_r(NULL, " \n", &save))
        words[n++] = word;
    if (!strcmp(words[0], "connect") && n == 3) {
        connect_to(m, words[1], words[2]);
    } else if (!strcmp(words[0], "deposit") && n >= 3) {
        deposit(m, words[1], words[2], words[3], words[4]);
    } else if (!strcmp(words[0], "withdraw") && n == 2) {
        withdraw(m, words[1]);
    } else if (!strcmp(words[0], "read") && n == 2) {
        read_it(m, words[1]);
    } else if (!strcmp(words[0], "write") && n == 2) {
        write_it(m, words[1]);
    } else if (!strcmp(words[0], "close")) {
        close_it(m);
        printf("closed\n");
    } else if (!strcmp(words[0], "starve")) {
        starve();
    } else if (!strcmp(words[0], "move") && n == 3) {
        kit_mover_move(m, (unsigned)strtoul(words[1], NULL, 10));
        printf("moved %s\n", words[2]);
    }
}

/* ---- start ---- */

static bool become(const char *id)
{
    uid_t uid = (uid_t)strtoul(id, NULL, 10);

    if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
        return false;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change has cleared it */
    return true;
}

static bool map_moves(const char *path, struct kit_moves_page **page_out)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(**page_out), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    if (page == MAP_FAILED)
        return false;
    *page_out = page;
    return true;
}

static bool read_args(struct kit_mover *m, struct sockbroker_worker_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        { "endpoint", required_argument, NULL, 'e' },
        { "dir", required_argument, NULL, 'd' },
        { "name", required_argument, NULL, 'n' },
        { "uid", required_argument, NULL, 'u' },
        { "moves", required_argument, NULL, 'm' },
        { "slot", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            o->dir = optarg;
        else if (option == 'e')
            o->endpoints = optarg;
        else if (option == 'n')
            o->name = optarg;
        else if (option == 's')
            m->slot = (unsigned)strtoul(optarg, NULL, 10);
        else
            good = option == 'u' ? become(optarg) : option == 'm' && map_moves(optarg, &m->page);
    }
    return good && optind == argc && m->slot < KIT_MOVES_MOVERS;
}

int main(int argc, char **argv)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct kit_mover m = { .sock = SOCKBROKER_SOCKET_NONE };
    struct sockbroker_error error;
    char line[128];

    setvbuf(stdout, NULL, _IOLBF, 0);
    options.endpoints = "";
    options.attach_timeout_ms = 30000;
    if (!read_args(&m, &options, argc, argv))
        return 2;
    sockbroker_status st = sockbroker_worker_open(&options, &m.worker, &error);
    if (st) {
        printf("open gave %s: %s\n", sockbroker_status_name(st), error.text);
        return 1;
    }
    printf("ready\n");
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "leave\n"))
        obey(&m, line);
    if (feof(stdin))
        _exit(0);
    sockbroker_worker_close(m.worker);
    close_it(&m);
    return 0;
}
