/* wire_scan.h: refuses what protobuf-c lets pass unseen. */
#ifndef SB_PROTO_WIRE_SCAN_H
#define SB_PROTO_WIRE_SCAN_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/status.h"

/* Walks the packed bytes of a message and its children. OK, or BAD_MESSAGE for: bytes that are no message; a field
 * number outside 1..2^29-1; a wire type that is not the field's; a number of more than 32 bits in a field of 32 (it
 * would be cut); a text with a NUL (it would be cut); two members of a oneof (the last would win). */
sockbroker_status sb_wire_scan(const ProtobufCMessageDescriptor *message, const uint8_t *data, size_t len,
                               struct sockbroker_error *error);

#endif
