#include "proto/wire_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/error.h"
#include "proto/wire_slot.h"
#include "proto/wire_text.h"

sockbroker_status sb_wire_refuse(const struct sb_wire_place *place, struct sockbroker_error *error, const char *format, ...)
{
    char cause[SOCKBROKER_ERROR_TEXT_MAX];
    char index[24] = "";
    va_list args;

    va_start(args, format);
    vsnprintf(cause, sizeof(cause), format, args);
    va_end(args);
    if (place->field->label == PROTOBUF_C_LABEL_REPEATED && place->index != SB_WIRE_NO_INDEX)
        snprintf(index, sizeof(index), "[%zu]", place->index);
    return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s.%s%s %s", place->message->short_name, place->field->name, index,
                        cause);
}

/* What the checks of one value need to know. */
struct check {
    struct sb_wire_place place;
    const struct sb_wire_field *rule;
    struct sockbroker_error *error;
};

static sockbroker_status check_number(const struct check *c, const void *slot)
{
    uint64_t value = sb_wire_load(slot, sb_wire_number_size(c->place.field->type));

    if (value >= c->rule->min && value <= c->rule->max)
        return SOCKBROKER_OK;
    if (c->rule->max == UINT64_MAX)
        return sb_wire_refuse(&c->place, c->error, "is 0; it must not be");
    return sb_wire_refuse(&c->place, c->error, "is %" PRIu64 "; it must be %" PRIu64 "..%" PRIu64, value, c->rule->min,
                          c->rule->max);
}

static sockbroker_status check_name(const struct check *c, const char *name, size_t len)
{
    char quoted[SB_QUOTE_MAX];

    if (sb_name_is_valid(name, len) || (len == 0 && c->rule->min == 0))
        return SOCKBROKER_OK;
    return sb_wire_refuse(&c->place, c->error, "is \"%s\"; it must be 1..%d of [A-Za-z0-9._-], not \".\" or \"..\"",
                          sb_quote(name, len, quoted, sizeof(quoted)), SOCKBROKER_NAME_MAX);
}

/* Never looks further than the longest text that is allowed, so an unterminated array of ours is safe as well. */
static sockbroker_status check_string(const struct check *c, const void *slot)
{
    const char *text = sb_wire_load_pointer(slot);
    const char *end = memchr(text, '\0', (size_t)c->rule->max + 1);
    char quoted[SB_QUOTE_MAX];

    if (!end)
        return sb_wire_refuse(&c->place, c->error, "has more than %" PRIu64 " bytes: \"%s\"", c->rule->max,
                              sb_quote(text, (size_t)c->rule->max, quoted, sizeof(quoted)));
    if (c->rule->is_name)
        return check_name(c, text, (size_t)(end - text));
    if (!sb_text_is_utf8(text, (size_t)(end - text)))
        return sb_wire_refuse(&c->place, c->error, "is not UTF-8: \"%s\"",
                              sb_quote(text, (size_t)(end - text), quoted, sizeof(quoted)));
    return SOCKBROKER_OK;
}

static sockbroker_status check_bytes(const struct check *c, const void *slot)
{
    ProtobufCBinaryData bytes;

    memcpy(&bytes, slot, sizeof(bytes));
    if (bytes.len >= c->rule->min && bytes.len <= c->rule->max)
        return SOCKBROKER_OK;
    return sb_wire_refuse(&c->place, c->error, "has %zu bytes; it must have %" PRIu64 "..%" PRIu64, bytes.len, c->rule->min,
                          c->rule->max);
}

static sockbroker_status check_child(const struct check *c, const void *slot)
{
    const ProtobufCMessage *child = sb_wire_load_pointer(slot);

    if (child)
        return sb_wire_check(c->rule->child, child, c->error);
    if (c->rule->count_size)
        return SOCKBROKER_OK;
    return sb_wire_refuse(&c->place, c->error, "is missing");
}

static sockbroker_status check_value(const struct check *c, const void *slot)
{
    switch (c->place.field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return check_string(c, slot);
    case PROTOBUF_C_TYPE_BYTES:
        return check_bytes(c, slot);
    case PROTOBUF_C_TYPE_MESSAGE:
        return check_child(c, slot);
    default:
        return check_number(c, slot);
    }
}

static sockbroker_status check_count(const struct check *c, size_t n)
{
    if (c->place.field->label != PROTOBUF_C_LABEL_REPEATED || (n >= c->rule->n_min && n <= c->rule->n_max))
        return SOCKBROKER_OK;
    return sb_error_set(c->error, SOCKBROKER_BAD_MESSAGE, 0, "%s.%s has %zu entries; it must have %zu..%zu",
                        c->place.message->short_name, c->place.field->name, n, c->rule->n_min, c->rule->n_max);
}

static sockbroker_status check_field(struct check *c, const ProtobufCMessage *message)
{
    struct sb_wire_values values = sb_wire_values(message, c->place.field);
    size_t slot_size = sb_wire_slot_size(c->place.field->type);
    sockbroker_status status = check_count(c, values.n);

    for (size_t i = 0; !status && i < values.n; i++) {
        c->place.index = i;
        status = check_value(c, sb_wire_peek(values.first, i * slot_size));
    }
    return status;
}

sockbroker_status sb_wire_check(const struct sb_wire_message *table, const ProtobufCMessage *message,
                                struct sockbroker_error *error)
{
    uint64_t number = sb_wire_oneof_case(table, message);
    struct sb_wire_span span = sb_wire_span(table, number);
    sockbroker_status status = SOCKBROKER_OK;

    if (table->is_oneof && sb_wire_row(table, number) == table->n_fields)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s.body is missing", table->descriptor->short_name);
    for (size_t i = span.first; !status && i < span.end; i++) {
        struct check c = { { table->descriptor, &table->descriptor->fields[i], 0 }, &table->fields[i], error };

        status = check_field(&c, message);
    }
    if (!status && table->check)
        status = table->check(message, error);
    return status;
}
