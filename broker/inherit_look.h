/* inherit_look.h: what a socket that came from somebody else is; inherit_posix.c, inherit_win32.c.
 */
#ifndef SB_BROKER_INHERIT_LOOK_H
#define SB_BROKER_INHERIT_LOOK_H

#include "broker/inherit.h"

/* Fills in protocol, addr and dual. NULL, or why it cannot be used. */
const char *sb_inherit_look(sockbroker_socket sock, struct sb_inherited *s);

#endif
