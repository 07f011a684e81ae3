#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/ring_page.h"
#include "proto/socket.h"

static sockbroker_status map(sockbroker_socket memory, struct sb_ring *ring_out)
{
    struct sb_ring ring = SB_RING_NONE;
    void *at = mmap(NULL, SB_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

    if (at == MAP_FAILED)
        return sb_oserr_status(errno);
    ring.page = at;
    *ring_out = ring;
    return SOCKBROKER_OK;
}

sockbroker_status sb_ring_create(struct sb_ring *ring_out, sockbroker_socket *memory_out)
{
    int injected = sb_failpoint("ring");
    sockbroker_socket memory = injected ? -1 : memfd_create("sockbroker-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (memory < 0)
        return sb_oserr_status(injected ? injected : errno);
    int failed = ftruncate(memory, SB_RING_BYTES) || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    sockbroker_status st = failed ? sb_oserr_status(errno) : map(memory, ring_out);
    if (!st)
        *memory_out = sb_socket_take(&memory);
    sb_socket_close(&memory);
    return st;
}

sockbroker_status sb_ring_open(sockbroker_socket memory, struct sb_ring *ring_out)
{
    struct stat facts;

    if (fstat(memory, &facts))
        return sb_oserr_status(errno);
    if (!S_ISREG(facts.st_mode) || facts.st_size != SB_RING_BYTES || !(fcntl(memory, F_GET_SEALS) & F_SEAL_SHRINK))
        return SOCKBROKER_INVALID;
    return map(memory, ring_out);
}

void sb_ring_close(struct sb_ring *ring)
{
    if (ring->page)
        munmap(ring->page, SB_RING_BYTES);
    ring->page = NULL;
}
