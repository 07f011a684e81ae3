/* steer_program.h: a plan as a program that Linux runs for each new client of a SO_REUSEPORT group.
 *
 * Classic BPF (SO_ATTACH_REUSEPORT_CBPF, socket(7)), for which no privilege is needed. What the program returns is a position
 * in the group. It finds the packet's data behind the TCP or UDP header; the IP header is at SKF_NET_OFF. That one is the
 * IPv4 header too when an IPv4 client comes to a dual-stack socket (seen on Linux 6.18 for TCP and UDP, both families).
 */
#ifndef SB_BROKER_STEER_PROGRAM_H
#define SB_BROKER_STEER_PROGRAM_H

#include <linux/filter.h>

#include "broker/steer.h"

#define SB_STEER_CODE_MAX 1280u /* 2 for a bucket, the rest for hash, far jumps and probes; the kernel takes 4096 */
#define SB_STEER_PROBES_MAX 64u /* so that a jump over all of them fits 8 bits */

struct sb_steer_program {
    struct sock_filter code[SB_STEER_CODE_MAX];
    size_t n;
};

/* Packets that the owner of the group sends itself, known by their source. The one from ports[i] goes to position first + i,
 * whatever the plan says. */
struct sb_steer_probes {
    struct sockbroker_addr source; /* plain IPv4 or IPv6; its port does not count */
    uint16_t ports[SB_STEER_PROBES_MAX];
    size_t n; /* 0..SB_STEER_PROBES_MAX */
    uint32_t first;
};

/* positions: of each slot in the group. probes may be NULL. */
void sb_steer_program_make(const struct sb_steer_plan *plan, const uint16_t *positions, const struct sb_steer_probes *probes,
                           struct sb_steer_program *program_out);

/* For SO_ATTACH_FILTER: drops what these probes send and lets everything else pass. */
void sb_steer_program_make_filter(const struct sb_steer_probes *probes, struct sb_steer_program *program_out);

#endif
