/* accept.h: takes one connection out of a listening socket, and judges what went wrong. */
#ifndef SB_BROKER_ACCEPT_H
#define SB_BROKER_ACCEPT_H

#include "sockbroker/socket.h"

enum sb_accept_result {
    SB_ACCEPT_OK,
    SB_ACCEPT_EMPTY,  /* nothing waits */
    SB_ACCEPT_RETRY,  /* that one has gone wrong (accept(2): errors of the new socket); try the next now */
    SB_ACCEPT_PAUSE,  /* descriptors or memory are short: try again later */
    SB_ACCEPT_BROKEN, /* the listening socket itself is no good */
    SB_ACCEPT_UNKNOWN /* an error nobody has told us of: count it, pause, go on */
};

/* sock_out and peer_out are filled on OK, os_code_out otherwise. The address is taken from accept itself, for a client that
 * resets at once has none any more. A mapped address has become plain IPv4. */
enum sb_accept_result sb_accept(sockbroker_socket listener, bool blocking, sockbroker_socket *sock_out,
                                struct sockbroker_addr *peer_out, int *os_code_out);

/* The address the client connected to; a mapped one as IPv4. FAMILY_NONE when the client has gone. */
void sb_accept_local(sockbroker_socket sock, struct sockbroker_addr *local_out);

enum sb_accept_result sb_accept_judge(int os_code);

#endif
