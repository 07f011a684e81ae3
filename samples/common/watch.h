/* watch.h: waiting until one of several sockets is readable. watch_posix.c has an epoll set, watch_win32.c calls WSAPoll().
 *
 * A program with an event loop gives it the sockets instead; http_worker shows that.
 */
#ifndef WATCH_H
#define WATCH_H

#include <sockbroker/sockbroker.h>

/* exclusive: other processes wait on it too, and one of them is enough for one client; where the system cannot wake one
 * alone, all wake. False: the system does not watch it. */
bool watch_add(sockbroker_socket sock, bool exclusive);
void watch_remove(sockbroker_socket sock);

/* One that is readable, by turns; SOCKBROKER_SOCKET_NONE when there was none for timeout_ms. -1 waits for ever. */
sockbroker_socket watch_wait(int timeout_ms);

/* Something can be sent on it again. False when that is not so for timeout_ms. */
bool watch_has_room(sockbroker_socket sock, int timeout_ms);

#endif
