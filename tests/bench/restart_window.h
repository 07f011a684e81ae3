/* What happened from one mark to the next. A request belongs to the window in which it began, however late it ends. */
#ifndef RESTART_WINDOW_H
#define RESTART_WINDOW_H

#include <stdbool.h>

#include "client_tally.h"

struct window {
    struct tally fresh;   /* requests on connections of their own */
    struct tally kept;    /* requests on connections that stay open */
    unsigned n_announced; /* kept connections that the server closed after "Connection: close" */
    unsigned n_idle;      /* those that it closed between two requests without a word */
    uint64_t lag_ns;      /* how late the client itself began a request, at the worst */
    unsigned n_open;      /* requests that have not ended */
};

/* The window that is open now. */
struct window *window_now(void);

/* The next one opens. */
void window_mark(void);

/* Prints one line for each that is over and has no request left, in order. */
void window_report(void);

#endif
