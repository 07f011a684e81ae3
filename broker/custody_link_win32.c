#include "broker/custody_link.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include "broker/custody_keeper.h"
#include "broker/keeper.h"
#include "broker/keeper_letter_win32.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"

#define PATIENCE_MS 100

/* ---- numbers ---- */

static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    while (len--)
        hash = (hash ^ *at++) * 1099511628211u; /* FNV-1a */
    return hash;
}

/* Not the bytes that nobody sets. */
static uint64_t add_address(uint64_t hash, const struct sockaddr_storage *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

    hash = add_bytes(hash, &sa->ss_family, sizeof(sa->ss_family));
    if (sa->ss_family == AF_INET6) {
        hash = add_bytes(hash, &v6->sin6_port, sizeof(v6->sin6_port));
        hash = add_bytes(hash, &v6->sin6_scope_id, sizeof(v6->sin6_scope_id));
        return add_bytes(hash, &v6->sin6_addr, sizeof(v6->sin6_addr));
    }
    hash = add_bytes(hash, &v4->sin_port, sizeof(v4->sin_port));
    return add_bytes(hash, &v4->sin_addr, sizeof(v4->sin_addr));
}

/* A socket has no number here. Ours are bound exclusively, so the address tells one from another; a connection's are both. */
uint64_t sb_custody_number(sockbroker_socket sock)
{
    struct sockaddr_storage sa;
    uint64_t hash = 14695981039346656037u;
    int len = sizeof(sa);
    bool is_datagram = sb_socket_is_datagram(sock);

    if (getsockname(sock, (struct sockaddr *)&sa, &len))
        return 0;
    hash = add_address(add_bytes(hash, &is_datagram, sizeof(is_datagram)), &sa);
    len = sizeof(sa);
    if (!is_datagram && !getpeername(sock, (struct sockaddr *)&sa, &len))
        hash = add_address(hash, &sa);
    return hash ? hash : 1;
}

/* ---- opening ---- */

static sockbroker_status open_end(const struct sb_keeper_letter *letter, sockbroker_socket *end_out)
{
    WSAPROTOCOL_INFOW info = letter->info;
    SOCKET end = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                            WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

    if (end == INVALID_SOCKET)
        return sb_oserr_status(WSAGetLastError());
    *end_out = end;
    return sb_socket_set_nonblocking(end, true);
}

sockbroker_status sb_custody_link_open(enum sb_keeping keeping, struct sb_custody_link *link_out, struct sb_given **given_out,
                                       struct sockbroker_error *error_out)
{
    const struct sb_keeper_letter *letter = sb_keeper_letter();

    (void)keeping;
    *link_out = (struct sb_custody_link)SB_CUSTODY_LINK_NONE;
    if (!sb_keeper_is_ours())
        return SOCKBROKER_OK;
    if (!letter || open_end(letter, &link_out->end))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            SB_KEEPER_VARIABLE " names nothing that a keeper has written; unset it, only a keeper sets it");
    link_out->who = SB_CUSTODIAN_KEEPER;
    link_out->peer = (sockbroker_socket)letter->keeper;
    link_out->is_next = letter->is_next;
    return sb_custody_keeper_take(link_out->end, given_out, error_out);
}

/* ---- telling ---- */

static sockbroker_status tell(const struct sb_custody_link *l, enum sb_keeper_word word, const char *label,
                              sockbroker_socket sock)
{
    return l->who == SB_CUSTODIAN_KEEPER ? sb_custody_keeper_tell(l, word, label, sock) : SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_put(const struct sb_custody_link *l, const char *label, sockbroker_socket sock)
{
    return tell(l, SB_KEEPER_PUT, label, sock);
}

sockbroker_status sb_custody_link_drop(const struct sb_custody_link *l, const char *label)
{
    return tell(l, SB_KEEPER_DROP, label, SOCKBROKER_SOCKET_NONE);
}

sockbroker_status sb_custody_link_ready(const struct sb_custody_link *l)
{
    return tell(l, SB_KEEPER_READY, "", SOCKBROKER_SOCKET_NONE);
}

sockbroker_status sb_custody_link_rename(const struct sb_custody_link *l)
{
    return tell(l, SB_KEEPER_RENAME, "", SOCKBROKER_SOCKET_NONE);
}

/* The keeper sets the event when it comes to it. */
sockbroker_status sb_custody_link_settle(const struct sb_custody_link *l)
{
    HANDLE done = CreateEventW(NULL, TRUE, FALSE, NULL);

    if (!done)
        return sb_oserr_status(sb_oserr_last());
    sockbroker_status st = tell(l, SB_KEEPER_BARRIER, "", (sockbroker_socket)done);
    if (!st && l->who == SB_CUSTODIAN_KEEPER && WaitForSingleObject(done, PATIENCE_MS) != WAIT_OBJECT_0)
        st = SOCKBROKER_TIMEOUT;
    CloseHandle(done);
    return st;
}

/* ---- taking over: there is none here (takeover_spawn_win32.c) ---- */

sockbroker_status sb_custody_link_join(enum sb_keeping keeping, sockbroker_socket channel, struct sb_custody_link *link_out)
{
    (void)keeping;
    (void)channel;
    *link_out = (struct sb_custody_link)SB_CUSTODY_LINK_NONE;
    return SOCKBROKER_OK;
}

/* The keeper's job sees to it from the start. */
bool sb_custody_link_bind_life(uint32_t first_parent)
{
    (void)first_parent;
    return true;
}

uint32_t sb_custody_link_parent(void)
{
    return 0;
}
