#include "proto/wire_scan.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "proto/error.h"
#include "proto/wire_check.h"

#define FIELD_NUMBER_MAX 0x1fffffffu /* 2^29 - 1: protobuf's own limit */

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* One field as it stands in the bytes. */
struct item {
    uint64_t number;
    ProtobufCWireType type;
    uint64_t value; /* of a varint, or the length of what follows */
    const uint8_t *data;
};

static bool take_varint(struct cursor *c, uint64_t *value_out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;

        if (shift == 63 && byte > 1) /* the tenth byte has room for one bit */
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value_out = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct cursor *c, uint64_t len, struct item *item)
{
    if (len > (uint64_t)(c->end - c->at))
        return false;
    item->value = len;
    item->data = c->at;
    c->at += len;
    return true;
}

static bool take_item(struct cursor *c, struct item *item)
{
    uint64_t tag;
    uint64_t len;

    if (!take_varint(c, &tag))
        return false;
    item->number = tag >> 3;
    item->type = (ProtobufCWireType)(tag & 7);
    if (item->number < 1 || item->number > FIELD_NUMBER_MAX)
        return false;
    switch (tag & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return take_varint(c, &item->value);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return take_bytes(c, 8, item);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return take_varint(c, &len) && take_bytes(c, len, item);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return take_bytes(c, 4, item);
    default:
        return false; /* groups are not part of proto3 */
    }
}

static ProtobufCWireType wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    case PROTOBUF_C_TYPE_FIXED64:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_FIXED32:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* A list of numbers may come packed into one item. */
static bool has_right_type(const struct item *item, const ProtobufCFieldDescriptor *field)
{
    return item->type == wire_type_of(field->type) ||
           (item->type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && field->label == PROTOBUF_C_LABEL_REPEATED);
}

static bool is_32_bits(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_UINT32 || type == PROTOBUF_C_TYPE_ENUM;
}

/* Of a list that came packed; protobuf-c would cut each number. */
static sockbroker_status scan_packed(const struct sb_wire_place *place, const struct item *item, struct sockbroker_error *error)
{
    struct cursor cursor = { item->data, item->data + item->value };
    uint64_t value;

    while (cursor.at < cursor.end) {
        if (!take_varint(&cursor, &value))
            return sb_wire_refuse(place, error, "is no list of numbers");
        if (value > UINT32_MAX)
            return sb_wire_refuse(place, error, "is %" PRIu64 "; it has 32 bits", value);
    }
    return SOCKBROKER_OK;
}

static sockbroker_status scan_known(const struct sb_wire_place *place, const struct item *item, struct sockbroker_error *error)
{
    const ProtobufCFieldDescriptor *field = place->field;

    if (!has_right_type(item, field))
        return sb_wire_refuse(place, error, "has the wrong wire type %d", (int)item->type);
    if (is_32_bits(field->type) && item->type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        return scan_packed(place, item, error);
    if (is_32_bits(field->type) && item->value > UINT32_MAX)
        return sb_wire_refuse(place, error, "is %" PRIu64 "; it has 32 bits", item->value);
    if (field->type == PROTOBUF_C_TYPE_STRING && memchr(item->data, '\0', (size_t)item->value))
        return sb_wire_refuse(place, error, "contains a NUL");
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return sb_wire_scan(field->descriptor, item->data, (size_t)item->value, error);
    return SOCKBROKER_OK;
}

sockbroker_status sb_wire_scan(const ProtobufCMessageDescriptor *message, const uint8_t *data, size_t len,
                               struct sockbroker_error *error)
{
    struct cursor cursor = { data, len > 0 ? data + len : data }; /* an empty message may have no address */
    struct sb_wire_place place = { message, NULL, SB_WIRE_NO_INDEX };
    sockbroker_status status = SOCKBROKER_OK;
    unsigned n_members = 0;
    struct item item = { 0 };

    while (!status && cursor.at < cursor.end) {
        if (!take_item(&cursor, &item))
            return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s is no protobuf message at byte %zu of %zu",
                                message->short_name, (size_t)(cursor.at - data), len);
        place.field = protobuf_c_message_descriptor_get_field(message, (unsigned)item.number);
        if (!place.field)
            continue;
        if ((place.field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && n_members++ > 0)
            return sb_wire_refuse(&place, error, "is a second body; there must be one");
        status = scan_known(&place, &item, error);
    }
    return status;
}
