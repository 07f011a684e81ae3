/* One broker cannot follow another here yet: sockets would have to be given to the next process one by one, by blobs that are
 * made for it. Upgrades are refused (takeover_spawn_win32.c) before any of this could be asked. */
#include "broker/takeover_link.h"

#include "proto/error.h"

sockbroker_status sb_takeover_send(sockbroker_socket channel, const struct sb_takeover *message, const sockbroker_socket *socks,
                                   uint64_t until_ms)
{
    (void)channel;
    (void)message;
    (void)socks;
    (void)until_ms;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_takeover_receive(sockbroker_socket channel, uint64_t until_ms, struct sb_takeover *message_out,
                                      sockbroker_socket *socks_out, struct sockbroker_error *error_out)
{
    (void)channel;
    (void)until_ms;
    (void)message_out;
    for (size_t i = 0; i < SB_TAKEOVER_DESCRIPTORS_MAX; i++)
        socks_out[i] = SOCKBROKER_SOCKET_NONE;
    return sb_error_set(error_out, SOCKBROKER_UNSUPPORTED, 0, "a broker cannot take another's place on Windows");
}

void sb_takeover_close_socks(sockbroker_socket *socks)
{
    (void)socks; /* nobody has filled them */
}

sockbroker_status sb_takeover_open_pair(sockbroker_socket ends_out[2])
{
    ends_out[0] = ends_out[1] = SOCKBROKER_SOCKET_NONE;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_takeover_peer(sockbroker_socket channel, struct sb_peer *peer_out)
{
    (void)channel;
    (void)peer_out;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_socket sb_takeover_inherited_end(void)
{
    return SOCKBROKER_SOCKET_NONE;
}
