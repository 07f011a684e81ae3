#include "proto/oserr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int sb_oserr_last(void)
{
    return errno;
}

void sb_oserr_set_last(int os_code)
{
    errno = os_code;
}

sockbroker_status sb_oserr_status(int os_code)
{
    switch (os_code) {
    case 0:
        return SOCKBROKER_OK;
    case EAGAIN:
    case EINTR:
        return SOCKBROKER_AGAIN;
    case EMFILE:
    case ENFILE:
        return SOCKBROKER_NO_DESCRIPTORS;
    case ENOMEM:
    case ENOBUFS:
        return SOCKBROKER_NO_MEMORY;
    case EACCES:
    case EPERM:
        return SOCKBROKER_PERMISSION;
    case EADDRINUSE:
        return SOCKBROKER_ADDRESS_IN_USE;
    case EADDRNOTAVAIL:
        return SOCKBROKER_ADDRESS_NOT_AVAILABLE;
    case EAFNOSUPPORT:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
        return SOCKBROKER_UNSUPPORTED;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return SOCKBROKER_CLOSED;
    case ECONNREFUSED:
    case ENOENT:
        return SOCKBROKER_NO_BROKER;
    case ETIMEDOUT:
        return SOCKBROKER_TIMEOUT;
    default: /* the system has hundreds; the error keeps the code */
        return SOCKBROKER_SYSTEM;
    }
}

const char *sb_oserr_text(int os_code, char *text_out, size_t text_size)
{
    const char *name = strerrorname_np(os_code);

    snprintf(text_out, text_size, "%s (%s)", name ? name : "unknown error",
             strerrordesc_np(os_code) ? strerrordesc_np(os_code) : "?");
    return text_out;
}
