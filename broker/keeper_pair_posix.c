#include "broker/keeper_pair.h"

#include <errno.h>
#include <poll.h>

#include "proto/xfer.h"

sockbroker_status sb_keeper_pair_send(sockbroker_socket end, sockbroker_socket peer, const uint8_t *data, size_t len,
                                      sockbroker_socket passenger)
{
    int os_code;

    (void)peer;
    return sb_xfer_send_packet(end, data, len, passenger, &os_code);
}

sockbroker_status sb_keeper_pair_receive(sockbroker_socket end, uint8_t *buf, size_t cap, size_t *len_out,
                                         sockbroker_socket *passenger_out)
{
    return sb_xfer_receive_packet(end, buf, cap, len_out, passenger_out);
}

bool sb_keeper_pair_wait(sockbroker_socket end, bool to_send, int timeout_ms)
{
    struct pollfd p = { .fd = end, .events = to_send ? POLLOUT : POLLIN };
    int n;

    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0;
}
