/* exports.h: the names that a shared library shows to others. exports_posix.c, exports_win32.c. */
#ifndef SB_TESTS_UNIT_EXPORTS_H
#define SB_TESTS_UNIT_EXPORTS_H

void exports_each(const char *library, void (*take)(const char *name));

#endif
