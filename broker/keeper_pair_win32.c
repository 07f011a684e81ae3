#include "broker/keeper_pair.h"

#include <winsock2.h>

#include <windows.h>

#include <string.h>

#include "proto/oserr.h"
#include "proto/socket.h"

#define REST_MS 1000 /* for the rest of a packet, when a part of it has gone */

enum kind {
    NOTHING,
    SOCKET_INFO, /* WSAPROTOCOL_INFOW */
    HANDLE_VALUE,
};

struct head {
    uint16_t size; /* of the packet, with this */
    uint8_t kind;
    uint8_t zero;
};

#define DATA_MAX 512
#define PACKET_MAX (sizeof(struct head) + sizeof(WSAPROTOCOL_INFOW) + DATA_MAX)

static size_t passenger_size(uint8_t kind)
{
    return kind == SOCKET_INFO ? sizeof(WSAPROTOCOL_INFOW) : kind == HANDLE_VALUE ? sizeof(HANDLE) : 0;
}

bool sb_keeper_pair_wait(sockbroker_socket end, bool to_send, int timeout_ms)
{
    WSAPOLLFD p = { .fd = end, .events = to_send ? POLLWRNORM : POLLRDNORM };

    return WSAPoll(&p, 1, timeout_ms) > 0;
}

/* ---- sending ---- */

static bool is_socket(sockbroker_socket sock)
{
    int type;
    int len = sizeof(type);

    return getsockopt(sock, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0;
}

/* From here on the other process has it. */
static sockbroker_status board(sockbroker_socket passenger, HANDLE peer, uint8_t *into, uint8_t *kind_out)
{
    WSAPROTOCOL_INFOW info;
    HANDLE theirs;

    *kind_out = NOTHING;
    if (passenger == SOCKBROKER_SOCKET_NONE)
        return SOCKBROKER_OK;
    if (is_socket(passenger)) {
        if (WSADuplicateSocketW(passenger, GetProcessId(peer), &info))
            return sb_oserr_status(WSAGetLastError());
        memcpy(into, &info, sizeof(info));
        *kind_out = SOCKET_INFO;
        return SOCKBROKER_OK;
    }
    if (!DuplicateHandle(GetCurrentProcess(), (HANDLE)passenger, peer, &theirs, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return sb_oserr_status(sb_oserr_last());
    memcpy(into, &theirs, sizeof(theirs));
    *kind_out = HANDLE_VALUE;
    return SOCKBROKER_OK;
}

/* There is room for a packet when there is any; should it not be so, the other side must not lose its place. */
static sockbroker_status send_all(sockbroker_socket end, const uint8_t *packet, size_t size)
{
    while (size) {
        int n = send(end, (const char *)packet, (int)size, 0);

        if (n > 0) {
            packet += n;
            size -= (size_t)n;
        } else if (WSAGetLastError() != WSAEWOULDBLOCK || !sb_keeper_pair_wait(end, true, REST_MS)) {
            shutdown(end, SD_BOTH);
            return SOCKBROKER_CLOSED;
        }
    }
    return SOCKBROKER_OK;
}

sockbroker_status sb_keeper_pair_send(sockbroker_socket end, sockbroker_socket peer, const uint8_t *data, size_t len,
                                      sockbroker_socket passenger)
{
    uint8_t packet[PACKET_MAX];
    struct head head = { 0, NOTHING, 0 };

    if (len > DATA_MAX)
        return SOCKBROKER_INVALID;
    if (peer != SOCKBROKER_SOCKET_NONE && WaitForSingleObject((HANDLE)peer, 0) != WAIT_TIMEOUT)
        return SOCKBROKER_CLOSED;
    if (!sb_keeper_pair_wait(end, true, 0)) /* first: who has got a passenger cannot give it back */
        return SOCKBROKER_AGAIN;
    sockbroker_status st = board(passenger, (HANDLE)peer, packet + sizeof(head), &head.kind);
    if (st)
        return st;
    size_t at = sizeof(head) + passenger_size(head.kind);
    head.size = (uint16_t)(at + len);
    memcpy(packet, &head, sizeof(head));
    memcpy(packet + at, data, len);
    return send_all(end, packet, at + len);
}

/* ---- receiving ---- */

static sockbroker_status alight(const uint8_t *from, uint8_t kind, sockbroker_socket *passenger_out)
{
    WSAPROTOCOL_INFOW info;
    HANDLE ours;

    *passenger_out = SOCKBROKER_SOCKET_NONE;
    if (kind == SOCKET_INFO) {
        memcpy(&info, from, sizeof(info));
        *passenger_out = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                                    WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
        return *passenger_out == INVALID_SOCKET ? SOCKBROKER_NO_DESCRIPTORS : SOCKBROKER_OK;
    }
    if (kind == HANDLE_VALUE) {
        memcpy(&ours, from, sizeof(ours));
        *passenger_out = (sockbroker_socket)ours;
    }
    return SOCKBROKER_OK;
}

static bool is_sound(const struct head *head, size_t cap)
{
    size_t least = sizeof(*head) + passenger_size(head->kind);

    return head->kind <= HANDLE_VALUE && head->size >= least && head->size - least <= cap;
}

/* OK: one is there, whole. */
static sockbroker_status look(sockbroker_socket end, size_t cap, struct head *head)
{
    uint8_t packet[PACKET_MAX];
    int n = recv(end, (char *)packet, sizeof(packet), MSG_PEEK);

    if (n < 0 && WSAGetLastError() == WSAEWOULDBLOCK)
        return SOCKBROKER_AGAIN;
    if (n <= 0)
        return SOCKBROKER_CLOSED;
    if ((size_t)n < sizeof(*head))
        return SOCKBROKER_AGAIN;
    memcpy(head, packet, sizeof(*head));
    if (!is_sound(head, cap))
        return SOCKBROKER_CLOSED; /* there is no way to find the next one */
    return n < head->size ? SOCKBROKER_AGAIN : SOCKBROKER_OK;
}

sockbroker_status sb_keeper_pair_receive(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                         sockbroker_socket *passenger_out)
{
    uint8_t packet[PACKET_MAX];
    struct head head;
    sockbroker_status st = look(end, cap, &head);

    if (st)
        return st;
    if (recv(end, (char *)packet, head.size, 0) != head.size)
        return SOCKBROKER_CLOSED;
    size_t at = sizeof(head) + passenger_size(head.kind);
    *len_out = head.size - at;
    memcpy(buf, packet + at, *len_out);
    return alight(packet + sizeof(head), head.kind, passenger_out);
}
