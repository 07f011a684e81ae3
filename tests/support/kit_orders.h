/* kit_orders.h: how a program of the tests hears what the test wants: lines on standard input, and the wish that it ends
 * (SIGTERM or SIGINT; Ctrl-C). */
#ifndef SB_TESTS_SUPPORT_KIT_ORDERS_H
#define SB_TESTS_SUPPORT_KIT_ORDERS_H

#include <stdbool.h>
#include <stddef.h>

enum kit_order {
    KIT_ORDER_NONE,  /* in that time */
    KIT_ORDER_LINES, /* text_out has them, NUL-terminated */
    KIT_ORDER_END,   /* the test wants it, or is gone */
};

/* First of all, before there are threads. Without input the wish to end is all there is. */
void kit_orders_begin(bool has_input);
enum kit_order kit_orders_wait(char *text_out, size_t room, unsigned ms);

/* Cuts the next word off: NULL when there is none. */
char *kit_orders_cut(char **rest, const char *separators);

int kit_own_pid(void);

#endif
