/* wire_check.h: the sentence for a field that breaks its rule. */
#ifndef SB_PROTO_WIRE_CHECK_H
#define SB_PROTO_WIRE_CHECK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/status.h"

#define SB_WIRE_NO_INDEX SIZE_MAX

struct sb_wire_place {
    const ProtobufCMessageDescriptor *message;
    const ProtobufCFieldDescriptor *field;
    size_t index; /* in the list, when the field is one; or SB_WIRE_NO_INDEX */
};

/* "Attach.endpoints[2] " and the rest in printf form. BAD_MESSAGE. */
sockbroker_status sb_wire_refuse(const struct sb_wire_place *place, struct sockbroker_error *error, const char *format, ...);

#endif
