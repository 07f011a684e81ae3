#include "proto/utf_win32.h"

#include <windows.h>

bool sb_utf_widen(const char *text, wchar_t *wide_out, size_t room)
{
    int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide_out, (int)room);

    if (!n)
        wide_out[0] = L'\0';
    return n > 0;
}

bool sb_utf_narrow(const wchar_t *wide, char *text_out, size_t size)
{
    int n = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, wide, -1, text_out, (int)size, NULL, NULL);

    if (!n)
        text_out[0] = '\0';
    return n > 0;
}
