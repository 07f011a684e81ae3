/* wire_table.h: each message as a table of its fields, one row for each in the order of sockbroker.proto.
 *
 * A row says where the value lies in our struct and what it may be; names, types and places on protobuf-c's side come
 * from its own descriptors. wire_build.c, wire_check.c and wire_fill.c walk the tables; the same check serves both
 * directions, because packing checks what it has built.
 */
#ifndef SB_PROTO_WIRE_TABLE_H
#define SB_PROTO_WIRE_TABLE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"
#include "proto/wire_arena.h"

struct sb_wire_field {
    size_t at;         /* of the value, or of the first one of a list, in our struct */
    size_t size;       /* bytes of one value in our struct */
    size_t count_at;   /* of the count of a list or blob, or of the presence of an optional child (0: absent) */
    size_t count_size; /* bytes of that count; 0 = there is none, the number is fixed */
    uint64_t min;      /* of a number, or of the length of a text or blob */
    uint64_t max;
    size_t n_min; /* of the entries of a list */
    size_t n_max;
    bool is_name;
    const struct sb_wire_message *child;
};

struct sb_wire_message {
    const ProtobufCMessageDescriptor *descriptor;
    const struct sb_wire_field *fields;
    size_t n_fields;
    size_t packed_max; /* of a whole message: SB_MESSAGE_MAX or SB_PACKET_MAX */
    bool is_oneof;     /* our struct begins with the number of the one field that is set */
    /* Rules between fields. */
    sockbroker_status (*check)(const void *message, struct sockbroker_error *error);
    /* What a row cannot say. */
    bool (*after_build)(const void *ours, void *message);
    void (*after_fill)(const void *message, void *ours);
};

#define SB_WIRE_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SB_WIRE_SIZE(type, member) sizeof(((type *)0)->member)
#define SB_WIRE_PLACE(type, member) .at = offsetof(type, member), .size = SB_WIRE_SIZE(type, member)
#define SB_WIRE_LENGTH(type, member) .count_at = offsetof(type, member), .count_size = SB_WIRE_SIZE(type, member)
#define SB_WIRE_ENTRIES(type, member, least)                                                                                   \
    .at = offsetof(type, member), .size = SB_WIRE_SIZE(type, member[0]), .n_min = (least),                                     \
    .n_max = SB_WIRE_COUNT(((type *)0)->member)

#define SB_WIRE_NUMBER(type, member, lowest, highest)                                                                          \
    {                                                                                                                          \
        SB_WIRE_PLACE(type, member), .min = (lowest), .max = (highest)                                                         \
    }
#define SB_WIRE_ANY(type, member) SB_WIRE_NUMBER(type, member, 0, UINT64_MAX)
#define SB_WIRE_ID(type, member) SB_WIRE_NUMBER(type, member, 1, UINT64_MAX)
#define SB_WIRE_NAME(type, member, shortest)                                                                                   \
    {                                                                                                                          \
        SB_WIRE_PLACE(type, member), .min = (shortest), .max = SB_WIRE_SIZE(type, member) - 1, .is_name = true                 \
    }
#define SB_WIRE_TEXT(type, member)                                                                                             \
    {                                                                                                                          \
        SB_WIRE_PLACE(type, member), .max = SB_WIRE_SIZE(type, member) - 1                                                     \
    }
#define SB_WIRE_BYTES(type, member, shortest)                                                                                  \
    {                                                                                                                          \
        SB_WIRE_PLACE(type, member), .min = (shortest), .max = SB_WIRE_SIZE(type, member)                                      \
    }
#define SB_WIRE_BLOB(type, member, len)                                                                                        \
    {                                                                                                                          \
        SB_WIRE_PLACE(type, member), SB_WIRE_LENGTH(type, len), .max = SB_WIRE_SIZE(type, member)                              \
    }
#define SB_WIRE_CHILD(type, member, table)                                                                                     \
    {                                                                                                                          \
        SB_WIRE_PLACE(type, member), .child = (table)                                                                          \
    }
#define SB_WIRE_OPTIONAL(type, member, presence, table)                                                                        \
    {                                                                                                                          \
        SB_WIRE_PLACE(type, member), SB_WIRE_LENGTH(type, presence), .child = (table)                                          \
    }
#define SB_WIRE_LIST(type, member, count, least, lowest)                                                                       \
    {                                                                                                                          \
        SB_WIRE_ENTRIES(type, member, least), SB_WIRE_LENGTH(type, count), .min = (lowest), .max = UINT64_MAX                  \
    }
#define SB_WIRE_NAMES(type, member, count, least)                                                                              \
    {                                                                                                                          \
        SB_WIRE_ENTRIES(type, member, least), SB_WIRE_LENGTH(type, count), .min = 1, .max = SB_WIRE_SIZE(type, member[0]) - 1, \
                                                                           .is_name = true                                     \
    }
#define SB_WIRE_CHILDREN(type, member, count, least, table)                                                                    \
    {                                                                                                                          \
        SB_WIRE_ENTRIES(type, member, least), SB_WIRE_LENGTH(type, count), .child = (table)                                    \
    }
#define SB_WIRE_ARRAY(type, member)                                                                                            \
    {                                                                                                                          \
        SB_WIRE_ENTRIES(type, member, SB_WIRE_COUNT(((type *)0)->member)), .max = UINT64_MAX                                   \
    }

#define SB_WIRE_MESSAGE(pb_descriptor, table)                                                                                  \
    .descriptor = &(pb_descriptor), .fields = (table), .n_fields = SB_WIRE_COUNT(table)

/* The whole messages, and what several of them contain. */
extern const struct sb_wire_message sb_wire_request;
extern const struct sb_wire_message sb_wire_reply;
extern const struct sb_wire_message sb_wire_hello;
extern const struct sb_wire_message sb_wire_welcome;
extern const struct sb_wire_message sb_wire_delivery;
extern const struct sb_wire_message sb_wire_report;
extern const struct sb_wire_message sb_wire_address;
extern const struct sb_wire_message sb_wire_socket_info; /* of a struct sb_record */
extern const struct sb_wire_message sb_wire_session_key;
extern const struct sb_wire_message sb_wire_result;
extern const struct sb_wire_message sb_wire_status_page;
extern const struct sb_wire_message sb_wire_groups_page;
extern const struct sb_wire_message sb_wire_histogram;
extern const struct sb_wire_message sb_wire_takeover;

/* What `message` has of a Windows socket: all or nothing. */
sockbroker_status sb_wire_check_protocol_info(const char *message, const ProtobufCBinaryData *protocol_info, uint32_t layout,
                                              struct sockbroker_error *error);

/* Our struct as a protobuf-c message in the arena, pointing into our struct. NULL when a count or kind is beyond its
 * limit, or the arena is full. */
ProtobufCMessage *sb_wire_build(const struct sb_wire_message *table, const void *ours, struct sb_arena *arena);

/* OK or BAD_MESSAGE. */
sockbroker_status sb_wire_check(const struct sb_wire_message *table, const ProtobufCMessage *message,
                                struct sockbroker_error *error);

/* Copies a checked message into our struct; what is not said (text after its NUL, an unused blob) stays as it was. */
void sb_wire_fill(const struct sb_wire_message *table, const ProtobufCMessage *message, void *ours);

#endif
