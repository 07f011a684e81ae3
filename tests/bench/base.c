#include "base.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_OPTIONS 16

void base_check(int failed, const char *what)
{
    if (failed) {
        perror(what);
        _exit(1);
    }
}

static int number(const char *text, int max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end || value < 0 || value > max) {
        fprintf(stderr, "number out of range: %s\n", text);
        exit(2);
    }
    return (int)value;
}

void base_parse(int argc, char **argv, const struct option *switches, struct base_options *options_out)
{
    struct option all[MAX_OPTIONS] = {
        { "workers", required_argument, NULL, 'w' },
        { "port", required_argument, NULL, 'p' },
        { "seconds", required_argument, NULL, 's' },
    };

    for (int i = 0; switches && switches[i].name && i < MAX_OPTIONS - 4; i++)
        all[3 + i] = switches[i];
    *options_out = (struct base_options){ .n_workers = 4 };
    for (int c; (c = getopt_long(argc, argv, "", all, NULL)) != -1;) {
        switch (c) {
        case 'w':
            options_out->n_workers = number(optarg, BASE_MAX_WORKERS);
            break;
        case 'p':
            options_out->port = number(optarg, 65535);
            break;
        case 's':
            options_out->seconds = number(optarg, 3600);
            break;
        case 0:
            break;
        default:
            exit(2);
        }
    }
    if (options_out->n_workers == 0)
        options_out->n_workers = 1;
}

int base_listen(const struct base_options *options, int type_flags)
{
    struct sockaddr_in6 any = {
        .sin6_family = AF_INET6,
        .sin6_addr = IN6ADDR_ANY_INIT,
        .sin6_port = htons((uint16_t)options->port),
    };
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
    int off = 0;
    int on = 1;

    base_check(listener < 0, "socket");
    base_check(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), "IPV6_V6ONLY");
    base_check(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    if (options->shares_port)
        base_check(setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
    base_check(bind(listener, (struct sockaddr *)&any, sizeof any), "bind");
    base_check(listen(listener, BASE_BACKLOG), "listen");
    return listener;
}

static void leave(int signo)
{
    (void)signo;
    _exit(0);
}

void base_exit_on_signals(int seconds)
{
    struct sigaction act = { .sa_handler = leave };

    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGALRM, &act, NULL);
    alarm((unsigned)seconds);
}

void base_ready(int listener, const pid_t *workers, int n_workers)
{
    struct sockaddr_in6 at;
    socklen_t at_len = sizeof at;

    base_check(getsockname(listener, (struct sockaddr *)&at, &at_len), "getsockname");
    printf("ready port=%d workers=", ntohs(at.sin6_port));
    for (int i = 0; i < n_workers; i++)
        printf("%s%d", i ? "," : "", (int)workers[i]);
    printf("\n");
    fflush(stdout);
}

void base_answer(int conn, int index)
{
    unsigned char byte = (unsigned char)index;

    send(conn, &byte, 1, MSG_NOSIGNAL); /* a client that left is no concern of the benchmark */
    close(conn);
}
