/* system_win32.h: what the tests ask Windows: how many handles a process has, folders for temporary files. */
#ifndef SB_TESTS_SUPPORT_SYSTEM_WIN32_H
#define SB_TESTS_SUPPORT_SYSTEM_WIN32_H

#include <stdbool.h>
#include <stddef.h>

#include <winsock2.h>
#include <windows.h>

/* Sockets, pipes and files; of threads, events and their like the system and its libraries open more as they go. */
unsigned system_count_handles(DWORD pid);

/* A new folder whose name begins so, among the temporary files; its path has no backslash. */
bool system_make_folder(const char *prefix, char *path_out, size_t room);

bool system_make_file(const char *name, char *path_out, size_t room);

/* With all that is in it. */
bool system_remove_tree(const char *path);

#endif
