/* The negative control: a worker without a broker. Each has a listening socket of its own on the shared port (SO_REUSEPORT), so
 * what waits in its queue dies with it. Answers like a test worker in mode hello.
 *
 *     kit_naive PORT     0 takes a free one; says "ready PORT"
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(unsigned port)
{
    struct sockaddr_in6 own = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any };
    int sock = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1, off = 0;
    socklen_t len = sizeof(own);

    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) || bind(sock, (struct sockaddr *)&own, sizeof(own)) ||
        listen(sock, 1024) || getsockname(sock, (struct sockaddr *)&own, &len))
        return -1;
    printf("ready %u\n", ntohs(own.sin6_port));
    fflush(stdout);
    return sock;
}

int main(int argc, char **argv)
{
    int sock = listen_on(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
    unsigned long long n = 0;

    if (sock < 0) {
        perror("kit_naive");
        return 1;
    }
    for (;;) {
        struct sockaddr_in6 peer;
        socklen_t len = sizeof(peer);
        int conn = accept(sock, (struct sockaddr *)&peer, &len);
        char line[128];

        if (conn < 0)
            continue;
        /* the process id makes the number unlike any of another worker */
        int size = snprintf(line, sizeof(line), "naive %d ipv%d %llu %u\n", (int)getpid(),
                            IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr) ? 4 : 6, (unsigned long long)getpid() << 32 | ++n,
                            ntohs(peer.sin6_port));
        (void)!send(conn, line, (size_t)size, MSG_NOSIGNAL);
        close(conn);
    }
}
