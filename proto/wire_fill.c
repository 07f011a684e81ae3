#include <string.h>

#include "proto/wire_slot.h"

static void fill_bytes(const struct sb_wire_field *rule, const void *slot, void *to, void *ours)
{
    ProtobufCBinaryData bytes;

    memcpy(&bytes, slot, sizeof(bytes));
    if (bytes.len > 0)
        memcpy(to, bytes.data, bytes.len);
    if (rule->count_size)
        sb_wire_store(sb_wire_poke(ours, rule->count_at), rule->count_size, bytes.len);
}

static void fill_string(const void *slot, void *to)
{
    const char *text = sb_wire_load_pointer(slot);

    memcpy(to, text, strlen(text) + 1);
}

static void fill_child(const struct sb_wire_field *rule, const void *slot, void *to)
{
    const ProtobufCMessage *child = sb_wire_load_pointer(slot);

    if (child)
        sb_wire_fill(rule->child, child, to);
    else
        memset(to, 0, rule->size);
}

static void fill_value(const struct sb_wire_field *rule, ProtobufCType type, const void *slot, void *to, void *ours)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
        fill_string(slot, to);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        fill_bytes(rule, slot, to, ours);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        fill_child(rule, slot, to);
        break;
    default:
        sb_wire_store(to, rule->size, sb_wire_load(slot, sb_wire_number_size(type)));
    }
}

/* The count of a list or the presence of a child. It goes first: the presence of an address is a part of it. */
static void fill_count(const struct sb_wire_field *rule, const ProtobufCFieldDescriptor *field,
                       const struct sb_wire_values *values, void *ours)
{
    uint64_t count = values->n;

    if (!rule->count_size || field->type == PROTOBUF_C_TYPE_BYTES)
        return;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        count = sb_wire_load_pointer(values->first) != NULL;
    sb_wire_store(sb_wire_poke(ours, rule->count_at), rule->count_size, count);
}

static void fill_field(const struct sb_wire_field *rule, const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message,
                       void *ours)
{
    struct sb_wire_values values = sb_wire_values(message, field);
    size_t slot_size = sb_wire_slot_size(field->type);

    fill_count(rule, field, &values, ours);
    for (size_t i = 0; i < values.n; i++)
        fill_value(rule, field->type, sb_wire_peek(values.first, i * slot_size), sb_wire_poke(ours, rule->at + i * rule->size),
                   ours);
}

void sb_wire_fill(const struct sb_wire_message *table, const ProtobufCMessage *message, void *ours)
{
    uint64_t kind = sb_wire_oneof_case(table, message);
    struct sb_wire_span span = sb_wire_span(table, kind);

    if (table->is_oneof)
        sb_wire_store(ours, sizeof(uint32_t), kind);
    for (size_t i = span.first; i < span.end; i++)
        fill_field(&table->fields[i], &table->descriptor->fields[i], message, ours);
    if (table->after_fill)
        table->after_fill(message, ours);
}
