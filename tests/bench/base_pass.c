#include "base_pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base.h"

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

void pass_send(int pair, int conn, uint64_t lease)
{
    struct pass_packet packet = { .lease = lease };
    struct iovec iov = { .iov_base = &packet, .iov_len = sizeof packet };
    union control control = { 0 };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof conn);
    memcpy(CMSG_DATA(head), &conn, sizeof conn);
    base_check(sendmsg(pair, &msg, MSG_NOSIGNAL) < 0, "sendmsg");
}

int pass_receive(int pair, int flags, uint64_t *lease_out)
{
    struct pass_packet packet;
    struct iovec iov = { .iov_base = &packet, .iov_len = sizeof packet };
    union control control;
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t n = recvmsg(pair, &msg, flags | MSG_CMSG_CLOEXEC);
    struct cmsghdr *head;
    int conn;

    if (n < 0 && errno == EAGAIN)
        return PASS_NOTHING;
    base_check(n < 0, "recvmsg");
    if (n == 0)
        return PASS_GONE;
    head = CMSG_FIRSTHDR(&msg);
    base_check(n != sizeof packet || !head || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)), "cut packet");
    memcpy(&conn, CMSG_DATA(head), sizeof conn);
    *lease_out = packet.lease;
    return conn;
}
