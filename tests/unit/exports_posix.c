#include "tests/unit/exports.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/format.h"
#include "tests/unit/unit.h"

/* "nm -D --defined-only": "0000000000004a10 T sockbroker_version"; a version follows "@@". Data symbols count as well. */
void exports_each(const char *library, void (*take)(const char *name))
{
    char command[512], line[512];

    format_text(command, sizeof(command), "nm -D --defined-only %s", library);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        char kind = '\0', name[256] = "";

        assert_int_equal(sscanf(line, "%*s %c %255s", &kind, name), 2);
        name[strcspn(name, "@")] = '\0';
        if (kind != 'A') /* the version itself */
            take(name);
    }
    assert_int_equal(pclose(f), 0);
}
