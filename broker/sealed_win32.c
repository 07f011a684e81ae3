#include "broker/sealed.h"

#include <winsock2.h>

#include <windows.h>

#include <string.h>

#include "proto/oserr.h"

sockbroker_status sb_sealed_write(const void *first, size_t first_len, const void *second, size_t second_len,
                                  sockbroker_socket *memory_out)
{
    uint64_t size = first_len + second_len;
    HANDLE memory =
        CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, (DWORD)(size >> 32), (DWORD)(size & 0xffffffffu), NULL);
    uint8_t *view = memory ? MapViewOfFile(memory, FILE_MAP_WRITE, 0, 0, 0) : NULL;

    if (!view) {
        sockbroker_status st = sb_oserr_status(sb_oserr_last());

        if (memory)
            CloseHandle(memory);
        return st;
    }
    memcpy(view, first, first_len);
    if (second_len)
        memcpy(view + first_len, second, second_len);
    UnmapViewOfFile(view);
    *memory_out = (sockbroker_socket)memory;
    return SOCKBROKER_OK;
}

/* The system rounds the size up to whole pages; what lies behind the end is zero. */
bool sb_sealed_read(sockbroker_socket memory, size_t offset, void *into, size_t len)
{
    const uint8_t *view = MapViewOfFile((HANDLE)memory, FILE_MAP_READ, 0, 0, 0);
    MEMORY_BASIC_INFORMATION facts;

    if (!view)
        return false;
    bool there = VirtualQuery(view, &facts, sizeof(facts)) && offset <= facts.RegionSize && len <= facts.RegionSize - offset;
    if (there)
        memcpy(into, view + offset, len);
    UnmapViewOfFile(view);
    return there;
}
