/* wire_slot.h: reading and writing one value where a table says it is, for the walkers of wire_table.h. */
#ifndef SB_PROTO_WIRE_SLOT_H
#define SB_PROTO_WIRE_SLOT_H

#include <string.h>

#include "proto/wire_table.h"

static inline size_t sb_wire_number_size(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_FIXED64 ? 8 : 4;
}

static inline size_t sb_wire_slot_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return sb_wire_number_size(type);
    }
}

static inline const void *sb_wire_peek(const void *base, size_t offset)
{
    return (const char *)base + offset;
}

static inline void *sb_wire_poke(void *base, size_t offset)
{
    return (char *)base + offset;
}

/* An unsigned number of 1, 2, 4 or 8 bytes, whatever type its place has. */
static inline uint64_t sb_wire_load(const void *from, size_t size)
{
    uint64_t n8;
    uint32_t n4;
    uint16_t n2;

    switch (size) {
    case 8:
        memcpy(&n8, from, sizeof(n8));
        return n8;
    case 4:
        memcpy(&n4, from, sizeof(n4));
        return n4;
    case 2:
        memcpy(&n2, from, sizeof(n2));
        return n2;
    default:
        return *(const uint8_t *)from;
    }
}

static inline void sb_wire_store(void *to, size_t size, uint64_t value)
{
    uint32_t n4 = (uint32_t)value;
    uint16_t n2 = (uint16_t)value;

    switch (size) {
    case 8:
        memcpy(to, &value, sizeof(value));
        break;
    case 4:
        memcpy(to, &n4, sizeof(n4));
        break;
    case 2:
        memcpy(to, &n2, sizeof(n2));
        break;
    default:
        *(uint8_t *)to = (uint8_t)value;
    }
}

static inline const void *sb_wire_load_pointer(const void *slot)
{
    const void *value;

    memcpy(&value, slot, sizeof(value));
    return value;
}

/* The values of a field: one, or those of its list. */
struct sb_wire_values {
    const void *first;
    size_t n;
};

static inline struct sb_wire_values sb_wire_values(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    struct sb_wire_values values = { sb_wire_peek(message, field->offset), 1 };

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        values.first = sb_wire_load_pointer(values.first);
        memcpy(&values.n, sb_wire_peek(message, field->quantifier_offset), sizeof(values.n));
    }
    return values;
}

/* The row of a field's number, which need not follow the one before; n_fields when there is none. */
static inline size_t sb_wire_row(const struct sb_wire_message *table, uint64_t number)
{
    size_t i = 0;

    if (number >= 1 && number <= table->n_fields && table->descriptor->fields[number - 1].id == number)
        return (size_t)number - 1;
    while (i < table->n_fields && table->descriptor->fields[i].id != number)
        i++;
    return i;
}

/* The rows to walk: all, or the one that is set. */
struct sb_wire_span {
    size_t first;
    size_t end;
};

static inline struct sb_wire_span sb_wire_span(const struct sb_wire_message *table, uint64_t number)
{
    struct sb_wire_span span = { 0, table->n_fields };

    if (table->is_oneof) {
        span.first = sb_wire_row(table, number);
        span.end = span.first + 1;
    }
    return span;
}

static inline uint64_t sb_wire_oneof_case(const struct sb_wire_message *table, const ProtobufCMessage *message)
{
    if (!table->is_oneof)
        return 0;
    return sb_wire_load(sb_wire_peek(message, table->descriptor->fields[0].quantifier_offset), sizeof(uint32_t));
}

#endif
