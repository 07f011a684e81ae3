/* Echoes datagrams with libsockbroker, each from the address that was asked. */
#include <sockbroker/sockbroker.h>
#include <stdio.h>
#include <unistd.h>

#include "udp_socket.h"

static struct sockbroker_datagram batch[UDP_BATCH];
static char bytes[UDP_BATCH][UDP_ROOM];

int main(int argc, char **argv)
{
    struct base_options options;
    struct sockbroker_error error;
    struct sockbroker_udp udp;
    pid_t self = getpid();
    size_t n, n_done;

    base_parse(argc, argv, NULL, &options);
    int sock = udp_socket_open(&options);
    if (sockbroker_udp_init(&udp, sock, &error))
        return fprintf(stderr, "%s\n", error.text), 1;
    for (int i = 0; i < UDP_BATCH; i++) {
        batch[i].data = bytes[i];
        batch[i].room = UDP_ROOM;
    }
    base_exit_on_signals(options.seconds);
    base_ready(sock, &self, 1);
    for (;;) {
        if (sockbroker_udp_receive(&udp, batch, UDP_BATCH, &n) == SOCKBROKER_OK)
            sockbroker_udp_send(&udp, batch, n, &n_done, &error);
        else
            udp_socket_wait(sock);
    }
}
