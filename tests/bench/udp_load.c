/* Asks a UDP echo server as fast as it answers: udp_load PORT DATAGRAMS WINDOW
 * WINDOW datagrams are always on their way, from 8 sockets, over IPv4 (127.0.0.2) and IPv6 (::1) in turn. What is not answered
 * within a second is lost and sent again; after ten such seconds without any answer it gives up (code 1). Prints "datagrams=N
 * seconds=S lost=L wrong=W"; wrong: not from the address asked. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base.h"

#define SOCKETS 8
#define BATCH 64
#define SIZE 64 /* bytes of each datagram */
#define PATIENCE_MS 1000
#define SILENCES_MAX 10

static struct {
    struct pollfd socks[SOCKETS];
    struct sockaddr_in6 server[SOCKETS];
    long waiting[SOCKETS]; /* sent and not answered */
    long answered, lost, wrong;
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in6 from[BATCH];
    char bytes[BATCH][SIZE];
} s;

static void open_sockets(int port)
{
    for (int i = 0; i < SOCKETS; i++) {
        s.server[i] = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
        inet_pton(AF_INET6, i % 2 ? "::1" : "::ffff:127.0.0.2", &s.server[i].sin6_addr);
        s.socks[i] = (struct pollfd){ .fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLIN };
        base_check(s.socks[i].fd < 0, "socket");
    }
}

static void send_more(int i, long n)
{
    while (n > 0) {
        unsigned some = n < BATCH ? (unsigned)n : BATCH;

        for (unsigned j = 0; j < some; j++) {
            s.parts[j] = (struct iovec){ s.bytes[j], SIZE };
            s.messages[j].msg_hdr = (struct msghdr){
                .msg_name = &s.server[i], .msg_namelen = sizeof s.server[i], .msg_iov = &s.parts[j], .msg_iovlen = 1
            };
        }
        int sent = sendmmsg(s.socks[i].fd, s.messages, some, 0);
        base_check(sent <= 0, "sendmmsg");
        s.waiting[i] += sent;
        n -= sent;
    }
}

static int hear(int i)
{
    for (int j = 0; j < BATCH; j++) {
        s.parts[j] = (struct iovec){ s.bytes[j], SIZE };
        s.messages[j].msg_hdr =
            (struct msghdr){ .msg_name = &s.from[j], .msg_namelen = sizeof s.from[j], .msg_iov = &s.parts[j], .msg_iovlen = 1 };
    }
    int n = recvmmsg(s.socks[i].fd, s.messages, BATCH, MSG_DONTWAIT, NULL);
    for (int j = 0; j < n; j++)
        s.wrong += memcmp(&s.from[j].sin6_addr, &s.server[i].sin6_addr, 16) != 0;
    return n > 0 ? n : 0;
}

static void exchange(long total, long window)
{
    for (int i = 0; i < SOCKETS; i++)
        send_more(i, window / SOCKETS + (i < window % SOCKETS));
    for (int silences = 0; s.answered < total;) {
        int ready = poll(s.socks, SOCKETS, PATIENCE_MS);

        silences = ready ? 0 : silences + 1;
        if (silences == SILENCES_MAX) {
            fprintf(stderr, "udp_load: nothing answers on port %d\n", ntohs(s.server[0].sin6_port));
            exit(1);
        }

        for (int i = 0; i < SOCKETS; i++) {
            long n = ready ? hear(i) : s.waiting[i];

            *(ready ? &s.answered : &s.lost) += n;
            s.waiting[i] -= n;
            send_more(i, n);
        }
    }
}

int main(int argc, char **argv)
{
    struct timespec begin, end;

    if (argc != 4) {
        fprintf(stderr, "usage: udp_load PORT DATAGRAMS WINDOW\n");
        return 2;
    }
    open_sockets(atoi(argv[1]));
    clock_gettime(CLOCK_MONOTONIC, &begin);
    exchange(atol(argv[2]), atol(argv[3]));
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("datagrams=%ld seconds=%.6f lost=%ld wrong=%ld\n", s.answered,
           (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9, s.lost, s.wrong);
    return 0;
}
