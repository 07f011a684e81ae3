#include "proto/ring.h"

/* carrier = message has no packets that a ring could save. */
sockbroker_status sb_ring_create(struct sb_ring *ring_out, sockbroker_socket *memory_out)
{
    (void)ring_out;
    (void)memory_out;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_ring_open(sockbroker_socket memory, struct sb_ring *ring_out)
{
    (void)memory;
    (void)ring_out;
    return SOCKBROKER_UNSUPPORTED;
}

void sb_ring_close(struct sb_ring *ring)
{
    ring->page = NULL;
}
