#include "broker/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/oserr.h"
#include "proto/socket.h"

sockbroker_status sb_sealed_write(const void *first, size_t first_len, const void *second, size_t second_len,
                                  sockbroker_socket *memory_out)
{
    struct iovec parts[] = { { (void *)(uintptr_t)first, first_len }, { (void *)(uintptr_t)second, second_len } };
    sockbroker_socket memory = memfd_create("sockbroker-deposit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (memory < 0)
        return sb_oserr_status(errno);
    if (writev(memory, parts, 2) != (ssize_t)(first_len + second_len)) {
        sb_socket_close(&memory);
        return SOCKBROKER_NO_MEMORY;
    }
    fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    *memory_out = memory;
    return SOCKBROKER_OK;
}

bool sb_sealed_read(sockbroker_socket memory, size_t offset, void *into, size_t len)
{
    return pread(memory, into, len, (off_t)offset) == (ssize_t)len;
}
