/* fuzz_packet.c: foreign packets over a real pair, with and without descriptors, read by each of its three readers. Whatever
 * comes, nothing may stay open, nothing may come out of a refused packet, and the next valid packet is understood.
 *
 * The input is a row of packets: 1 byte who reads (0 the broker, 1 the worker, 2 a withdrawal; bits 2..4: so many
 * descriptors), 2 bytes length (little-endian, cut to what is left), then the bytes. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/socket.h"
#include "proto/xfer.h"

#define DESCRIPTORS_MAX 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *promise)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", promise);
    abort();
}
#define REQUIRE(promise) require(promise, #promise)

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 64; fd++) /* a leak takes the lowest free number */
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static bool send_packet(int end, const uint8_t *bytes, size_t len, size_t n_descriptors)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    } control;
    struct iovec part = { (void *)(uintptr_t)bytes, len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    if (n_descriptors) {
        memset(&control, 0, sizeof(control));
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(n_descriptors * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_descriptors * sizeof(int));
        for (size_t i = 0; i < n_descriptors; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
    }
    return sendmsg(end, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void read_as_broker(int end, size_t n_descriptors)
{
    static struct sb_report report;
    struct sockbroker_error error = { 0 };
    sockbroker_status st = sb_xfer_receive_report(end, &report, &error);

    REQUIRE(st == SOCKBROKER_OK || st == SOCKBROKER_CLOSED || st == SOCKBROKER_BAD_MESSAGE);
    REQUIRE(!n_descriptors || st == SOCKBROKER_BAD_MESSAGE);
    REQUIRE(st != SOCKBROKER_BAD_MESSAGE || error.text[0]);
    REQUIRE(st || report.n_results <= SB_RESULTS_MAX);
    for (uint32_t i = 0; !st && i < report.n_results; i++)
        REQUIRE(report.results[i].lease_id && report.results[i].verdict >= SB_VERDICT_ACK &&
                report.results[i].verdict <= SB_VERDICT_FINISHED);
}

static void read_as_worker(int end, size_t n_descriptors)
{
    static struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    sockbroker_status st = sb_xfer_receive(end, &d, &sock);

    REQUIRE(st == SOCKBROKER_OK || st == SOCKBROKER_CLOSED || st == SOCKBROKER_BAD_MESSAGE || st == SOCKBROKER_NO_DESCRIPTORS);
    REQUIRE(n_descriptors < 2 || st == SOCKBROKER_BAD_MESSAGE);
    REQUIRE((sock >= 0) == (st == SOCKBROKER_OK && d.kind != SB_DELIVERY_PROBE));
    REQUIRE(st || d.number);
    sb_socket_close(&sock);
}

static void withdraw(int end)
{
    uint64_t lease_id = 0;
    sockbroker_status st = sb_xfer_withdraw(end, &lease_id);

    REQUIRE(st == SOCKBROKER_OK || st == SOCKBROKER_AGAIN || st == SOCKBROKER_BAD_MESSAGE);
}

static void try_packet(const int ends[2], uint8_t how, const uint8_t *bytes, size_t len)
{
    size_t n_descriptors = how >> 2 & 7;
    uint8_t *copy = malloc(len ? len : 1); /* of exactly this size, so that a read beyond is seen */

    if (!copy)
        abort();
    memcpy(copy, bytes, len);
    if (send_packet(ends[how % 3 == 0], copy, len, n_descriptors)) {
        if (how % 3 == 0)
            read_as_broker(ends[0], n_descriptors);
        else if (how % 3 == 1)
            read_as_worker(ends[1], n_descriptors);
        else
            withdraw(ends[1]);
    }
    free(copy);
}

static void check_still_works(const int ends[2])
{
    struct sb_delivery d;
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    REQUIRE(sb_xfer_send_probe(ends[0], 77) == SOCKBROKER_OK);
    REQUIRE(sb_xfer_receive(ends[1], &d, &sock) == SOCKBROKER_OK);
    REQUIRE(d.kind == SB_DELIVERY_PROBE && d.number == 77 && sock == SOCKBROKER_SOCKET_NONE);
    REQUIRE(sb_xfer_receive(ends[1], &d, &sock) == SOCKBROKER_AGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int before = count_descriptors();
    int ends[2]; /* as on a kernel that lets workers send descriptors: 0 the broker's */

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
        return 0;
    while (size >= 3) {
        size_t len = data[1] | (size_t)data[2] << 8;

        if (len > size - 3)
            len = size - 3;
        try_packet(ends, data[0], data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    check_still_works(ends);
    close(ends[0]);
    close(ends[1]);
    REQUIRE(count_descriptors() == before);
    return 0;
}
