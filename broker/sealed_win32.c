#include "broker/sealed.h"

#include <winsock2.h>

#include <windows.h>

#include <string.h>

#include "proto/oserr.h"

/* The system knows the size of a mapping in whole pages only. */
struct block {
    uint64_t size; /* of the bytes */
    uint8_t bytes[];
};

sockbroker_status sb_sealed_write(const void *first, size_t first_len, const void *second, size_t second_len,
                                  sockbroker_socket *memory_out)
{
    uint64_t room = sizeof(struct block) + first_len + second_len;
    HANDLE memory =
        CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, (DWORD)(room >> 32), (DWORD)(room & 0xffffffffu), NULL);
    struct block *block = memory ? MapViewOfFile(memory, FILE_MAP_WRITE, 0, 0, 0) : NULL;

    if (!block) {
        sockbroker_status st = sb_oserr_status(sb_oserr_last());

        if (memory)
            CloseHandle(memory);
        return st;
    }
    block->size = first_len + second_len;
    memcpy(block->bytes, first, first_len);
    if (second_len)
        memcpy(block->bytes + first_len, second, second_len);
    UnmapViewOfFile(block);
    *memory_out = (sockbroker_socket)memory;
    return SOCKBROKER_OK;
}

static bool is_whole(const struct block *block)
{
    MEMORY_BASIC_INFORMATION facts;

    return VirtualQuery(block, &facts, sizeof(facts)) && block->size <= facts.RegionSize - sizeof(*block);
}

bool sb_sealed_read(sockbroker_socket memory, size_t offset, void *into, size_t len)
{
    const struct block *block = MapViewOfFile((HANDLE)memory, FILE_MAP_READ, 0, 0, 0);

    if (!block)
        return false;
    bool there = is_whole(block) && offset <= block->size && len <= block->size - offset;
    if (there)
        memcpy(into, block->bytes + offset, len);
    UnmapViewOfFile(block);
    return there;
}
