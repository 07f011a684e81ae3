#include "tests/support/kit_journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/kit.h"

void kit_journal_open(struct kit_journal *j)
{
    snprintf(j->path, sizeof(j->path), "/tmp/sbkit-journal-XXXXXX");
    int fd = mkostemp(j->path, O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(*j->page)))
        kit_fail("no journal %s", j->path);
    j->page = mmap(NULL, sizeof(*j->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (j->page == MAP_FAILED)
        kit_fail("no mapping of %s", j->path);
}

void kit_journal_close(struct kit_journal *j)
{
    munmap(j->page, sizeof(*j->page));
    unlink(j->path);
}

uint64_t kit_journal_begun(const struct kit_journal *j)
{
    return atomic_load(&j->page->begun);
}

uint64_t kit_journal_answered(const struct kit_journal *j)
{
    return atomic_load(&j->page->answered);
}

uint64_t kit_journal_woken(const struct kit_journal *j)
{
    return atomic_load(&j->page->woken);
}
