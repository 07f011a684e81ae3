/* text_win32.h: text of any length between UTF-8 and what Windows takes (proto/utf_win32.h), on the heap. */
#ifndef SB_BROKER_TEXT_WIN32_H
#define SB_BROKER_TEXT_WIN32_H

#include <wchar.h>

#include "sockbroker/status.h"

/* The result is for free(). OK; INVALID (it is no Unicode); NO_MEMORY. */
sockbroker_status sb_text_widen(const char *text, wchar_t **wide_out);
sockbroker_status sb_text_narrow(const wchar_t *wide, char **text_out);

#endif
