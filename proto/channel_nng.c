#include "proto/channel_nng.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <nng/nng.h>

#include "proto/channel.h"
#include "proto/error.h"
#include "proto/thread.h"

/* nng 1.5.2 as released stops listening for good when a caller leaves before the greeting (nanomsg/nng#1518). 1.6 cured it; our
 * build of 1.5.2 says so in its version. */
static bool is_sound(const char *version)
{
    unsigned major = 0;
    unsigned minor = 0;

    sscanf(version, "%u.%u", &major, &minor);
    return major > 1 || minor >= 6 || strstr(version, "+sockbroker");
}

static atomic_uint first_user; /* the process that used nng first; a fork inherits the number and not the threads */

sockbroker_status sb_channel_prepare(struct sockbroker_error *error_out)
{
    unsigned none = 0;
    unsigned self = sb_process_id();

    if (!is_sound(nng_version()))
        return sb_error_set(error_out, SOCKBROKER_UNSUPPORTED, 0,
                            "nng %s loses its listener when a caller leaves early; use nng 1.6 or newer, or the build that "
                            "proto/setup/nng makes",
                            nng_version());
    if (!atomic_compare_exchange_strong(&first_user, &none, self) && none != self)
        return sb_error_set(error_out, SOCKBROKER_FORKED, 0,
                            "process %u used the library before it forked; open workers after the fork only, or exec first",
                            none);
    return SOCKBROKER_OK;
}

const char *sb_nng_url(const char *path, char *url_out, size_t url_size)
{
    snprintf(url_out, url_size, "ipc://%s", path);
    return url_out;
}

sockbroker_status sb_nng_status(int code)
{
    switch (code) {
    case 0:
        return SOCKBROKER_OK;
    case NNG_ECONNREFUSED:
    case NNG_ENOENT:
    case NNG_EADDRINVAL:
        return SOCKBROKER_NO_BROKER;
    case NNG_EPERM:
        return SOCKBROKER_PERMISSION;
    case NNG_ETIMEDOUT:
        return SOCKBROKER_TIMEOUT;
    case NNG_ENOMEM:
        return SOCKBROKER_NO_MEMORY;
    case NNG_ENOFILES:
        return SOCKBROKER_NO_DESCRIPTORS;
    case NNG_EAGAIN: /* the queue of the listening socket is full */
        return SOCKBROKER_BUSY;
    case NNG_EADDRINUSE:
        return SOCKBROKER_ADDRESS_IN_USE;
    case NNG_ECLOSED:
    case NNG_ECONNRESET:
    case NNG_ECONNSHUT:
    case NNG_ECONNABORTED:
    case NNG_ECANCELED:
    case NNG_ESTATE:
    case NNG_EPEERAUTH:
        return SOCKBROKER_CLOSED;
    case NNG_EMSGSIZE:
    case NNG_EPROTO:
        return SOCKBROKER_BAD_MESSAGE;
    default: /* nng adds codes between releases */
        return SOCKBROKER_SYSTEM;
    }
}

static const char *cure(sockbroker_status status)
{
    switch (status) {
    case SOCKBROKER_NO_BROKER:
        return "; start one with `sockbroker serve`, or name its directory with --dir or SOCKBROKER_DIR";
    case SOCKBROKER_PERMISSION:
        return "; run as the user of the broker, or let it open the directory with dir_mode";
    case SOCKBROKER_NO_DESCRIPTORS:
        return "; raise the descriptor limit (ulimit -n)";
    case SOCKBROKER_CLOSED:
        return "; the broker ended or was replaced meanwhile, ask again";
    default: /* the text of the cause is all there is to say */
        return "";
    }
}

sockbroker_status sb_nng_error(struct sockbroker_error *error_out, int code, const char *what)
{
    sockbroker_status st = sb_nng_status(code);
    bool by_us = code == NNG_ECLOSED || code == NNG_ECANCELED;

    return sb_error_set(error_out, st, 0, "%s: %s%s", what,
                        st == SOCKBROKER_NO_BROKER ? "no broker answers there" : nng_strerror(code), by_us ? "" : cure(st));
}
