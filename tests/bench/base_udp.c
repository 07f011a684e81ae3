/* Echoes datagrams with recvmmsg and sendmmsg and nothing else.
 *   (nothing)   the answer comes from whatever address the system likes
 *   --pktinfo   it comes from the address that was asked: the same control data that came in goes out */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "udp_socket.h"

#define CONTROL_ROOM 128

static int use_pktinfo;

static struct {
    struct mmsghdr messages[UDP_BATCH];
    struct iovec parts[UDP_BATCH];
    struct sockaddr_in6 peers[UDP_BATCH];
    _Alignas(struct cmsghdr) char controls[UDP_BATCH][CONTROL_ROOM];
    char bytes[UDP_BATCH][UDP_ROOM];
} s;

static void turn_on(int sock)
{
    int on = 1;

    base_check(setsockopt(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on), "IPV6_RECVPKTINFO");
    base_check(setsockopt(sock, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), "IP_PKTINFO");
}

static void lay_out(void)
{
    for (int i = 0; i < UDP_BATCH; i++) {
        s.parts[i] = (struct iovec){ s.bytes[i], UDP_ROOM };
        s.messages[i].msg_hdr = (struct msghdr){
            .msg_name = &s.peers[i],
            .msg_namelen = sizeof s.peers[i],
            .msg_iov = &s.parts[i],
            .msg_iovlen = 1,
            .msg_control = use_pktinfo ? s.controls[i] : NULL,
            .msg_controllen = use_pktinfo ? CONTROL_ROOM : 0,
        };
    }
}

/* The last record is the one of the packet's own family. */
static void turn_round(struct mmsghdr *m)
{
    struct msghdr *h = &m->msg_hdr;
    struct cmsghdr *last = NULL;
    struct in_pktinfo info;

    h->msg_iov->iov_len = m->msg_len;
    h->msg_flags = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
        last = c;
    if (!last)
        return;
    if (last->cmsg_level == IPPROTO_IP) {
        memcpy(&info, CMSG_DATA(last), sizeof info);
        info.ipi_ifindex = 0;
        memcpy(CMSG_DATA(last), &info, sizeof info);
    }
    h->msg_control = last;
    h->msg_controllen = last->cmsg_len;
}

int main(int argc, char **argv)
{
    const struct option switches[] = { { "pktinfo", no_argument, &use_pktinfo, 1 }, { 0 } };
    struct base_options options;
    pid_t self = getpid();

    base_parse(argc, argv, switches, &options);
    int sock = udp_socket_open(&options);
    if (use_pktinfo)
        turn_on(sock);
    base_exit_on_signals(options.seconds);
    base_ready(sock, &self, 1);
    for (;;) {
        lay_out();
        int n = recvmmsg(sock, s.messages, UDP_BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            turn_round(&s.messages[i]);
        if (n > 0)
            sendmmsg(sock, s.messages, (unsigned)n, MSG_DONTWAIT);
        else
            udp_socket_wait(sock);
    }
}
