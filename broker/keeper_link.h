/* keeper_link.h: what passes between the broker and its keeper: packets of a pair (keeper_pair.h).
 *
 * A packet is one letter and a text, with at most one descriptor. The keeper never looks into what it keeps: a thing is a label
 * and a descriptor, and a label stands for one thing at a time.
 */
#ifndef SB_BROKER_KEEPER_LINK_H
#define SB_BROKER_KEEPER_LINK_H

#include "sockbroker/socket.h"

/* In the broker's environment: the number of its end, decimal; Windows: of the memory that says how to open it. */
#define SB_KEEPER_VARIABLE "SOCKBROKER_KEEPER"

#define SB_LABEL_MAX 255 /* without the NUL; as systemd's FDNAME, sd_pid_notify_with_fds(3) */

enum sb_keeper_word {
    SB_KEEPER_PUT = 'P',     /* both ways, with the descriptor: keep this; have this. Replaces what had the label */
    SB_KEEPER_DROP = 'D',    /* close what has the label */
    SB_KEEPER_END = 'E',     /* to the broker: that was all */
    SB_KEEPER_READY = 'R',   /* the broker serves */
    SB_KEEPER_FOLLOW = 'F',  /* text: the pid of the process that is the broker from now on; with a socket: one byte says yes */
    SB_KEEPER_RENAME = 'N',  /* what follows is all that there is: what is not put until READY is dropped */
    SB_KEEPER_BARRIER = 'B', /* with a descriptor, which is closed when everything sent before has been done */
};

struct sb_keeper_packet {
    enum sb_keeper_word word;
    char label[SB_LABEL_MAX + 1];
    sockbroker_socket passenger; /* yours; NONE: there is none */
};

/* Never waits. peer: the process at the other end, of which Windows wants the handle when there is a passenger; elsewhere not
 * looked at. passenger is lent, or NONE. OK; AGAIN and BUSY (later); CLOSED; INVALID (a label that is too long); SYSTEM. */
sockbroker_status sb_keeper_send(sockbroker_socket end, sockbroker_socket peer, enum sb_keeper_word word, const char *label,
                                 sockbroker_socket passenger);

/* Never waits. OK; AGAIN; CLOSED; NO_DESCRIPTORS (what came is lost to us; the sender has it yet); BAD_MESSAGE. */
sockbroker_status sb_keeper_receive(sockbroker_socket end, struct sb_keeper_packet *packet_out);

#endif
