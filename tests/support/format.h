/* format.h: texts that the tests make.
 *
 * What does not fit ends the program with the text. Nothing is cut: the tests build paths into orders and configurations, and
 * how long those are depends on where the sources lie.
 */
#ifndef SB_TESTS_SUPPORT_FORMAT_H
#define SB_TESTS_SUPPORT_FORMAT_H

#include <stddef.h>

#include "proto/printf.h"

/* Returns its length. */
size_t format_text(char *out, size_t room, const char *format, ...) SB_PRINTF(3, 4);

#endif
