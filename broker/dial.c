#include "broker/dial.h"

#include <stdio.h>

#include "broker/dial_system.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

static sockbroker_status failed(const char *operation, const struct sockbroker_addr *addr, int os_code,
                                struct sockbroker_error *error_out)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    char what[SOCKBROKER_ADDR_TEXT_MAX + 32];

    snprintf(what, sizeof(what), "%s %s", operation, sockbroker_addr_format(addr, text));
    sockbroker_status st = sb_oserr_set(error_out, os_code, what, sb_dial_system_cure(os_code));
    if (os_code != sb_dial_system_refused)
        return st;
    if (error_out) /* NO_BROKER is for our own socket */
        error_out->status = SOCKBROKER_SYSTEM;
    return SOCKBROKER_SYSTEM;
}

/* ---- the start ---- */

static bool set_only(sockbroker_socket sock)
{
    int on = 1;

    return setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&on, sizeof(on)) == 0;
}

static bool bind_to(sockbroker_socket sock, const struct sockbroker_addr *source)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(source, &sa);

    return sb_dial_system_set_port_use(sock, source->port) && bind(sock, (struct sockaddr *)&sa, len) == 0;
}

static bool connect_to(sockbroker_socket sock, const struct sockbroker_addr *destination)
{
    struct sockaddr_storage sa;
    socklen_t len = (socklen_t)sockbroker_addr_to_sockaddr(destination, &sa);

    return sb_dial_system_connect(sock, (struct sockaddr *)&sa, len);
}

sockbroker_status sb_dial_start(const struct sockbroker_addr *source, const struct sockbroker_addr *destination,
                                sockbroker_socket *sock_out, struct sockbroker_error *error_out)
{
    sockbroker_status st = SOCKBROKER_OK;
    sockbroker_socket sock = sb_dial_system_open(destination->family);

    if (sock == SOCKBROKER_SOCKET_NONE)
        return failed("socket for", destination, sb_oserr_last(), error_out);
    if (destination->family == SOCKBROKER_IPV6 && !set_only(sock))
        st = failed("IPV6_V6ONLY for", destination, sb_oserr_last(), error_out);
    if (!st && source->family != SOCKBROKER_FAMILY_NONE && !bind_to(sock, source))
        st = failed("bind to the source", source, sb_oserr_last(), error_out);
    if (!st && !connect_to(sock, destination))
        st = failed("connect to", destination, sb_oserr_last(), error_out);
    if (!st)
        *sock_out = sb_socket_take(&sock);
    sb_socket_close(&sock);
    return st;
}

/* ---- the outcome ---- */

/* The system's code, 0 for a connection. */
static int read_result(sockbroker_socket sock)
{
    int code = 0;
    socklen_t len = sizeof(code);

    return getsockopt(sock, SOL_SOCKET, SO_ERROR, (char *)&code, &len) ? sb_oserr_last() : code;
}

/* 0, or the system's code. A TCP socket of an IP family has no other addresses than these. */
static int read_end(sockbroker_socket sock, bool of_peer, struct sockbroker_addr *addr_out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (of_peer ? getpeername(sock, (struct sockaddr *)&sa, &len) : getsockname(sock, (struct sockaddr *)&sa, &len))
        return sb_oserr_last();
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, (size_t)len, addr_out);
    return 0;
}

sockbroker_status sb_dial_outcome(sockbroker_socket sock, const struct sockbroker_addr *destination,
                                  struct sockbroker_addr *local_out, struct sockbroker_addr *peer_out,
                                  struct sockbroker_error *error_out)
{
    struct sockbroker_addr local, peer;
    char text[SOCKBROKER_ADDR_TEXT_MAX];
    int code = read_result(sock);

    if (!code)
        code = read_end(sock, false, &local);
    if (!code)
        code = read_end(sock, true, &peer);
    if (code)
        return failed("connect to", destination, code, error_out);
    if (!sockbroker_addr_compare(&local, &peer))
        return sb_error_set(error_out, SOCKBROKER_SYSTEM, sb_dial_system_refused,
                            "connect to %s: nothing listens there, it met itself. Start the server or correct the port",
                            sockbroker_addr_format(destination, text));
    *local_out = local;
    *peer_out = peer;
    return SOCKBROKER_OK;
}
