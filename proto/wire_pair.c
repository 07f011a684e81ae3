/* wire_pair.c: what travels on a session's pair, and on the handoff socket where the worker fetches its end of it. */
#include "proto/wire_codec.h"
#include "sockbroker.pb-c.h"

/* ---- Hello, Welcome ---- */

static const struct sb_wire_field hello_fields[] = {
    SB_WIRE_ID(struct sb_hello, session_id),
    SB_WIRE_BYTES(struct sb_hello, token, SB_SECRET_LEN),
    SB_WIRE_ANY(struct sb_hello, ring),
    SB_WIRE_ANY(struct sb_hello, grant_id),
};

const struct sb_wire_message sb_wire_hello = {
    SB_WIRE_MESSAGE(sb__hello__descriptor, hello_fields),
    .packed_max = SB_PACKET_MAX,
};

static const struct sb_wire_field welcome_fields[] = {
    SB_WIRE_NUMBER(struct sb_welcome, status, SOCKBROKER_OK, SOCKBROKER_STATUS_COUNT - 1),
    SB_WIRE_TEXT(struct sb_welcome, text),
};

const struct sb_wire_message sb_wire_welcome = {
    SB_WIRE_MESSAGE(sb__welcome__descriptor, welcome_fields),
    .packed_max = SB_PACKET_MAX,
};

sockbroker_status sb_wire_pack_hello(const struct sb_hello *hello, uint8_t *buf, size_t cap, size_t *len_out)
{
    return sb_wire_pack_packet(&sb_wire_hello, hello, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_hello(const uint8_t *data, size_t len, struct sb_hello *hello_out,
                                       struct sockbroker_error *error_out)
{
    return sb_wire_unpack_packet(&sb_wire_hello, data, len, hello_out, error_out);
}

sockbroker_status sb_wire_pack_welcome(const struct sb_welcome *welcome, uint8_t *buf, size_t cap, size_t *len_out)
{
    return sb_wire_pack_packet(&sb_wire_welcome, welcome, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_welcome(const uint8_t *data, size_t len, struct sb_welcome *welcome_out,
                                         struct sockbroker_error *error_out)
{
    return sb_wire_unpack_packet(&sb_wire_welcome, data, len, welcome_out, error_out);
}

/* ---- Delivery ---- */

/* A record carries its lease id itself; a number beside it must not say something else. */
static bool numbers_agree(const void *ours, void *message)
{
    const struct sb_delivery *delivery = ours;

    (void)message;
    return delivery->kind != SB_DELIVERY_INFO || delivery->number == delivery->record.info.lease_id;
}

static void fill_number(const void *message, void *ours)
{
    struct sb_delivery *delivery = ours;

    (void)message;
    if (delivery->kind == SB_DELIVERY_INFO)
        delivery->number = delivery->record.info.lease_id;
}

static const struct sb_wire_field delivery_fields[] = {
    SB_WIRE_CHILD(struct sb_delivery, record, &sb_wire_socket_info),
    SB_WIRE_ID(struct sb_delivery, number),
    SB_WIRE_ID(struct sb_delivery, number),
    SB_WIRE_ID(struct sb_delivery, number),
};

const struct sb_wire_message sb_wire_delivery = {
    SB_WIRE_MESSAGE(sb__delivery__descriptor, delivery_fields),
    .packed_max = SB_PACKET_MAX,
    .is_oneof = true,
    .after_build = numbers_agree,
    .after_fill = fill_number,
};

sockbroker_status sb_wire_pack_delivery(const struct sb_delivery *delivery, uint8_t *buf, size_t cap, size_t *len_out)
{
    return sb_wire_pack_packet(&sb_wire_delivery, delivery, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_delivery(const uint8_t *data, size_t len, struct sb_delivery *delivery_out,
                                          struct sockbroker_error *error_out)
{
    return sb_wire_unpack_packet(&sb_wire_delivery, data, len, delivery_out, error_out);
}

/* ---- Report ---- */

static const struct sb_wire_field report_fields[] = {
    SB_WIRE_CHILDREN(struct sb_report, results, n_results, 0, &sb_wire_result),
    SB_WIRE_ANY(struct sb_report, probe),
    SB_WIRE_ANY(struct sb_report, bell),
};

const struct sb_wire_message sb_wire_report = {
    SB_WIRE_MESSAGE(sb__report__descriptor, report_fields),
    .packed_max = SB_PACKET_MAX,
};

sockbroker_status sb_wire_pack_report(const struct sb_report *report, uint8_t *buf, size_t cap, size_t *len_out)
{
    return sb_wire_pack_packet(&sb_wire_report, report, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_report(const uint8_t *data, size_t len, struct sb_report *report_out,
                                        struct sockbroker_error *error_out)
{
    return sb_wire_unpack_packet(&sb_wire_report, data, len, report_out, error_out);
}
