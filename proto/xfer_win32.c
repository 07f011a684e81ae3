#include "proto/xfer.h"

#include <winsock2.h>

#include <windows.h>

#include <assert.h>
#include <string.h>

#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/peer.h"
#include "proto/socket.h"

static_assert(sizeof(WSAPROTOCOL_INFOW) == SB_PROTOCOL_INFO_MAX, "the record has room for it, and no more");

static bool has_ended(sockbroker_socket process)
{
    return WaitForSingleObject((HANDLE)process, 0) != WAIT_TIMEOUT;
}

/* ---- a socket inside its record ---- */

static sockbroker_status duplicate_status(int os_code)
{
    switch (os_code) {
    case WSAEMFILE:
    case WSAENOBUFS:
        return SOCKBROKER_BUSY;
    case WSAEACCES:
    case WSAEINVAL: /* what it says of a process that it may not open */
        return SOCKBROKER_PERMISSION;
    default:
        return sb_oserr_status(os_code);
    }
}

/* Windows wants the number of the process. While we hold its handle nobody else gets that number, also when it has ended; a
 * copy for a process that has ended goes nowhere, and says OK. */
sockbroker_status sb_xfer_fill_record(sockbroker_socket worker, sockbroker_socket sock, struct sb_record *record,
                                      int *os_code_out)
{
    WSAPROTOCOL_INFOW info;
    int failed = sb_failpoint("fill_record");

    if (has_ended(worker))
        return SOCKBROKER_CLOSED;
    if (!failed && WSADuplicateSocketW(sock, GetProcessId((HANDLE)worker), &info))
        failed = WSAGetLastError();
    if (failed) {
        *os_code_out = failed;
        return duplicate_status(failed);
    }
    memcpy(record->protocol_info, &info, sizeof(info));
    record->protocol_info_len = sizeof(info);
    record->protocol_info_layout = sizeof(void *);
    return SOCKBROKER_OK;
}

/* Windows notes the copy in dwProviderReserved, as the manual of WSPDuplicateSocket says, Wine in others that are reserved too.
 * Without a note a new socket would be made. */
static bool names_a_copy(const WSAPROTOCOL_INFOW *info)
{
    return info->dwProviderReserved || info->dwServiceFlags2 || info->dwServiceFlags3 || info->dwServiceFlags4;
}

/* The system believes whatever stands there, so what can be compared is. */
static bool is_plausible(const WSAPROTOCOL_INFOW *info, const struct sb_record *record)
{
    int family = record->info.socket_family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET;
    int type = record->info.type == SOCKBROKER_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;

    return info->iVersion > 0 && info->iAddressFamily == family && info->iSocketType == type && names_a_copy(info);
}

/* A system that believes all gives the number of any handle back as a socket: one that is none was ours before, and stays. */
static bool is_of_kind(SOCKET *sock, const struct sb_record *record)
{
    int type = 0;
    int len = sizeof(type);

    if (getsockopt(*sock, SOL_SOCKET, SO_TYPE, (char *)&type, &len)) {
        *sock = WSAGetLastError() == WSAENOTSOCK ? INVALID_SOCKET : *sock;
        return false;
    }
    return type == (record->info.type == SOCKBROKER_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM);
}

static sockbroker_status open_info(WSAPROTOCOL_INFOW *info, const struct sb_record *record, SOCKET *sock_out)
{
    SOCKET sock = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

    if (sock == INVALID_SOCKET)
        return WSAGetLastError() == WSAEINVAL ? SOCKBROKER_BAD_MESSAGE : sb_oserr_status(WSAGetLastError());
    sockbroker_status st =
        is_of_kind(&sock, record) ? sb_socket_set_nonblocking(sock, record->info.nonblocking) : SOCKBROKER_BAD_MESSAGE;
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

sockbroker_status sb_xfer_open_record(const struct sb_record *record, sockbroker_socket *sock_out)
{
    WSAPROTOCOL_INFOW info;
    SOCKET sock = INVALID_SOCKET;

    if (record->protocol_info_len != sizeof(info) || record->protocol_info_layout != sizeof(void *))
        return SOCKBROKER_BAD_MESSAGE;
    memcpy(&info, record->protocol_info, sizeof(info));
    if (!is_plausible(&info, record))
        return SOCKBROKER_BAD_MESSAGE;
    sockbroker_status st = sb_socket_prepare();
    if (!st)
        st = open_info(&info, record, &sock);
    if (st)
        return st;
    if (sb_failpoint("receive_socket")) {
        sb_socket_close(&sock);
        return SOCKBROKER_NO_DESCRIPTORS;
    }
    *sock_out = sock;
    return SOCKBROKER_OK;
}

/* ---- there is no pair: an end is the other process ---- */

sockbroker_status sb_xfer_open_pair(sockbroker_socket *broker_end_out, sockbroker_socket *worker_end_out)
{
    (void)broker_end_out;
    (void)worker_end_out;
    return SOCKBROKER_UNSUPPORTED;
}

void sb_xfer_refuse_sockets(sockbroker_socket end)
{
    (void)end;
}

void sb_xfer_accept_sockets(sockbroker_socket end)
{
    (void)end;
}

void sb_xfer_stop_waiting(sockbroker_socket worker_end)
{
    (void)worker_end;
}

sockbroker_status sb_xfer_send(sockbroker_socket broker_end, enum sb_carrier carrier, struct sb_record *record,
                               sockbroker_socket sock, struct sb_stamp *stamp, int *os_code_out)
{
    (void)record;
    (void)sock;
    (void)stamp;
    (void)os_code_out;
    if (carrier != SB_CARRIER_MESSAGE)
        return SOCKBROKER_UNSUPPORTED;
    return has_ended(broker_end) ? SOCKBROKER_CLOSED : SOCKBROKER_OK;
}

sockbroker_status sb_xfer_send_ring(sockbroker_socket broker_end, sockbroker_socket memory)
{
    (void)broker_end;
    (void)memory;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_xfer_withdraw(sockbroker_socket worker_end, uint64_t *lease_id_out)
{
    (void)worker_end;
    (void)lease_id_out;
    return SOCKBROKER_AGAIN; /* what the worker has been told of it has */
}

sockbroker_status sb_xfer_send_packet(sockbroker_socket end, const uint8_t *data, size_t len, sockbroker_socket passenger,
                                      int *os_code_out)
{
    (void)data;
    (void)len;
    (void)passenger;
    (void)os_code_out;
    return has_ended(end) ? SOCKBROKER_CLOSED : SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_xfer_receive_packet(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                         sockbroker_socket *passenger_out)
{
    (void)buf;
    (void)cap;
    (void)len_out;
    (void)passenger_out;
    return has_ended(end) ? SOCKBROKER_CLOSED : SOCKBROKER_AGAIN;
}

/* Nothing comes until the other process ends. */
sockbroker_status sb_xfer_wait_packet(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                      sockbroker_socket *passenger_out)
{
    WaitForSingleObject((HANDLE)end, INFINITE);
    return sb_xfer_receive_packet(end, buf, cap, len_out, passenger_out);
}
