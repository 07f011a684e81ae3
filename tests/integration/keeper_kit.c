#include "tests/integration/keeper_kit.h"

#include <sys/socket.h>
#include <unistd.h>

#include "sockbroker/request.h"
#include "tests/support/net.h"

#define KEEPERS_OWN 6 /* standard streams, signals, the pair, the broker's handle */

void keeper_wait_kept(struct kit_broker *b, unsigned n)
{
    kit_until(kit_count_fds(b->process->pid) == KEEPERS_OWN + n);
}

int keeper_fetch(struct sockbroker_worker *w, const char *endpoint)
{
    struct sockbroker_conn conn;
    struct sockbroker_error error = { .text = "" };

    if (sockbroker_worker_socket(w, endpoint, 0, &conn, NULL, &error))
        kit_fail("%s", error.text);
    return conn.sock;
}

void keeper_connect_many(uint16_t port, int *socks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        socks[i] = kit_connect(NULL, i % 2 ? "127.0.0.1" : "::1", port);
}

void keeper_send_datagram(const char *to, uint16_t port)
{
    struct sockaddr_storage there;
    socklen_t len = net_address(to, port, &there);
    int sock = socket(there.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(sendto(sock, "x", 1, 0, (struct sockaddr *)&there, len), 1);
    close(sock);
}

unsigned keeper_receive_all(int sock)
{
    unsigned n = 0;
    char byte;

    while (recv(sock, &byte, 1, MSG_DONTWAIT) == 1)
        n++;
    return n;
}
