#include "tests/support/kit_kinds.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/format.h"

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

void kit_kinds_of(int pid, struct kit_kinds *out)
{
    char path[64];

    format_text(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        kit_fail("no %s", path);
    out->n = 0;
    for (struct dirent *e = readdir(dir); e && out->n < KIT_KINDS_MAX; e = readdir(dir)) {
        char *name = out->names[out->n];
        ssize_t len = readlinkat(dirfd(dir), e->d_name, name, sizeof(out->names[0]) - 1);

        if (len < 0) /* . and .., or closed meanwhile */
            continue;
        name[len] = '\0';
        char *number = strstr(name, ":[");
        if (number && strncmp(name, "anon_inode", 10))
            *number = '\0';
        out->n++;
    }
    closedir(dir);
    qsort(out->names, out->n, sizeof(out->names[0]), compare);
}

unsigned kit_kinds_count(const struct kit_kinds *k, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < k->n; i++)
        n += !strcmp(k->names[i], name);
    return n;
}

void kit_kinds_check_same(const struct kit_kinds *expected, const struct kit_kinds *got)
{
    for (unsigned i = 0; i < expected->n && i < got->n; i++) {
        if (strcmp(expected->names[i], got->names[i]))
            kit_fail("a descriptor is %s instead of %s", got->names[i], expected->names[i]);
    }
    if (expected->n != got->n)
        kit_fail("%u descriptors instead of %u", got->n, expected->n);
}
