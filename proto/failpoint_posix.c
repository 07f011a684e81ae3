#include "proto/failpoint_act.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

int sb_failpoint_code(const char *name)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
        { "EAGAIN", EAGAIN },
        { "EMFILE", EMFILE },
        { "ENFILE", ENFILE },
        { "ENOBUFS", ENOBUFS },
        { "ENOMEM", ENOMEM },
        { "ETOOMANYREFS", ETOOMANYREFS },
        { "EPERM", EPERM },
        { "EACCES", EACCES },
        { "ECONNABORTED", ECONNABORTED },
        { "EBADF", EBADF },
        { "EINVAL", EINVAL },
        { "EAFNOSUPPORT", EAFNOSUPPORT },
        { "EPROTO", EPROTO },
        { "EINTR", EINTR },
        { "ENOSPC", ENOSPC },
        { "EIO", EIO },
        { "EPIPE", EPIPE },
        { "ENETDOWN", ENETDOWN },
        { "ENOPROTOOPT", ENOPROTOOPT },
        { "EFAULT", EFAULT },
        { "ENOTSOCK", ENOTSOCK },
        { "EOPNOTSUPP", EOPNOTSUPP },
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (!strcmp(codes[i].name, name))
            return codes[i].code;
    }
    return 0;
}

void sb_failpoint_kill(void)
{
    raise(SIGKILL);
}

void sb_failpoint_stop(void)
{
    raise(SIGSTOP);
}
