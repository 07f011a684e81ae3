/* The shared library shows exactly what the public headers declare as SOCKBROKER_API. */
#include "tests/unit/exports.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 256
#define NAME_MAX_ 80

struct names {
    char all[NAMES_MAX][NAME_MAX_];
    size_t n;
};

static void add(struct names *names, const char *name, size_t len)
{
    assert_true(names->n < NAMES_MAX && len < NAME_MAX_);
    memcpy(names->all[names->n], name, len);
    names->all[names->n++][len] = '\0';
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct names shown;

static void add_shown(const char *name)
{
    add(&shown, name, strlen(name));
}

/* What stands before the first "(" after SOCKBROKER_API. */
static void read_declarations(const char *text, struct names *names)
{
    while ((text = strstr(text, "SOCKBROKER_API ")) != NULL) {
        const char *end = strchr(text, '(');
        const char *start = end;

        assert_non_null(end);
        while (start[-1] != ' ' && start[-1] != '*')
            start--;
        if (!strncmp(start, "sockbroker_", 11))
            add(names, start, (size_t)(end - start));
        text = end;
    }
}

static void read_header(const char *path, struct names *names)
{
    static char text[65536];
    FILE *f = fopen(path, "r");

    if (!f)
        print_error("%s\n", path);
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    fclose(f);
    read_declarations(text, names);
}

static void the_library_shows_what_the_headers_declare_and_nothing_else(void **state)
{
    static const char *const headers[] = {
        SB_SOURCE "/proto/include/sockbroker/status.h",          SB_SOURCE "/proto/include/sockbroker/socket.h",
        SB_SOURCE "/client-lib/include/sockbroker/addr.h",       SB_SOURCE "/client-lib/include/sockbroker/worker.h",
        SB_SOURCE "/client-lib/include/sockbroker/sockbroker.h", SB_SOURCE "/client-lib/include/sockbroker/select.h",
        SB_SOURCE "/client-lib/include/sockbroker/request.h",    SB_SOURCE "/client-lib/include/sockbroker/udp.h",
    };
    static struct names declared;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(headers); i++)
        read_header(headers[i], &declared);
    exports_each(SB_LIBRARY, add_shown);
    qsort(declared.all, declared.n, NAME_MAX_, compare);
    qsort(shown.all, shown.n, NAME_MAX_, compare);
    assert_true(declared.n >= 20); /* else the reading is broken */
    for (size_t i = 0; i < declared.n && i < shown.n; i++)
        assert_string_equal(shown.all[i], declared.all[i]);
    assert_int_equal(shown.n, declared.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(the_library_shows_what_the_headers_declare_and_nothing_else) };

    return cmocka_run_group_tests_name("exports", tests, NULL, NULL);
}
