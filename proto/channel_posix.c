#include "proto/channel_nng.h"

#include <stdint.h>

#include <nng/nng.h>

static uint32_t number(nng_pipe pipe, const char *option)
{
    uint64_t value = UINT32_MAX;

    return nng_pipe_get_uint64(pipe, option, &value) ? UINT32_MAX : (uint32_t)value;
}

void sb_nng_identify(nng_pipe pipe, struct sb_nng_peer *peer_out)
{
    peer_out->uid = number(pipe, NNG_OPT_IPC_PEER_UID);
    peer_out->gid = number(pipe, NNG_OPT_IPC_PEER_GID);
    peer_out->pid = number(pipe, NNG_OPT_IPC_PEER_PID);
}

sockbroker_status sb_nng_guard(nng_listener listener, const struct sb_server_options *options, void **guard_out,
                               struct sockbroker_error *error_out)
{
    (void)listener;
    (void)options;
    (void)error_out;
    *guard_out = NULL;
    return SOCKBROKER_OK;
}

void sb_nng_unguard(void *guard)
{
    (void)guard;
}

bool sb_nng_trusts_server(nng_pipe pipe, char *whom_out, size_t size)
{
    (void)pipe;
    (void)whom_out;
    (void)size;
    return true; /* who may put a socket there may everything else in that directory: rundir.h */
}
