/* kit_watch.h: what a worker that accepts by itself waits for: its listening sockets, and the library's. One set for the
 * program; sockets may be added while another thread waits. */
#ifndef SB_TESTS_SUPPORT_KIT_WATCH_H
#define SB_TESTS_SUPPORT_KIT_WATCH_H

#include <stdbool.h>

#include "sockbroker/socket.h"

void kit_watch_begin(void);
void kit_watch_end(void);

/* is_shared: by other processes; the system may then wake one of them alone. */
void kit_watch_add(sockbroker_socket sock, bool is_shared);
void kit_watch_drop(sockbroker_socket sock);

/* False when nothing comes within ms. */
bool kit_watch_wait(int ms, sockbroker_socket *ready_out);

#endif
