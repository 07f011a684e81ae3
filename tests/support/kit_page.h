/* kit_page.h: memory that processes share by way of a file, so that what is in it outlives any of them. */
#ifndef SB_TESTS_SUPPORT_KIT_PAGE_H
#define SB_TESTS_SUPPORT_KIT_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/* NULL when it cannot be. grow: the file gets that size first, in zeros. */
void *kit_page_open(const char *path, size_t size, bool grow);
void kit_page_close(void *page, size_t size);

#endif
