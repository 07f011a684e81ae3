/* Where a load client connects to, and how it leaves. */
#ifndef CLIENT_TARGET_H
#define CLIENT_TARGET_H

#include <stdbool.h>
#include <sys/socket.h>

struct target {
    struct sockaddr_storage addr;
    socklen_t addr_len;
};

/* A numeric address of either family. */
bool target_parse(const char *address, int port, struct target *target_out);

/* Closes with a reset, so that neither side is left with a TIME_WAIT entry. */
void reset_close(int sock);

#endif
