/* wire_codec.h: packs and unpacks any message by its table. */
#ifndef SB_PROTO_WIRE_CODEC_H
#define SB_PROTO_WIRE_CODEC_H

#include "proto/wire_table.h"

/* Memory for one message while it is packed or unpacked. The largest that we send needs less than half of it; what
 * needs more (thousands of unknown or empty fields) is hostile and refused. */
#define SB_WIRE_MESSAGE_SCRATCH 65536u
#define SB_WIRE_PACKET_SCRATCH 16384u

/* Contract: see wire.h. */
sockbroker_status sb_wire_pack_message(const struct sb_wire_message *table, const void *ours, uint8_t *buf, size_t cap,
                                       size_t *len_out);
sockbroker_status sb_wire_unpack_message(const struct sb_wire_message *table, const uint8_t *data, size_t len, void *ours_out,
                                         struct sockbroker_error *error);
sockbroker_status sb_wire_pack_packet(const struct sb_wire_message *table, const void *ours, uint8_t *buf, size_t cap,
                                      size_t *len_out);
sockbroker_status sb_wire_unpack_packet(const struct sb_wire_message *table, const uint8_t *data, size_t len, void *ours_out,
                                        struct sockbroker_error *error);

#endif
