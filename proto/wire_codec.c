#include "proto/wire_codec.h"

#include "proto/error.h"
#include "proto/wire_scan.h"

struct message_scratch {
    _Alignas(SB_ARENA_ALIGN) unsigned char bytes[SB_WIRE_MESSAGE_SCRATCH];
};

struct packet_scratch {
    _Alignas(SB_ARENA_ALIGN) unsigned char bytes[SB_WIRE_PACKET_SCRATCH];
};

static sockbroker_status pack(const struct sb_wire_message *table, struct sb_arena *arena, const void *ours, uint8_t *buf,
                              size_t cap, size_t *len_out)
{
    const ProtobufCMessage *message = sb_wire_build(table, ours, arena);
    size_t len;

    if (!message || sb_wire_check(table, message, NULL))
        return SOCKBROKER_INVALID;
    len = protobuf_c_message_get_packed_size(message);
    if (len > cap || len > table->packed_max)
        return SOCKBROKER_INVALID;
    protobuf_c_message_pack(message, buf);
    *len_out = len;
    return SOCKBROKER_OK;
}

static sockbroker_status refuse_unpack(const char *name, size_t len, const struct sb_arena *arena,
                                       struct sockbroker_error *error)
{
    const char *cause = arena->is_exhausted ? "has more fields than any real one" : "is no protobuf message";

    return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s of %zu bytes %s", name, len, cause);
}

static sockbroker_status unpack(const struct sb_wire_message *table, struct sb_arena *arena, const uint8_t *data, size_t len,
                                void *ours_out, struct sockbroker_error *error)
{
    const char *name = table->descriptor->short_name;
    const ProtobufCMessage *message;
    sockbroker_status status;

    if (len > table->packed_max)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "%s has %zu bytes; it must have at most %zu", name, len,
                            table->packed_max);
    status = sb_wire_scan(table->descriptor, data, len, error);
    if (status)
        return status;
    message = protobuf_c_message_unpack(table->descriptor, &arena->allocator, len, data);
    if (!message)
        return refuse_unpack(name, len, arena, error);
    status = sb_wire_check(table, message, error);
    if (!status)
        sb_wire_fill(table, message, ours_out);
    return status;
}

sockbroker_status sb_wire_pack_message(const struct sb_wire_message *table, const void *ours, uint8_t *buf, size_t cap,
                                       size_t *len_out)
{
    struct message_scratch scratch;
    struct sb_arena arena;

    sb_arena_init(&arena, scratch.bytes, sizeof(scratch.bytes));
    return pack(table, &arena, ours, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_message(const struct sb_wire_message *table, const uint8_t *data, size_t len, void *ours_out,
                                         struct sockbroker_error *error)
{
    struct message_scratch scratch;
    struct sb_arena arena;

    sb_arena_init(&arena, scratch.bytes, sizeof(scratch.bytes));
    return unpack(table, &arena, data, len, ours_out, error);
}

sockbroker_status sb_wire_pack_packet(const struct sb_wire_message *table, const void *ours, uint8_t *buf, size_t cap,
                                      size_t *len_out)
{
    struct packet_scratch scratch;
    struct sb_arena arena;

    sb_arena_init(&arena, scratch.bytes, sizeof(scratch.bytes));
    return pack(table, &arena, ours, buf, cap, len_out);
}

sockbroker_status sb_wire_unpack_packet(const struct sb_wire_message *table, const uint8_t *data, size_t len, void *ours_out,
                                        struct sockbroker_error *error)
{
    struct packet_scratch scratch;
    struct sb_arena arena;

    sb_arena_init(&arena, scratch.bytes, sizeof(scratch.bytes));
    return unpack(table, &arena, data, len, ours_out, error);
}
