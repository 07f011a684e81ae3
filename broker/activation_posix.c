#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/activation.h"
#include "proto/error.h"
#include "proto/socket.h"

#define FIRST 3 /* SD_LISTEN_FDS_START */
#define MOST 65536ul

static bool read_number(const char *name, unsigned long *number_out)
{
    const char *text = getenv(name);
    char *end;

    if (!text || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *number_out = strtoul(text, &end, 10);
    return !errno && !*end;
}

/* The next of the names between colons; "unknown" when there is none. */
static void take_name(const char **names, char name_out[SB_LABEL_MAX + 1])
{
    size_t len = *names ? strcspn(*names, ":") : 0;

    if (len == 0 || len > SB_LABEL_MAX) {
        memcpy(name_out, "unknown", sizeof("unknown"));
    } else {
        memcpy(name_out, *names, len);
        name_out[len] = '\0';
    }
    if (*names)
        *names = (*names)[len] ? *names + len + 1 : NULL;
}

static sockbroker_status take_all(struct sb_given **list, int n, struct sockbroker_error *error)
{
    const char *names = getenv("LISTEN_FDNAMES");
    sockbroker_status st = SOCKBROKER_OK;

    for (int i = 0; i < n; i++) {
        sockbroker_socket descriptor = FIRST + i;
        char name[SB_LABEL_MAX + 1];

        take_name(&names, name);
        if (fcntl(descriptor, F_SETFD, FD_CLOEXEC)) {
            st = sb_error_set(error, SOCKBROKER_INVALID, 0,
                              "LISTEN_FDS says that descriptor %d was given, and it is not there; start by the service manager",
                              descriptor);
            break;
        }
        if (sb_given_add(list, name, &descriptor)) {
            st = sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory for a descriptor that was given");
            sb_socket_close(&descriptor);
        }
    }
    return st;
}

sockbroker_status sb_activation_take(struct sb_given **list, struct sockbroker_error *error_out)
{
    unsigned long pid, n;
    bool meant_for_us = read_number("LISTEN_PID", &pid) && pid == (unsigned long)getpid();
    sockbroker_status st = SOCKBROKER_OK;

    if (meant_for_us && (!read_number("LISTEN_FDS", &n) || n > MOST))
        st = sb_error_set(error_out, SOCKBROKER_INVALID, 0, "LISTEN_FDS is not a number of descriptors; unset LISTEN_PID");
    else if (meant_for_us)
        st = take_all(list, (int)n, error_out);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return st;
}
