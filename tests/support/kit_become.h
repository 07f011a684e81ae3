/* kit_become.h: a program of the tests as another user. */
#ifndef SB_TESTS_SUPPORT_KIT_BECOME_H
#define SB_TESTS_SUPPORT_KIT_BECOME_H

#include <stdbool.h>

/* False when it may not, and always on Windows, where a process keeps its user. */
bool kit_become(const char *uid, const char *gid);

/* One descriptor more, and then no other. False on Windows, which has no such limit. */
bool kit_starve(void);

#endif
