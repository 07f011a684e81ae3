/* wire_kinds.h: the six whole messages under one roof, for the unit test and the fuzz harness. */
#ifndef SB_TESTS_WIRE_KINDS_H
#define SB_TESTS_WIRE_KINDS_H

#include <stdint.h>
#include <string.h>

#include "proto/wire.h"
#include "proto/wire_table.h"

union wire_any {
    struct sb_request request;
    struct sb_reply reply;
    struct sb_hello hello;
    struct sb_welcome welcome;
    struct sb_delivery delivery;
    struct sb_report report;
};

struct wire_kind {
    const char *name;
    const struct sb_wire_message *table;
    sockbroker_status (*pack)(const void *ours, uint8_t *buf, size_t cap, size_t *len_out);
    sockbroker_status (*unpack)(const uint8_t *data, size_t len, void *ours_out, struct sockbroker_error *error_out);
};

#define WIRE_KIND_FUNCTIONS(kind)                                                                                              \
    static sockbroker_status pack_##kind(const void *ours, uint8_t *buf, size_t cap, size_t *len_out)                          \
    {                                                                                                                          \
        return sb_wire_pack_##kind(ours, buf, cap, len_out);                                                                   \
    }                                                                                                                          \
    static sockbroker_status unpack_##kind(const uint8_t *data, size_t len, void *ours_out,                                    \
                                           struct sockbroker_error *error_out)                                                 \
    {                                                                                                                          \
        return sb_wire_unpack_##kind(data, len, ours_out, error_out);                                                          \
    }

WIRE_KIND_FUNCTIONS(request)
WIRE_KIND_FUNCTIONS(reply)
WIRE_KIND_FUNCTIONS(hello)
WIRE_KIND_FUNCTIONS(welcome)
WIRE_KIND_FUNCTIONS(delivery)
WIRE_KIND_FUNCTIONS(report)

enum { REQUEST, REPLY, HELLO, WELCOME, DELIVERY, REPORT, N_WIRE_KINDS };

#define WIRE_KIND(kind)                                                                                                        \
    {                                                                                                                          \
#kind, &sb_wire_##kind, pack_##kind, unpack_##kind                                                                     \
    }

static const struct wire_kind wire_kinds[N_WIRE_KINDS] = {
    WIRE_KIND(request), WIRE_KIND(reply), WIRE_KIND(hello), WIRE_KIND(welcome), WIRE_KIND(delivery), WIRE_KIND(report),
};

enum wire_verdict {
    WIRE_REFUSED,
    WIRE_ACCEPTED,
    WIRE_BROKEN, /* what was accepted cannot be packed, or comes back as something else, or a refusal left traces */
};

/* Puts foreign bytes through: what unpacks must pack again, and unpack to the same struct; what does not must leave
 * the output alone and say why. */
static inline enum wire_verdict wire_try(const struct wire_kind *kind, const uint8_t *data, size_t len,
                                         struct sockbroker_error *error)
{
    static const union wire_any nothing;
    static union wire_any first;
    static union wire_any second;
    static uint8_t packed[SB_MESSAGE_MAX];
    size_t packed_len;

    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    memset(error, 0, sizeof(*error));
    if (kind->unpack(data, len, &first, error)) {
        bool is_clean = memcmp(&first, &nothing, sizeof(first)) == 0;

        return is_clean && error->status == SOCKBROKER_BAD_MESSAGE && error->text[0] ? WIRE_REFUSED : WIRE_BROKEN;
    }
    if (kind->pack(&first, packed, kind->table->packed_max, &packed_len))
        return WIRE_BROKEN;
    if (kind->unpack(packed, packed_len, &second, error))
        return WIRE_BROKEN;
    return memcmp(&first, &second, sizeof(first)) == 0 ? WIRE_ACCEPTED : WIRE_BROKEN;
}

#endif
