#include "tests/support/fault_raw.h"

#include <poll.h>
#include <sys/socket.h>

sockbroker_status fault_raw_take(struct fault_raw *r, int ms, struct sb_delivery *delivery_out, sockbroker_socket *sock_out)
{
    struct pollfd p = { .fd = r->end, .events = POLLIN };

    *sock_out = SOCKBROKER_SOCKET_NONE;
    if (poll(&p, 1, ms) <= 0)
        return SOCKBROKER_TIMEOUT;
    return sb_xfer_receive(r->end, delivery_out, sock_out);
}

uint64_t fault_raw_peek(struct fault_raw *r)
{
    uint8_t buf[SB_PACKET_MAX];
    struct sb_delivery d;
    ssize_t n = recv(r->end, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);

    return n > 0 && sb_wire_unpack_delivery(buf, (size_t)n, &d, NULL) == SOCKBROKER_OK ? d.number : 0;
}

sockbroker_status fault_raw_report(struct fault_raw *r, uint64_t lease_id, enum sb_verdict verdict)
{
    struct sb_report report = { .n_results = 1 };

    report.results[0].lease_id = lease_id;
    report.results[0].verdict = verdict;
    return sb_xfer_send_report(r->end, &report);
}

bool fault_raw_is_dismissed(struct fault_raw *r, int ms)
{
    struct pollfd p = { .fd = r->end, .events = 0 };

    return poll(&p, 1, ms) > 0 && (p.revents & (POLLHUP | POLLERR));
}
