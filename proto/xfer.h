/* xfer.h: the way of sockets between the broker and one worker.
 *
 * POSIX: an AF_UNIX SOCK_SEQPACKET pair. The broker holds its own end and a duplicate of the worker's, so that it can
 * read back what the worker has not taken. One packet carries one Delivery and at most one descriptor (SCM_RIGHTS), and is
 * taken whole or not at all.
 * Windows (carrier = message only): no pair. Both ends are HANDLEs of the other process, and nothing is ever read from them or
 * sent by them; the socket travels in its record, as what WSADuplicateSocketW says for the worker's process.
 *
 * None of these calls blocks, but for the two that say so in their names. A socket given to a call is lent; one that comes out
 * is yours.
 */
#ifndef SB_PROTO_XFER_H
#define SB_PROTO_XFER_H

#include "proto/stamp.h"
#include "proto/wire.h"

/* Both ends, close-on-exec; worker_end may be used by several processes. */
sockbroker_status sb_xfer_open_pair(sockbroker_socket *broker_end_out, sockbroker_socket *worker_end_out);

/* From now on nobody can send a descriptor to this end (SO_PASSRIGHTS). Linux 6.16 and newer; elsewhere nothing changes, and
 * what comes is closed on arrival. */
void sb_xfer_refuse_sockets(sockbroker_socket end);
void sb_xfer_accept_sockets(sockbroker_socket end);

/* ---- a socket inside its record ---- */

/* Makes the record one that opens `sock` in the process `worker` (its process handle), and in no other.
 * POSIX: the socket goes by the pair, so protocol_info stays empty; OK.
 * Windows: from here on the worker's process has the socket, whether it opens it or not; who opens a record twice closes
 * somebody else's handle. OK; CLOSED (the process has ended); PERMISSION (it may not be given handles); SYSTEM. */
sockbroker_status sb_xfer_fill_record(sockbroker_socket worker, sockbroker_socket sock, struct sb_record *record,
                                      int *os_code_out);

/* Opens the socket of a record that was filled for this process: overlapped, non-inheritable, blocking or not as the record
 * says. Good once. OK; AGAIN (it comes by the pair); BAD_MESSAGE (not filled by a broker of this system and word size, or not
 * for a socket of that kind); NO_DESCRIPTORS; SYSTEM. */
sockbroker_status sb_xfer_open_record(const struct sb_record *record, sockbroker_socket *sock_out);

/* ---- the broker's side ---- */

/* Sends one connection. For MESSAGE the caller then sends the record in a Handoff; on Windows that is all, and this does
 * nothing. stamp: kept by the caller from one connection to the next of the same endpoint and family. OK; AGAIN (the worker has
 * not read what came before: wait until the pair is writable); BUSY (the system has too many descriptors in flight or too
 * little memory: try a little later, nothing tells when); CLOSED; PERMISSION (a security module); SYSTEM. On any but OK nothing
 * has moved; os_code_out has the system's word. */
sockbroker_status sb_xfer_send(sockbroker_socket broker_end, enum sb_carrier carrier, struct sb_record *record,
                               sockbroker_socket sock, struct sb_stamp *stamp, int *os_code_out);

/* Gives the worker the memory of a ring. As above. */
sockbroker_status sb_xfer_send_ring(sockbroker_socket broker_end, sockbroker_socket memory);

/* Asks whether anybody reads. OK, AGAIN, CLOSED, SYSTEM. */
sockbroker_status sb_xfer_send_probe(sockbroker_socket broker_end, uint64_t number);

/* Takes what the worker said. OK, AGAIN, CLOSED, BAD_MESSAGE (also when a descriptor came with it: it was closed). */
sockbroker_status sb_xfer_receive_report(sockbroker_socket broker_end, struct sb_report *report_out,
                                         struct sockbroker_error *error_out);

/* Takes back the oldest packet that the worker has not read; its descriptor is dropped, the caller has its own copy.
 * lease_id_out is 0 for a probe or a ring. OK, AGAIN (nothing unread). */
sockbroker_status sb_xfer_withdraw(sockbroker_socket worker_end, uint64_t *lease_id_out);

/* ---- the worker's side ---- */

/* Takes the next packet. sock_out is NONE for a probe.
 * OK; AGAIN; CLOSED (the broker is gone); BAD_MESSAGE;
 * NO_DESCRIPTORS: the packet came and its descriptor could not be installed; delivery_out is filled, tell the broker. */
sockbroker_status sb_xfer_receive(sockbroker_socket worker_end, struct sb_delivery *delivery_out, sockbroker_socket *sock_out);

/* The same, and waits while nothing is there (no AGAIN). One system call less than to wait for the descriptor and then take. */
sockbroker_status sb_xfer_wait(sockbroker_socket worker_end, struct sb_delivery *delivery_out, sockbroker_socket *sock_out);

/* Wakes everybody who waits in it; who waits later finds CLOSED when all that was there is taken. The broker's sends fail. */
void sb_xfer_stop_waiting(sockbroker_socket worker_end);

/* OK, AGAIN (the broker has not read what came before), BUSY (the system is short of memory), CLOSED. */
sockbroker_status sb_xfer_send_report(sockbroker_socket worker_end, const struct sb_report *report);

/* ---- one packet with at most one descriptor, also used for Welcome ---- */

sockbroker_status sb_xfer_send_packet(sockbroker_socket end, const uint8_t *data, size_t len, sockbroker_socket passenger,
                                      int *os_code_out);

/* OK; AGAIN; CLOSED (end of stream); NO_DESCRIPTORS (a descriptor was there and could not be installed; data are filled);
 * BAD_MESSAGE (longer than cap, or more than one descriptor: all closed). */
sockbroker_status sb_xfer_receive_packet(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                         sockbroker_socket *passenger_out);
sockbroker_status sb_xfer_wait_packet(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                      sockbroker_socket *passenger_out);

#endif
