/* kit_journal.h: the page that test workers count in. Lock-free counters in a shared mapping survive any death of their
 * writers. */
#ifndef SB_TESTS_SUPPORT_KIT_JOURNAL_H
#define SB_TESTS_SUPPORT_KIT_JOURNAL_H

#include <stdatomic.h>
#include <stdint.h>

struct kit_journal_page {
    _Atomic uint64_t begun;
    _Atomic uint64_t answered;
    _Atomic uint64_t woken;
};

#endif
