/* udp.h: many datagrams with one call, each answered from the address its client used.
 *
 * A server on [::] or 0.0.0.0 has many addresses. A client that asks one of them throws away what comes from another, so an
 * answer has to leave from the address that was asked (RFC 1122, 4.1.3.5). Each datagram carries that address from receive
 * to send; an answer is the received datagram with other data:
 *
 *     sockbroker_udp_init(&udp, sock, &error);
 *     while (sockbroker_udp_receive(&udp, batch, 64, &n) == SOCKBROKER_OK) {
 *         for (size_t i = 0; i < n; i++)
 *             batch[i].len = answer(batch[i].data, batch[i].len, batch[i].room);
 *         sockbroker_udp_send(&udp, batch, n, &n_done, &error);
 *     }
 *
 * Works on dual-stack, IPv6-only and IPv4 sockets, wherever they come from. An IPv4 client of a dual-stack socket is given
 * as IPv4, in both directions; a mapped address is taken for the IPv4 address it is.
 *
 * Nothing here blocks, uses the heap or changes the batch beyond what is said; about 30 KiB of stack are used. Threads and
 * processes may share a socket, and threads a struct sockbroker_udp: after init it is only read.
 */
#ifndef SOCKBROKER_UDP_H
#define SOCKBROKER_UDP_H

#include <stddef.h>

#include "sockbroker/socket.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOCKBROKER_UDP_BATCH_MAX 64 /* datagrams in one call */

/* A UDP socket and what there is to know of it. It owns nothing. */
struct sockbroker_udp {
    sockbroker_socket sock;               /* lent: stays yours to close */
    enum sockbroker_family socket_family; /* IPV6 for a dual-stack socket */
    bool dual;                            /* takes IPv4 too */
    uint16_t port;                        /* it is bound to; 0 when it was not bound at init */
};

/* All but data and room is filled by receive, and read by send. A zeroed one with data, len and peer is fine to send: the
 * system then chooses the source. */
struct sockbroker_datagram {
    void *data;                   /* yours */
    size_t room;                  /* bytes at data that receive may fill; send does not look at it */
    size_t len;                   /* bytes of the datagram at data, 0 included; at most 65,507 over IPv4 and 65,527 over IPv6 */
    struct sockbroker_addr peer;  /* who sent it, or who shall get it */
    struct sockbroker_addr local; /* the address it was sent to, or shall come from (its port is ignored by send);
                                     SOCKBROKER_FAMILY_NONE: not known, or the system chooses */
    uint32_t interface_index;     /* it came in by; 0: not known, or the routing table decides */
    bool to_group;                /* local is a multicast or broadcast address */
    bool truncated;               /* receive: it was longer than room, the rest is lost */
    sockbroker_status status;     /* send: what became of this one */
    int os_code;                  /* errno or WSAGetLastError() value behind it, 0 when there is none */
};

/* Looks at the socket and turns on what tells the destination of a datagram (IP_PKTINFO, IPV6_RECVPKTINFO; Windows:
 * IPV6_PKTINFO). Sockets from the broker have that already; on others, the interface of what had been queued before stays
 * unknown. Windows: the socket becomes non-blocking, for all who hold it.
 * OK, INVALID (not a UDP socket), SYSTEM; error_out (may be NULL) says it in words. */
SOCKBROKER_API sockbroker_status sockbroker_udp_init(struct sockbroker_udp *udp_out, sockbroker_socket sock,
                                                     struct sockbroker_error *error_out);

/* Takes up to n datagrams that wait in the socket's queue.
 *   batch  data and room set by you; the first *n_out are filled
 *   n      1..SOCKBROKER_UDP_BATCH_MAX
 * OK (at least one), AGAIN (none there now: wait until the socket is readable), INVALID (n, or data is NULL and room is not
 * 0), SYSTEM. What ICMP left on the socket for an earlier datagram is no answer and stops nothing. */
SOCKBROKER_API sockbroker_status sockbroker_udp_receive(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch,
                                                        size_t n, size_t *n_out);

/* Sends n datagrams, in order.
 *
 * From: `local`, when it is an address of this machine's own. After a multicast or broadcast datagram the system chooses a
 * source on the interface it came in by (RFC 1122, 3.2.1.3). The interface is kept where the address alone does not say
 * which one is meant: an end is link-local or multicast, or `local` is a group or not given. Otherwise the routing table
 * decides, as the way back may be another one.
 *
 *   batch       the status of each one that is done is written:
 *               OK
 *               INVALID: no peer or port, a family that the socket does not have, too long
 *               ADDRESS_NOT_AVAILABLE: `local` is not an address of this machine, or not on that interface
 *               PERMISSION: a firewall, or a broadcast without SO_BROADCAST
 *               SYSTEM: no route and others, see os_code; Linux does not tell a wrong IPv4 `local` from "no route"
 *               Windows: a batch is as many system calls as there are datagrams
 *               One bad datagram does not stop the others.
 *   n           1..SOCKBROKER_UDP_BATCH_MAX
 *   n_done_out  so many, from the first, have been sent or have failed. Fewer than n: the system's buffer is full; wait
 *               until the socket is writable and go on with the rest
 *   error_out   may be NULL; the first one that failed, in words; its status is OK when none did
 * OK (at least one done, whether or not it could be sent), AGAIN (none: the buffer is full), INVALID (n), CLOSED (the socket
 * was shut down), SYSTEM. */
SOCKBROKER_API sockbroker_status sockbroker_udp_send(const struct sockbroker_udp *udp, struct sockbroker_datagram *batch,
                                                     size_t n, size_t *n_done_out, struct sockbroker_error *error_out);

#ifdef __cplusplus
}
#endif
#endif
