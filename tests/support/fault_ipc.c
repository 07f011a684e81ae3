#include <string.h>

#include "tests/support/fault.h"

const uint8_t fault_sp_req[FAULT_SP_GREETING] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };

bool fault_hear_all(sockbroker_socket line, uint8_t *buf, size_t len)
{
    size_t have = 0;

    while (have < len) {
        long n = fault_hear(line, buf + have, len - have, KIT_WAIT_MS);
        if (n < 0)
            kit_fail("the broker is silent");
        if (n == 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

sockbroker_socket fault_ipc_open(struct kit_broker *b)
{
    uint8_t theirs[FAULT_SP_GREETING];
    sockbroker_socket line = fault_call(b);

    if (!fault_say(line, fault_sp_req, sizeof(fault_sp_req)) || !fault_hear_all(line, theirs, sizeof(theirs)))
        kit_fail("no greeting from the broker");
    return line;
}

size_t fault_ipc_head(uint64_t len, uint8_t out[9])
{
    out[0] = 1;
    for (unsigned i = 0; i < 8; i++)
        out[1 + i] = (uint8_t)(len >> (56 - 8 * i));
    return 9;
}

bool fault_ipc_send(sockbroker_socket line, const void *body, size_t len)
{
    static uint32_t number;
    uint8_t frame[13 + 2 * SB_MESSAGE_MAX];
    size_t n = fault_ipc_head(4 + len, frame);

    number++;
    frame[n++] = (uint8_t)(0x80u | (number >> 24 & 0x7fu));
    frame[n++] = (uint8_t)(number >> 16);
    frame[n++] = (uint8_t)(number >> 8);
    frame[n++] = (uint8_t)number;
    memcpy(frame + n, body, len);
    return fault_say(line, frame, n + len);
}

bool fault_ipc_receive(sockbroker_socket line, uint8_t *buf, size_t room, size_t *len_out)
{
    uint8_t head[13]; /* and the request's id */
    uint64_t len = 0;

    if (!fault_hear_all(line, head, sizeof(head)))
        return false;
    for (unsigned i = 1; i < 9; i++)
        len = len << 8 | head[i];
    if (len < 4 || len - 4 > room)
        kit_fail("a reply of %llu bytes", (unsigned long long)len);
    *len_out = (size_t)len - 4;
    return fault_hear_all(line, buf, *len_out);
}

bool fault_is_closed(sockbroker_socket *line, unsigned ms)
{
    uint64_t end_ms = kit_now_ms() + ms;
    char bytes[4096];
    bool closed = false;

    while (!closed && kit_now_ms() < end_ms)
        closed = fault_hear(*line, bytes, sizeof(bytes), (unsigned)(end_ms - kit_now_ms())) == 0;
    fault_hang_up(line);
    return closed;
}
