#include "proto/xfer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/ring.h"
#include "proto/socket.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16, asm-generic/socket.h */
#endif

static void set_pass_rights(sockbroker_socket end, int on)
{
    setsockopt(end, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
}

void sb_xfer_refuse_sockets(sockbroker_socket end)
{
    set_pass_rights(end, 0);
}

void sb_xfer_accept_sockets(sockbroker_socket end)
{
    set_pass_rights(end, 1);
}

sockbroker_status sb_xfer_open_pair(sockbroker_socket *broker_end_out, sockbroker_socket *worker_end_out)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return sb_oserr_status(errno);
    sb_xfer_refuse_sockets(ends[0]);
    *broker_end_out = ends[0];
    *worker_end_out = ends[1];
    return SOCKBROKER_OK;
}

sockbroker_status sb_xfer_fill_record(sockbroker_socket worker, sockbroker_socket sock, struct sb_record *record,
                                      int *os_code_out)
{
    int injected = sb_failpoint("fill_record");

    (void)worker;
    (void)sock;
    record->protocol_info_layout = 0;
    record->protocol_info_len = 0;
    if (injected)
        *os_code_out = injected;
    return injected ? sb_oserr_status(injected) : SOCKBROKER_OK;
}

sockbroker_status sb_xfer_open_record(const struct sb_record *record, sockbroker_socket *sock_out)
{
    (void)sock_out;
    return record->protocol_info_len ? SOCKBROKER_BAD_MESSAGE : SOCKBROKER_AGAIN;
}

void sb_xfer_stop_waiting(sockbroker_socket worker_end)
{
    shutdown(worker_end, SHUT_RD);
}

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int))];
};

static void put_passenger(struct msghdr *m, union control *control, sockbroker_socket passenger)
{
    m->msg_control = control->room;
    m->msg_controllen = sizeof(control->room);

    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &passenger, sizeof(int));
}

/* ETOOMANYREFS: more descriptors in flight than the user may have (unix(7)); it passes when workers read, and no event tells.
 */
static sockbroker_status send_status(int os_code)
{
    return os_code == ETOOMANYREFS || os_code == ENOBUFS || os_code == ENOMEM ? SOCKBROKER_BUSY : sb_oserr_status(os_code);
}

static sockbroker_status send_packet(sockbroker_socket end, const uint8_t *data, size_t len, sockbroker_socket passenger,
                                     int *os_code_out)
{
    union control control;
    struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    if (passenger >= 0)
        put_passenger(&m, &control, passenger);
    while (sendmsg(end, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EINTR)
            continue;
        *os_code_out = errno;
        return send_status(*os_code_out);
    }
    return SOCKBROKER_OK;
}

sockbroker_status sb_xfer_send_packet(sockbroker_socket end, const uint8_t *data, size_t len, sockbroker_socket passenger,
                                      int *os_code_out)
{
    int injected = sb_failpoint(passenger >= 0 ? "send_socket" : "send_packet");

    if (passenger >= 0 && sb_failpoint("lose_packet"))
        return SOCKBROKER_OK;
    if (passenger >= 0 && sb_failpoint("lose_socket"))
        passenger = SOCKBROKER_SOCKET_NONE;
    if (!injected)
        return send_packet(end, data, len, passenger, os_code_out);
    *os_code_out = injected;
    return send_status(injected);
}

static sockbroker_socket passenger_of(struct msghdr *m)
{
    int fd = SOCKBROKER_SOCKET_NONE;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

/* An end that goes away with packets unread makes the next call at the other end fail with ECONNRESET, once, before what is
 * still to be read there. */
static ssize_t receive_message(sockbroker_socket end, struct msghdr *m, bool wait)
{
    bool was_reset = false;

    for (;;) {
        ssize_t n = recvmsg(end, m, (wait ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);

        if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || was_reset)))
            return n;
        was_reset |= errno == ECONNRESET;
    }
}

static sockbroker_status receive_packet(sockbroker_socket end, bool wait, uint8_t *buf, size_t cap, size_t *len_out,
                                        sockbroker_socket *passenger_out)
{
    union control control;
    struct iovec part = { .iov_base = buf, .iov_len = cap };
    /* Room for one descriptor: of more the kernel closes the rest and says MSG_CTRUNC. CMSG_SPACE would have room for two. */
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = CMSG_LEN(sizeof(int))
    };
    ssize_t n = receive_message(end, &m, wait);

    if (n < 0)
        return sb_oserr_status(errno);
    sockbroker_socket passenger = passenger_of(&m);
    if (n == 0 && passenger < 0 && !(m.msg_flags & MSG_CTRUNC))
        return SOCKBROKER_CLOSED; /* no valid message is empty */
    *len_out = (size_t)n;
    if ((m.msg_flags & MSG_TRUNC) || ((m.msg_flags & MSG_CTRUNC) && passenger >= 0)) {
        sb_socket_close(&passenger);
        return SOCKBROKER_BAD_MESSAGE;
    }
    if ((m.msg_flags & MSG_CTRUNC) || sb_failpoint("receive_socket")) {
        sb_socket_close(&passenger);
        return SOCKBROKER_NO_DESCRIPTORS;
    }
    *passenger_out = passenger;
    return SOCKBROKER_OK;
}

sockbroker_status sb_xfer_receive_packet(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                         sockbroker_socket *passenger_out)
{
    return receive_packet(end, false, buf, cap, len_out, passenger_out);
}

sockbroker_status sb_xfer_wait_packet(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                      sockbroker_socket *passenger_out)
{
    return receive_packet(end, true, buf, cap, len_out, passenger_out);
}

static sockbroker_status pack_lease(uint64_t lease_id, uint8_t *buf, size_t cap, size_t *len_out)
{
    struct sb_delivery d;

    d.kind = SB_DELIVERY_LEASE;
    d.number = lease_id;
    return sb_wire_pack_delivery(&d, buf, cap, len_out);
}

sockbroker_status sb_xfer_send(sockbroker_socket broker_end, enum sb_carrier carrier, struct sb_record *record,
                               sockbroker_socket sock, struct sb_stamp *stamp, int *os_code_out)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    sockbroker_status st = carrier == SB_CARRIER_DIRECT ? sb_stamp_pack(stamp, &record->info, buf, sizeof(buf), &len)
                                                        : pack_lease(record->info.lease_id, buf, sizeof(buf), &len);

    return st ? st : sb_xfer_send_packet(broker_end, buf, len, sock, os_code_out);
}

sockbroker_status sb_xfer_send_ring(sockbroker_socket broker_end, sockbroker_socket memory)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;
    struct sb_delivery d;

    d.kind = SB_DELIVERY_RING;
    d.number = SB_RING_BYTES;
    sockbroker_status st = sb_wire_pack_delivery(&d, buf, sizeof(buf), &len);
    return st ? st
              : send_packet(broker_end, buf, len, memory, &os_code); /* a ring is no socket to those that make sockets fail */
}

sockbroker_status sb_xfer_withdraw(sockbroker_socket worker_end, uint64_t *lease_id_out)
{
    uint8_t buf[SB_PACKET_MAX];
    struct iovec part = { .iov_base = buf, .iov_len = sizeof(buf) };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 }; /* no room for control data: the kernel drops the descriptor */
    struct sb_delivery d;
    ssize_t n = receive_message(worker_end, &m, false);

    if (n < 0)
        return sb_oserr_status(errno);
    if (n == 0)
        return SOCKBROKER_AGAIN; /* our own end is closed: nothing more will come */
    if (sb_wire_unpack_delivery(buf, (size_t)n, &d, NULL))
        return SOCKBROKER_BAD_MESSAGE; /* only the broker writes here */
    *lease_id_out = d.kind == SB_DELIVERY_INFO || d.kind == SB_DELIVERY_LEASE ? d.number : 0;
    return SOCKBROKER_OK;
}
