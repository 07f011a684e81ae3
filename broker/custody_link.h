/* custody_link.h: the way to whoever keeps the broker's descriptors. */
#ifndef SB_BROKER_CUSTODY_LINK_H
#define SB_BROKER_CUSTODY_LINK_H

#include "broker/config.h"
#include "broker/given.h"

enum sb_custodian {
    SB_CUSTODIAN_NOBODY,
    SB_CUSTODIAN_KEEPER,
    SB_CUSTODIAN_MANAGER, /* systemd: FDSTORE=1, sd_pid_notify_with_fds(3) */
};

struct sb_custody_link {
    enum sb_custodian who;
    sockbroker_socket end;  /* NONE for nobody */
    sockbroker_socket peer; /* the keeper's process, where it must be known (keeper_link.h); else NONE */
    bool is_next;           /* there was a broker before, which died. False also when the runtime directory tells that */
};
#define SB_CUSTODY_LINK_NONE                                                                                                   \
    {                                                                                                                          \
        SB_CUSTODIAN_NOBODY, SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE, false                                             \
    }

/* Finds out who it is, and takes what was kept or came with the start. OK; INVALID; NO_MEMORY; CLOSED; TIMEOUT (10 s). */
sockbroker_status sb_custody_link_open(enum sb_keeping keeping, struct sb_custody_link *link_out, struct sb_given **given_out,
                                       struct sockbroker_error *error_out);

/* Each waits at most 100 ms. OK; AGAIN, BUSY: later; other failures are for good. */
sockbroker_status sb_custody_link_put(const struct sb_custody_link *l, const char *label, sockbroker_socket sock);
sockbroker_status sb_custody_link_drop(const struct sb_custody_link *l, const char *label);
sockbroker_status sb_custody_link_ready(const struct sb_custody_link *l);

/* Waits until all that was sent before has been done. OK; TIMEOUT (100 ms), CLOSED, NO_DESCRIPTORS. */
sockbroker_status sb_custody_link_settle(const struct sb_custody_link *l);

/* After a running broker. channel: of its keeper, which is asked to follow this process (waits at most 2 s), or NONE. It moves
 * into the link. OK; TIMEOUT; CLOSED: it does not; NO_DESCRIPTORS. */
sockbroker_status sb_custody_link_join(enum sb_keeping keeping, sockbroker_socket channel, struct sb_custody_link *link_out);

/* What follows is all that there is: what is not put again until ready is dropped then. */
sockbroker_status sb_custody_link_rename(const struct sb_custody_link *l);

/* Once the process that started this one is gone and the keeper is the parent: this one dies with it. True when that is done.
 */
bool sb_custody_link_bind_life(uint32_t first_parent);
uint32_t sb_custody_link_parent(void);

/* The socket's own number, the same in each process that has it; 0: it cannot be had. */
uint64_t sb_custody_number(sockbroker_socket sock);

#endif
