#include <stdio.h>

#include "broker/takeover_link.h"
#include "proto/error.h"

static sockbroker_status refuse(struct sockbroker_error *error)
{
    return sb_error_set(error, SOCKBROKER_UNSUPPORTED, 0,
                        "a running broker cannot be replaced on Windows; stop it and start the new one: workers come back by "
                        "themselves, connections they have taken go on, new clients are refused in between");
}

/* What an upgrade asks first. */
sockbroker_status sb_takeover_own_binary(char path_out[SB_BINARY_ROOM], struct sockbroker_error *error_out)
{
    path_out[0] = '\0';
    return refuse(error_out);
}

sockbroker_status sb_takeover_spawn(const char *binary, char *const *args, sockbroker_socket end, bool dies_with_us,
                                    struct sb_peer *peer_out, struct sockbroker_error *error_out)
{
    (void)dies_with_us;
    (void)binary;
    (void)args;
    (void)end;
    (void)peer_out;
    return refuse(error_out);
}

bool sb_takeover_wait_end(const struct sb_peer *peer, uint32_t wait_ms)
{
    (void)peer;
    (void)wait_ms;
    return true;
}

const char *sb_takeover_reap(const struct sb_peer *peer, uint32_t wait_ms, char *text_out, size_t text_size)
{
    (void)peer;
    (void)wait_ms;
    snprintf(text_out, text_size, "never began");
    return text_out;
}
