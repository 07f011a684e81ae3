#include "proto/oserr.h"

#include <winsock2.h>

#include <windows.h>

#include <stdio.h>
#include <string.h>

#include "proto/error.h"
#include "proto/utf_win32.h"

int sb_oserr_last(void)
{
    return (int)GetLastError(); /* WSAGetLastError() reads the same place */
}

void sb_oserr_set_last(int os_code)
{
    SetLastError((DWORD)os_code);
}

struct code {
    int code;
    sockbroker_status status;
    const char *name;
};

#define CODE(name, status)                                                                                                     \
    {                                                                                                                          \
        name, SOCKBROKER_##status, #name                                                                                       \
    }

static const struct code codes[] = {
    CODE(WSAEWOULDBLOCK, AGAIN),
    CODE(WSAEINTR, AGAIN),
    CODE(ERROR_IO_PENDING, AGAIN),
    CODE(WSAEMFILE, NO_DESCRIPTORS),
    CODE(ERROR_TOO_MANY_OPEN_FILES, NO_DESCRIPTORS),
    CODE(WSAENOBUFS, NO_MEMORY),
    CODE(ERROR_NOT_ENOUGH_MEMORY, NO_MEMORY),
    CODE(ERROR_OUTOFMEMORY, NO_MEMORY),
    CODE(ERROR_NO_SYSTEM_RESOURCES, NO_MEMORY),
    CODE(WSAEACCES, PERMISSION),
    CODE(ERROR_ACCESS_DENIED, PERMISSION),
    CODE(ERROR_PRIVILEGE_NOT_HELD, PERMISSION),
    CODE(WSAEADDRINUSE, ADDRESS_IN_USE),
    CODE(WSAEADDRNOTAVAIL, ADDRESS_NOT_AVAILABLE),
    CODE(WSAEAFNOSUPPORT, UNSUPPORTED),
    CODE(WSAEOPNOTSUPP, UNSUPPORTED),
    CODE(WSAEPROTONOSUPPORT, UNSUPPORTED),
    CODE(WSAESOCKTNOSUPPORT, UNSUPPORTED),
    CODE(ERROR_NOT_SUPPORTED, UNSUPPORTED),
    CODE(ERROR_CALL_NOT_IMPLEMENTED, UNSUPPORTED),
    CODE(WSAECONNRESET, CLOSED),
    CODE(WSAECONNABORTED, SYSTEM),
    CODE(WSAENOTCONN, CLOSED),
    CODE(WSAESHUTDOWN, CLOSED),
    CODE(ERROR_BROKEN_PIPE, CLOSED),
    CODE(ERROR_NO_DATA, CLOSED),
    CODE(WSAECONNREFUSED, NO_BROKER),
    CODE(ERROR_FILE_NOT_FOUND, NO_BROKER),
    CODE(WSAETIMEDOUT, TIMEOUT),
    CODE(WSAENOTSOCK, SYSTEM),
    CODE(WSAEINVAL, SYSTEM),
    CODE(WSAEFAULT, SYSTEM),
    CODE(WSAENETDOWN, SYSTEM),
    CODE(WSAENETUNREACH, SYSTEM),
    CODE(WSAEHOSTUNREACH, SYSTEM),
    CODE(WSAENOPROTOOPT, SYSTEM),
    CODE(WSAEMSGSIZE, SYSTEM),
    CODE(WSANOTINITIALISED, SYSTEM),
    CODE(ERROR_INVALID_HANDLE, SYSTEM),
    CODE(ERROR_INVALID_PARAMETER, SYSTEM),
    CODE(ERROR_PIPE_BUSY, BUSY),
};

static const struct code *find(int os_code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == os_code)
            return &codes[i];
    }
    return NULL;
}

sockbroker_status sb_oserr_status(int os_code)
{
    const struct code *c = find(os_code);

    if (c)
        return c->status;
    return os_code ? SOCKBROKER_SYSTEM : SOCKBROKER_OK; /* the system has thousands; the error keeps the code */
}

/* In English, as all our messages; without the full stop and line end that Windows adds. */
static void describe(int os_code, char *text_out, size_t size)
{
    wchar_t wide[256];
    DWORD len = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, (DWORD)os_code,
                               MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US), wide, 256, NULL);

    if (!len) /* a Windows without English */
        len = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, (DWORD)os_code, 0, wide, 256,
                             NULL);
    while (len && wcschr(L"\r\n .", wide[len - 1]))
        len--;
    wide[len] = L'\0';
    if (!len || !sb_utf_narrow(wide, text_out, size))
        snprintf(text_out, size, "?");
}

const char *sb_oserr_text(int os_code, char *text_out, size_t text_size)
{
    const struct code *c = find(os_code);
    char number[24];
    char words[192];

    snprintf(number, sizeof(number), "error %d", os_code);
    describe(os_code, words, sizeof(words));
    snprintf(text_out, text_size, "%s (%s)", c ? c->name : number, words);
    return text_out;
}
