#include <string.h>

#include "proto/wire_slot.h"

struct build {
    const struct sb_wire_field *rule;
    const ProtobufCFieldDescriptor *field;
    const void *ours; /* the struct that holds the field */
    struct sb_arena *arena;
};

static void build_bytes(const struct build *b, const void *from, void *slot)
{
    ProtobufCBinaryData bytes = { .len = (size_t)b->rule->max };

    if (b->rule->count_size)
        bytes.len = (size_t)sb_wire_load(sb_wire_peek(b->ours, b->rule->count_at), b->rule->count_size);
    memcpy(&bytes.data, &from, sizeof(from)); /* protobuf-c wants a non-const pointer and only reads */
    memcpy(slot, &bytes, sizeof(bytes));
}

static bool build_child(const struct build *b, const void *from, void *slot)
{
    const struct sb_wire_field *rule = b->rule;
    const ProtobufCMessage *child = NULL;

    if (b->field->label != PROTOBUF_C_LABEL_REPEATED && rule->count_size &&
        !sb_wire_load(sb_wire_peek(b->ours, rule->count_at), rule->count_size))
        return true;
    child = sb_wire_build(rule->child, from, b->arena);
    memcpy(slot, &child, sizeof(child));
    return child != NULL;
}

static bool build_value(const struct build *b, const void *from, void *slot)
{
    switch (b->field->type) {
    case PROTOBUF_C_TYPE_STRING:
        memcpy(slot, &from, sizeof(from));
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        build_bytes(b, from, slot);
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        return build_child(b, from, slot);
    default:
        sb_wire_store(slot, sb_wire_number_size(b->field->type), sb_wire_load(from, b->rule->size));
        return true;
    }
}

static bool build_list(const struct build *b, ProtobufCMessage *message)
{
    const struct sb_wire_field *rule = b->rule;
    size_t slot_size = sb_wire_slot_size(b->field->type);
    size_t n = rule->n_max;
    void *slots;

    if (rule->count_size)
        n = (size_t)sb_wire_load(sb_wire_peek(b->ours, rule->count_at), rule->count_size);
    if (n > rule->n_max)
        return false;
    slots = sb_arena_alloc(b->arena, n * slot_size);
    if (!slots)
        return false;
    memcpy(sb_wire_poke(message, b->field->offset), &slots, sizeof(slots));
    memcpy(sb_wire_poke(message, b->field->quantifier_offset), &n, sizeof(n));
    for (size_t i = 0; i < n; i++) {
        if (!build_value(b, sb_wire_peek(b->ours, rule->at + i * rule->size), sb_wire_poke(slots, i * slot_size)))
            return false;
    }
    return true;
}

static bool build_field(const struct build *b, ProtobufCMessage *message)
{
    if (b->field->label == PROTOBUF_C_LABEL_REPEATED)
        return build_list(b, message);
    return build_value(b, sb_wire_peek(b->ours, b->rule->at), sb_wire_poke(message, b->field->offset));
}

/* Sets which member is meant; false for a kind that does not exist. */
static bool build_oneof(const struct sb_wire_message *table, uint64_t kind, ProtobufCMessage *message)
{
    if (!table->is_oneof)
        return true;
    if (sb_wire_row(table, kind) == table->n_fields)
        return false;
    sb_wire_store(sb_wire_poke(message, table->descriptor->fields[0].quantifier_offset), sizeof(uint32_t), kind);
    return true;
}

ProtobufCMessage *sb_wire_build(const struct sb_wire_message *table, const void *ours, struct sb_arena *arena)
{
    uint64_t kind = table->is_oneof ? sb_wire_load(ours, sizeof(uint32_t)) : 0;
    struct sb_wire_span span = sb_wire_span(table, kind);
    ProtobufCMessage *message = sb_arena_alloc(arena, table->descriptor->sizeof_message);

    if (!message)
        return NULL;
    protobuf_c_message_init(table->descriptor, message);
    if (!build_oneof(table, kind, message))
        return NULL;
    for (size_t i = span.first; i < span.end; i++) {
        struct build b = { &table->fields[i], &table->descriptor->fields[i], ours, arena };

        if (!build_field(&b, message))
            return NULL;
    }
    if (table->after_build && !table->after_build(ours, message))
        return NULL;
    return message;
}
