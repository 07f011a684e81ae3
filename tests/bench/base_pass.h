/* One accepted connection in one SOCK_SEQPACKET packet, and the acknowledgement that comes back. */
#ifndef BASE_PASS_H
#define BASE_PASS_H

#include <stdint.h>

/* As large as a small SocketInfo record, so that the bare limit carries a realistic packet. */
struct pass_packet {
    uint64_t lease;
    char filler[56];
};

struct pass_ack {
    uint64_t lease;
    uint64_t status;
};

/* Lends the connection to the pair; the caller still has to close it. Ends the program on failure. */
void pass_send(int pair, int conn, uint64_t lease);

enum { PASS_GONE = -1, PASS_NOTHING = -2 };

/* Takes a packet; flags go to recvmsg. The connection is the caller's. PASS_GONE: the broker left;
 * PASS_NOTHING: no packet yet (MSG_DONTWAIT, SO_RCVTIMEO). */
int pass_receive(int pair, int flags, uint64_t *lease_out);

#endif
