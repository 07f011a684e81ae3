/* command_line_win32.h: the words of a command as Windows wants them, in one line, quoted so that the C runtime of the program
 * finds the same words in it.
 */
#ifndef SB_BROKER_COMMAND_LINE_WIN32_H
#define SB_BROKER_COMMAND_LINE_WIN32_H

#include <stddef.h>

#include "sockbroker/status.h"

/* line_out: for free(). OK; INVALID (a word is not UTF-8, or it all is longer than the 32767 that the system takes); NO_MEMORY.
 */
sockbroker_status sb_command_line_make(const char *const *words, size_t n_words, wchar_t **line_out);

#endif
