/* kit_kinds.h: what the descriptors of a process are. POSIX alone. kit_kinds_posix.c. */
#ifndef SB_TESTS_SUPPORT_KIT_KINDS_H
#define SB_TESTS_SUPPORT_KIT_KINDS_H

#include "tests/support/kit.h"

#define KIT_KINDS_MAX 256

struct kit_kinds {
    char names[KIT_KINDS_MAX][64]; /* "socket", "pipe", "anon_inode:[eventpoll]", "/dev/null": without their numbers, sorted */
    unsigned n;
};

void kit_kinds_of(int pid, struct kit_kinds *out);
unsigned kit_kinds_count(const struct kit_kinds *k, const char *name);
/* Ends the test with the first difference. */
void kit_kinds_check_same(const struct kit_kinds *expected, const struct kit_kinds *got);

#endif
