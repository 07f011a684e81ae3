#include "broker/keeper_link.h"

#include <string.h>

#include "broker/keeper_pair.h"
#include "proto/socket.h"

sockbroker_status sb_keeper_send(sockbroker_socket end, sockbroker_socket peer, enum sb_keeper_word word, const char *label,
                                 sockbroker_socket passenger)
{
    uint8_t packet[1 + SB_LABEL_MAX];
    size_t len = strlen(label);

    if (len > SB_LABEL_MAX)
        return SOCKBROKER_INVALID;
    packet[0] = (uint8_t)word;
    memcpy(packet + 1, label, len);
    return sb_keeper_pair_send(end, peer, packet, 1 + len, passenger);
}

static bool is_word(uint8_t byte)
{
    switch ((enum sb_keeper_word)byte) {
    case SB_KEEPER_PUT:
    case SB_KEEPER_DROP:
    case SB_KEEPER_END:
    case SB_KEEPER_READY:
    case SB_KEEPER_FOLLOW:
    case SB_KEEPER_RENAME:
    case SB_KEEPER_BARRIER:
        return true;
    }
    return false;
}

sockbroker_status sb_keeper_receive(sockbroker_socket end, struct sb_keeper_packet *packet_out)
{
    uint8_t packet[1 + SB_LABEL_MAX];
    size_t len = 0;
    sockbroker_socket passenger = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = sb_keeper_pair_receive(end, packet, sizeof(packet), &len, &passenger);

    if (st)
        return st;
    if (len < 1 || !is_word(packet[0]) || memchr(packet, '\0', len)) {
        sb_socket_close(&passenger);
        return SOCKBROKER_BAD_MESSAGE;
    }
    packet_out->word = (enum sb_keeper_word)packet[0];
    memcpy(packet_out->label, packet + 1, len - 1);
    packet_out->label[len - 1] = '\0';
    packet_out->passenger = passenger;
    return SOCKBROKER_OK;
}
