/* The worker that accepts by itself: one loop, whoever opened its listening socket. */
#ifndef BENCH_ACCEPT_H
#define BENCH_ACCEPT_H

#include <stdbool.h>

#include "sockbroker/sockbroker.h"

/* An epoll set for its listening sockets. */
int bench_accept_open(void);

/* A dual-stack socket with SO_REUSEPORT, without a broker. False with errno. */
bool bench_accept_own(int set, int port);

/* All that the endpoint has. */
sockbroker_status bench_accept_fetch(int set, struct sockbroker_worker *worker, const char *endpoint,
                                     struct sockbroker_error *error_out);

/* Until the worker's next() gives no more; worker NULL: for ever. */
sockbroker_status bench_accept_serve(int set, struct sockbroker_worker *worker, unsigned char index);

#endif
