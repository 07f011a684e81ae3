/* activation.h: descriptors that came with the start of this process (sd_listen_fds(3)): LISTEN_PID, LISTEN_FDS and
 * LISTEN_FDNAMES, descriptors from 3 on.
 */
#ifndef SB_BROKER_ACTIVATION_H
#define SB_BROKER_ACTIVATION_H

#include "broker/given.h"

/* Takes them, close-on-exec from here on, under their names ("unknown" for those without), and takes the variables out of the
 * environment. Nothing when they are meant for another process. OK; INVALID (the variables make no sense); NO_MEMORY: those
 * that could not be noted are closed. */
sockbroker_status sb_activation_take(struct sb_given **list, struct sockbroker_error *error_out);

#endif
