#include "tests/support/kit_journal.h"

#include <stdio.h>

#include "tests/support/kit_page.h"
#include "tests/support/kit_process.h"

void kit_journal_open(struct kit_journal *j)
{
    if (!kit_make_file("journal", j->path, sizeof(j->path)))
        kit_fail("no file for a journal");
    j->page = kit_page_open(j->path, sizeof(*j->page), true);
    if (!j->page)
        kit_fail("no mapping of %s", j->path);
}

void kit_journal_close(struct kit_journal *j)
{
    kit_page_close(j->page, sizeof(*j->page));
    remove(j->path);
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
