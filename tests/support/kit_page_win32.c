#include "tests/support/kit_page.h"

#include <winsock2.h>
#include <windows.h>

/* The mapping has the file's size, or makes the file grow to its own. */
void *kit_page_open(const char *path, size_t size, bool grow)
{
    HANDLE file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, 0, NULL);
    HANDLE mapping = NULL;
    void *page = NULL;

    if (file != INVALID_HANDLE_VALUE)
        mapping = CreateFileMappingA(file, NULL, PAGE_READWRITE, 0, grow ? (DWORD)size : 0, NULL);
    if (mapping) {
        page = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size);
        CloseHandle(mapping);
    }
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    return page;
}

void kit_page_close(void *page, size_t size)
{
    (void)size;
    UnmapViewOfFile(page);
}
