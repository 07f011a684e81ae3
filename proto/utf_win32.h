/* utf_win32.h: text is UTF-8 everywhere but in calls of Windows. */
#ifndef SB_PROTO_UTF_WIN32_H
#define SB_PROTO_UTF_WIN32_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/* All of the text with its NUL, or false: it does not fit, or it is no Unicode; then "" comes out. */
bool sb_utf_widen(const char *text, wchar_t *wide_out, size_t room);
bool sb_utf_narrow(const wchar_t *wide, char *text_out, size_t size);

#endif
