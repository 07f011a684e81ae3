/* wire_record.c: what several messages contain: an address, the record of a socket, a session key, a result. */
#include <string.h>

#include "proto/error.h"
#include "proto/wire_table.h"
#include "sockbroker.pb-c.h"

#define IPV4_LEN 4u
#define IPV6_LEN 16u

static sockbroker_status refuse(struct sockbroker_error *error, const char *sentence)
{
    return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s", sentence);
}

/* ---- Address ---- */

static bool is_mapped(const uint8_t *ip)
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff }; /* ::ffff:0:0/96, RFC 4291 2.5.5.2 */

    return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

static sockbroker_status check_address(const void *message, struct sockbroker_error *error)
{
    const Sb__Address *address = message;

    if (address->ip.len != IPV4_LEN && address->ip.len != IPV6_LEN)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "Address.ip has %zu bytes; it must have 4 or 16",
                            address->ip.len);
    if (address->ip.len == IPV4_LEN && address->scope_id != 0)
        return refuse(error, "Address.scope_id is set for an IPv4 address");
    if (address->ip.len == IPV6_LEN && is_mapped(address->ip.data))
        return refuse(error, "Address.ip is an IPv4-mapped IPv6 address; it must be given as IPv4");
    return SOCKBROKER_OK;
}

static bool build_address(const void *ours, void *message)
{
    const struct sockbroker_addr *addr = ours;
    Sb__Address *address = message;

    if (addr->family == SOCKBROKER_IPV4)
        address->ip.len = IPV4_LEN;
    return addr->family == SOCKBROKER_IPV4 || addr->family == SOCKBROKER_IPV6;
}

static void fill_address(const void *message, void *ours)
{
    const Sb__Address *address = message;
    struct sockbroker_addr *addr = ours;

    addr->family = address->ip.len == IPV4_LEN ? SOCKBROKER_IPV4 : SOCKBROKER_IPV6;
    memset(addr->ip + address->ip.len, 0, sizeof(addr->ip) - address->ip.len);
}

static const struct sb_wire_field address_fields[] = {
    SB_WIRE_BYTES(struct sockbroker_addr, ip, IPV4_LEN),
    SB_WIRE_NUMBER(struct sockbroker_addr, port, 0, UINT16_MAX),
    SB_WIRE_ANY(struct sockbroker_addr, scope_id),
};

const struct sb_wire_message sb_wire_address = {
    SB_WIRE_MESSAGE(sb__address__descriptor, address_fields),
    .check = check_address,
    .after_build = build_address,
    .after_fill = fill_address,
};

/* ---- SocketInfo ---- */

sockbroker_status sb_wire_check_protocol_info(const char *message, const ProtobufCBinaryData *protocol_info, uint32_t layout,
                                              struct sockbroker_error *error)
{
    size_t len = protocol_info->len;

    if (len != 0 && len != SB_PROTOCOL_INFO_MAX)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s.protocol_info has %zu bytes; it must have 0 or %u", message,
                            len, SB_PROTOCOL_INFO_MAX);
    if (len == 0 ? layout != 0 : layout != 4 && layout != 8)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s.protocol_info_layout is %u; it must be %s", message,
                            (unsigned)layout, len == 0 ? "0 without protocol_info" : "4 or 8 with protocol_info");
    return SOCKBROKER_OK;
}

static sockbroker_status check_socket_info(const void *message, struct sockbroker_error *error)
{
    const Sb__SocketInfo *info = message;

    if (info->socket_family != SOCKBROKER_IPV4 && info->socket_family != SOCKBROKER_IPV6)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "SocketInfo.socket_family is %u; it must be 4 or 6",
                            (unsigned)info->socket_family);
    if (info->type == SOCKBROKER_STREAM && !info->listening && !info->peer)
        return refuse(error, "SocketInfo.peer is missing; a connection has one");
    if (info->listening && (info->peer || info->type != SOCKBROKER_STREAM))
        return refuse(error, "SocketInfo.listening is set for a socket that cannot listen");
    return sb_wire_check_protocol_info("SocketInfo", &info->protocol_info, info->protocol_info_layout, error);
}

static const struct sb_wire_field socket_info_fields[] = {
    SB_WIRE_ID(struct sb_record, info.lease_id),
    SB_WIRE_ANY(struct sb_record, info.accept_time_ns),
    SB_WIRE_ANY(struct sb_record, info.socket_family),
    SB_WIRE_NUMBER(struct sb_record, info.type, SOCKBROKER_STREAM, SOCKBROKER_DATAGRAM),
    SB_WIRE_NUMBER(struct sb_record, info.protocol, 0, 255),
    SB_WIRE_ANY(struct sb_record, info.nonblocking),
    SB_WIRE_OPTIONAL(struct sb_record, info.peer, info.peer.family, &sb_wire_address),
    SB_WIRE_CHILD(struct sb_record, info.local, &sb_wire_address),
    SB_WIRE_NAME(struct sb_record, info.endpoint, 0),
    SB_WIRE_BLOB(struct sb_record, protocol_info, protocol_info_len),
    SB_WIRE_ANY(struct sb_record, protocol_info_layout),
    SB_WIRE_ANY(struct sb_record, info.listening),
};

const struct sb_wire_message sb_wire_socket_info = {
    SB_WIRE_MESSAGE(sb__socket_info__descriptor, socket_info_fields),
    .check = check_socket_info,
};

/* ---- SessionKey, Result ---- */

static const struct sb_wire_field session_key_fields[] = {
    SB_WIRE_ID(struct sb_session_key, id),
    SB_WIRE_BYTES(struct sb_session_key, secret, SB_SECRET_LEN),
};

const struct sb_wire_message sb_wire_session_key = {
    SB_WIRE_MESSAGE(sb__session_key__descriptor, session_key_fields),
};

static const struct sb_wire_field result_fields[] = {
    SB_WIRE_ID(struct sb_result, lease_id),
    SB_WIRE_NUMBER(struct sb_result, verdict, SB_VERDICT_ACK, SB_VERDICT_FINISHED),
};

const struct sb_wire_message sb_wire_result = {
    SB_WIRE_MESSAGE(sb__result__descriptor, result_fields),
};
