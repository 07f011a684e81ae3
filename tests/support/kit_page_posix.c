#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/kit_page.h"

void *kit_page_open(const char *path, size_t size, bool grow)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page = MAP_FAILED;

    if (fd >= 0 && (!grow || ftruncate(fd, (off_t)size) == 0))
        page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return page == MAP_FAILED ? NULL : page;
}

void kit_page_close(void *page, size_t size)
{
    munmap(page, size);
}
