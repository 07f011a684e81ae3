#include "proto/xfer.h"

#include "proto/error.h"
#include "proto/socket.h"

sockbroker_status sb_xfer_send_probe(sockbroker_socket broker_end, uint64_t number)
{
    struct sb_delivery d;
    uint8_t buf[32];
    size_t len;
    int os_code;

    d.kind = SB_DELIVERY_PROBE;
    d.number = number;
    sockbroker_status st = sb_wire_pack_delivery(&d, buf, sizeof(buf), &len);
    return st ? st : sb_xfer_send_packet(broker_end, buf, len, SOCKBROKER_SOCKET_NONE, &os_code);
}

sockbroker_status sb_xfer_receive_report(sockbroker_socket broker_end, struct sb_report *report_out,
                                         struct sockbroker_error *error_out)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len = 0;
    sockbroker_socket stray = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = sb_xfer_receive_packet(broker_end, buf, sizeof(buf), &len, &stray);

    if (stray != SOCKBROKER_SOCKET_NONE || st == SOCKBROKER_NO_DESCRIPTORS) {
        sb_socket_close(&stray);
        return sb_error_set(error_out, SOCKBROKER_BAD_MESSAGE, 0, "a worker sent a descriptor in a report; workers may not");
    }
    if (st == SOCKBROKER_BAD_MESSAGE)
        return sb_error_set(error_out, st, 0, "a worker sent a packet longer than %u bytes or with descriptors", SB_PACKET_MAX);
    if (!st && sb_stamp_unpack_report(buf, len, report_out))
        return SOCKBROKER_OK;
    return st ? st : sb_wire_unpack_report(buf, len, report_out, error_out);
}

sockbroker_status sb_xfer_send_report(sockbroker_socket worker_end, const struct sb_report *report)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len;
    int os_code;
    sockbroker_status st = SOCKBROKER_OK;

    if (!sb_stamp_pack_report(report, buf, sizeof(buf), &len))
        st = sb_wire_pack_report(report, buf, sizeof(buf), &len);
    return st ? st : sb_xfer_send_packet(worker_end, buf, len, SOCKBROKER_SOCKET_NONE, &os_code);
}

/* What this thread unpacked last from IPv4 and from IPv6 clients: the next packet is most likely like one of them. */
static _Thread_local struct sb_stamp taken[2];

static sockbroker_status unpack(const uint8_t *data, size_t len, struct sb_delivery *d)
{
    struct sockbroker_socket_info *info = &d->record.info;

    if (sb_stamp_unpack(&taken[0], data, len, info) || sb_stamp_unpack(&taken[1], data, len, info)) {
        d->kind = SB_DELIVERY_INFO;
        d->number = info->lease_id;
        d->record.protocol_info_layout = 0;
        d->record.protocol_info_len = 0;
        return SOCKBROKER_OK;
    }
    sockbroker_status st = sb_wire_unpack_delivery(data, len, d, NULL);
    if (!st && d->kind == SB_DELIVERY_INFO && !d->record.protocol_info_len)
        sb_stamp_learn(&taken[info->peer.family == SOCKBROKER_IPV6], info);
    return st;
}

static bool wants_socket(const struct sb_delivery *d)
{
    return d->kind != SB_DELIVERY_PROBE;
}

typedef sockbroker_status (*receive_fn)(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                        sockbroker_socket *passenger_out);

static sockbroker_status receive(receive_fn receive_packet, sockbroker_socket worker_end, struct sb_delivery *delivery_out,
                                 sockbroker_socket *sock_out)
{
    uint8_t buf[SB_PACKET_MAX];
    size_t len = 0;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = receive_packet(worker_end, buf, sizeof(buf), &len, &sock);

    if (st && st != SOCKBROKER_NO_DESCRIPTORS)
        return st;
    if (unpack(buf, len, delivery_out)) {
        sb_socket_close(&sock);
        return SOCKBROKER_BAD_MESSAGE;
    }
    if (!st && wants_socket(delivery_out) != (sock != SOCKBROKER_SOCKET_NONE)) {
        bool missing = sock == SOCKBROKER_SOCKET_NONE;

        sb_socket_close(&sock);
        return missing ? SOCKBROKER_NO_DESCRIPTORS : SOCKBROKER_BAD_MESSAGE; /* the kernel may drop one without a flag */
    }
    if (!st)
        *sock_out = sock;
    return st;
}

sockbroker_status sb_xfer_receive(sockbroker_socket worker_end, struct sb_delivery *delivery_out, sockbroker_socket *sock_out)
{
    return receive(sb_xfer_receive_packet, worker_end, delivery_out, sock_out);
}

sockbroker_status sb_xfer_wait(sockbroker_socket worker_end, struct sb_delivery *delivery_out, sockbroker_socket *sock_out)
{
    return receive(sb_xfer_wait_packet, worker_end, delivery_out, sock_out);
}
