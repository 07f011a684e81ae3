#include "proto/failpoint_act.h"

#include <winsock2.h>

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names of POSIX, so that a test says the same on both systems. */
int sb_failpoint_code(const char *name)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
        { "EAGAIN", WSAEWOULDBLOCK },
        { "EMFILE", WSAEMFILE },
        { "ENFILE", WSAEMFILE },
        { "ENOBUFS", WSAENOBUFS },
        { "ENOMEM", ERROR_NOT_ENOUGH_MEMORY },
        { "ETOOMANYREFS", WSAETOOMANYREFS },
        { "EPERM", ERROR_ACCESS_DENIED },
        { "EACCES", WSAEACCES },
        { "ECONNABORTED", WSAECONNABORTED },
        { "EBADF", ERROR_INVALID_HANDLE },
        { "EINVAL", WSAEINVAL },
        { "EAFNOSUPPORT", WSAEAFNOSUPPORT },
        { "EPROTO", WSAECONNABORTED },
        { "EINTR", WSAEINTR },
        { "ENOSPC", ERROR_DISK_FULL },
        { "EIO", ERROR_IO_DEVICE },
        { "EPIPE", ERROR_BROKEN_PIPE },
        { "ENETDOWN", WSAENETDOWN },
        { "ENOPROTOOPT", WSAENOPROTOOPT },
        { "EFAULT", WSAEFAULT },
        { "ENOTSOCK", WSAENOTSOCK },
        { "EOPNOTSUPP", WSAEOPNOTSUPP },
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (!strcmp(codes[i].name, name))
            return codes[i].code;
    }
    return 0;
}

void sb_failpoint_kill(void)
{
    TerminateProcess(GetCurrentProcess(), 137); /* what a shell on POSIX says of SIGKILL */
}

void sb_failpoint_stop(void)
{
    fputs("SOCKBROKER_FAILPOINTS: nothing stops a process on Windows; use kill\n", stderr);
    abort();
}
