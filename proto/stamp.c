#include "proto/stamp.h"

#include <string.h>

/* ---- fixed-width fields are little-endian in protobuf, whatever the machine ---- */

static void put(uint8_t *at, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* ---- delivery ---- */

/* Values that stand out in the packed bytes; each differs from all others and from anything else there. */
#define MARK_LEASE 0xa1a2a3a4a5a6a7a8u
#define MARK_TIME 0xb1b2b3b4b5b6b7b8u
#define MARK_PEER_PORT 0xc1c2u
#define MARK_LOCAL_PORT 0xd1d2u
#define MARK_PEER_IP 0xe1
#define MARK_LOCAL_IP 0xf1

static size_t ip_len(const struct sockbroker_addr *a)
{
    return a->family == SOCKBROKER_IPV4 ? 4 : 16;
}

static bool same_form(const struct sockbroker_addr *a, const struct sockbroker_addr *b)
{
    return a->family == b->family && !a->scope_id && !b->scope_id;
}

/* proto3 leaves zeros out, so a zero has another form. */
static bool fits(const struct sb_stamp *s, const struct sockbroker_socket_info *i)
{
    return s->len && same_form(&s->shape.peer, &i->peer) && same_form(&s->shape.local, &i->local) && i->peer.port &&
           i->local.port && i->accept_time_ns && i->lease_id && i->socket_family == s->shape.socket_family &&
           i->type == s->shape.type && i->protocol == s->shape.protocol && i->nonblocking == s->shape.nonblocking &&
           i->listening == s->shape.listening && !strcmp(i->endpoint, s->shape.endpoint);
}

/* Where `value` stands, once and only once; 0 when it does not. */
static uint16_t find(const uint8_t *bytes, size_t len, const uint8_t *value, size_t n)
{
    uint16_t found = 0;

    for (size_t i = 1; i + n <= len; i++) {
        if (memcmp(bytes + i, value, n))
            continue;
        if (found)
            return 0;
        found = (uint16_t)i;
    }
    return found;
}

static uint16_t find_number(const uint8_t *bytes, size_t len, uint64_t value, size_t n)
{
    uint8_t packed[8];

    put(packed, value, n);
    return find(bytes, len, packed, n);
}

static uint16_t find_ip(const uint8_t *bytes, size_t len, const struct sockbroker_addr *a)
{
    return find(bytes, len, a->ip, ip_len(a));
}

static void mark(struct sockbroker_socket_info *i)
{
    i->lease_id = MARK_LEASE;
    i->accept_time_ns = MARK_TIME;
    i->peer.port = MARK_PEER_PORT;
    i->local.port = MARK_LOCAL_PORT;
    memset(i->peer.ip, MARK_PEER_IP, ip_len(&i->peer));
    memset(i->local.ip, MARK_LOCAL_IP, ip_len(&i->local));
}

static sockbroker_status pack_whole(const struct sockbroker_socket_info *info, uint8_t *buf, size_t cap, size_t *len_out)
{
    struct sb_delivery d;

    d.kind = SB_DELIVERY_INFO;
    d.number = info->lease_id;
    d.record.info = *info;
    d.record.protocol_info_layout = 0;
    d.record.protocol_info_len = 0;
    return sb_wire_pack_delivery(&d, buf, cap, len_out);
}

/* Failing leaves no stamp, which costs time and nothing else. */
void sb_stamp_learn(struct sb_stamp *s, const struct sockbroker_socket_info *info)
{
    struct sockbroker_socket_info marked = *info;
    size_t len;

    s->len = 0;
    mark(&marked);
    if (info->peer.scope_id || info->local.scope_id || pack_whole(&marked, s->bytes, sizeof(s->bytes), &len))
        return;
    s->lease_id_at = find_number(s->bytes, len, MARK_LEASE, 8);
    s->time_at = find_number(s->bytes, len, MARK_TIME, 8);
    s->peer_ip_at = find_ip(s->bytes, len, &marked.peer);
    s->peer_port_at = find_number(s->bytes, len, MARK_PEER_PORT, 4);
    s->local_ip_at = find_ip(s->bytes, len, &marked.local);
    s->local_port_at = find_number(s->bytes, len, MARK_LOCAL_PORT, 4);
    if (!s->lease_id_at || !s->time_at || !s->peer_ip_at || !s->peer_port_at || !s->local_ip_at || !s->local_port_at)
        return;
    s->shape = *info;
    s->len = (uint16_t)len;
}

sockbroker_status sb_stamp_pack(struct sb_stamp *s, const struct sockbroker_socket_info *info, uint8_t *buf, size_t cap,
                                size_t *len_out)
{
    if (!fits(s, info)) {
        sockbroker_status st = pack_whole(info, buf, cap, len_out); /* also the check of what is the same each time */

        if (!st)
            sb_stamp_learn(s, info);
        return st;
    }
    if (cap < s->len)
        return SOCKBROKER_INVALID;
    memcpy(buf, s->bytes, s->len);
    put(buf + s->lease_id_at, info->lease_id, 8);
    put(buf + s->time_at, info->accept_time_ns, 8);
    memcpy(buf + s->peer_ip_at, info->peer.ip, ip_len(&info->peer));
    put(buf + s->peer_port_at, info->peer.port, 4);
    memcpy(buf + s->local_ip_at, info->local.ip, ip_len(&info->local));
    put(buf + s->local_port_at, info->local.port, 4);
    *len_out = s->len;
    return SOCKBROKER_OK;
}

/* Is everything but the holes as it was? */
static bool is_like(const struct sb_stamp *s, const uint8_t *data)
{
    uint8_t closed[SB_STAMP_MAX];

    memcpy(closed, data, s->len);
    memcpy(closed + s->lease_id_at, s->bytes + s->lease_id_at, 8);
    memcpy(closed + s->time_at, s->bytes + s->time_at, 8);
    memcpy(closed + s->peer_ip_at, s->bytes + s->peer_ip_at, ip_len(&s->shape.peer));
    memcpy(closed + s->peer_port_at, s->bytes + s->peer_port_at, 4);
    memcpy(closed + s->local_ip_at, s->bytes + s->local_ip_at, ip_len(&s->shape.local));
    memcpy(closed + s->local_port_at, s->bytes + s->local_port_at, 4);
    return !memcmp(closed, s->bytes, s->len);
}

/* ::ffff:0:0/96, which no record may hold. */
static bool is_mapped(const struct sockbroker_addr *a)
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

    return a->family == SOCKBROKER_IPV6 && !memcmp(a->ip, prefix, sizeof(prefix));
}

/* False when the value is one that the full way refuses. */
static bool take_addr(struct sockbroker_addr *a, const uint8_t *ip, const uint8_t *port)
{
    uint64_t number = get(port, 4);

    memcpy(a->ip, ip, ip_len(a));
    a->port = (uint16_t)number;
    return number <= UINT16_MAX && !is_mapped(a);
}

bool sb_stamp_unpack(const struct sb_stamp *s, const uint8_t *data, size_t len, struct sockbroker_socket_info *info_out)
{
    struct sockbroker_socket_info info;

    if (!s->len || len != s->len || !is_like(s, data))
        return false;
    info = s->shape;
    info.lease_id = get(data + s->lease_id_at, 8);
    info.accept_time_ns = get(data + s->time_at, 8);
    if (!info.lease_id || !take_addr(&info.peer, data + s->peer_ip_at, data + s->peer_port_at) ||
        !take_addr(&info.local, data + s->local_ip_at, data + s->local_port_at))
        return false;
    *info_out = info;
    return true;
}

/* ---- report ---- */

/* Each Result { lease_id (fixed64), verdict } of a Report as protobuf-c packs it; a test holds the two together. */
static const uint8_t before_id[] = { 0x0a, 0x0b, 0x09 };
#define VERDICT_TAG 0x10
#define RESULT_LEN (sizeof(before_id) + 8 + 2)

bool sb_stamp_pack_report(const struct sb_report *r, uint8_t *buf, size_t cap, size_t *len_out)
{
    uint8_t *at = buf;

    if (r->probe || r->bell || !r->n_results || r->n_results * RESULT_LEN > cap)
        return false;
    for (uint32_t i = 0; i < r->n_results; i++, at += RESULT_LEN) {
        memcpy(at, before_id, sizeof(before_id));
        put(at + sizeof(before_id), r->results[i].lease_id, 8);
        at[RESULT_LEN - 2] = VERDICT_TAG;
        at[RESULT_LEN - 1] = (uint8_t)r->results[i].verdict;
    }
    *len_out = (size_t)(at - buf);
    return true;
}

static bool take_result(const uint8_t *at, struct sb_result *result)
{
    uint8_t verdict = at[RESULT_LEN - 1];

    if (memcmp(at, before_id, sizeof(before_id)) || at[RESULT_LEN - 2] != VERDICT_TAG || verdict < SB_VERDICT_ACK ||
        verdict > SB_VERDICT_FINISHED)
        return false;
    result->lease_id = get(at + sizeof(before_id), 8);
    result->verdict = (enum sb_verdict)verdict;
    return result->lease_id != 0;
}

bool sb_stamp_unpack_report(const uint8_t *data, size_t len, struct sb_report *report_out)
{
    size_t n = len / RESULT_LEN;

    if (len % RESULT_LEN || !n || n > SB_RESULTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!take_result(data + i * RESULT_LEN, &report_out->results[i]))
            return false;
    }
    report_out->n_results = (uint32_t)n;
    report_out->probe = 0;
    report_out->bell = false;
    return true;
}
