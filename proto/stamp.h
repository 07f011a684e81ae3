/* stamp.h: the packed form of a delivery, kept with holes.
 *
 * Packing and checking a SocketInfo costs more than all else that the broker computes for a connection, and from one
 * connection of an endpoint to the next only the lease id, the time and the addresses differ. These are fixed-width
 * fields, so the packed bytes of the first can be used again with new values in their places. protobuf-c packs the
 * first; whatever does not fit the stamp is packed in full and becomes the next one.
 */
#ifndef SB_PROTO_STAMP_H
#define SB_PROTO_STAMP_H

#include "proto/wire.h"

#define SB_STAMP_MAX 192u

struct sb_stamp {
    uint16_t len; /* 0: none yet */
    uint16_t lease_id_at;
    uint16_t time_at;
    uint16_t peer_ip_at;
    uint16_t peer_port_at;
    uint16_t local_ip_at;
    uint16_t local_port_at;
    struct sockbroker_socket_info shape; /* what is the same each time */
    uint8_t bytes[SB_STAMP_MAX];
};

/* The same bytes as sb_wire_pack_delivery() for an INFO delivery of this info. */
sockbroker_status sb_stamp_pack(struct sb_stamp *stamp, const struct sockbroker_socket_info *info, uint8_t *buf, size_t cap,
                                size_t *len_out);

/* The reverse: true when the packet is the stamp with other values; info_out is filled then, as sb_wire_unpack_delivery()
 * would. learn: makes the stamp for the next packet like the one that was unpacked in full. */
bool sb_stamp_unpack(const struct sb_stamp *stamp, const uint8_t *data, size_t len, struct sockbroker_socket_info *info_out);
void sb_stamp_learn(struct sb_stamp *stamp, const struct sockbroker_socket_info *info);

/* A report of results only has one form, so it needs no stamp. False: go the full way (a probe, or not of that form); what was
 * written to the outputs then means nothing. */
bool sb_stamp_pack_report(const struct sb_report *report, uint8_t *buf, size_t cap, size_t *len_out);
bool sb_stamp_unpack_report(const uint8_t *data, size_t len, struct sb_report *report_out);

#endif
