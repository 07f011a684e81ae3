/* Dependencies point one way: proto <- client-lib <- broker, and samples see public headers only. Includes are spelled from
 * the top, so reading them shows it. */
#include "tests/support/format.h"
#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>

struct layer {
    const char *folder;
    const char *may[6]; /* what an include in quotes may begin with */
};

/* status.h and socket.h are proto's own public headers. */
static const struct layer layers[] = {
    { "proto", { "proto/", "sockbroker/status.h", "sockbroker/socket.h", "sockbroker.pb-c.h" } },
    { "client-lib", { "proto/", "client-lib/", "sockbroker/" } },
    { "broker", { "proto/", "client-lib/", "broker/", "sockbroker/" } },
    { "samples", { "sockbroker/", "../common/" } }, /* and files beside them */
};

static const struct layer *layer_now;
static int n_files, n_wrong;

static bool may_include(const struct layer *layer, const char *name)
{
    for (size_t i = 0; i < UNIT_COUNT(layer->may) && layer->may[i]; i++) {
        if (!strncmp(name, layer->may[i], strlen(layer->may[i])))
            return true;
    }
    return !strcmp(layer->folder, "samples") && !strchr(name, '/');
}

/* Samples use the library as it is installed. */
static bool is_fine(const struct layer *layer, const char *line)
{
    char name[256] = "";

    if (sscanf(line, " # include \"%255[^\"]\"", name) == 1)
        return may_include(layer, name);
    if (sscanf(line, " # include <%255[^>]>", name) == 1)
        return strncmp(name, "proto/", 6) && strncmp(name, "client-lib/", 11) && strncmp(name, "broker/", 7);
    return true;
}

static int look_at(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    const char *dot = strrchr(path, '.');
    char line[512];

    (void)st;
    (void)ftw;
    if (type != FTW_F || !dot || (strcmp(dot, ".c") && strcmp(dot, ".h")))
        return 0;
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    n_files++;
    for (int number = 1; fgets(line, sizeof(line), f); number++) {
        if (is_fine(layer_now, line))
            continue;
        print_error("%s:%d: %s", path, number, line);
        n_wrong++;
    }
    fclose(f);
    return 0;
}

static void includes_never_point_upwards(void **state)
{
    (void)state;
    n_wrong = 0;
    for (size_t i = 0; i < UNIT_COUNT(layers); i++) {
        char path[512];

        layer_now = &layers[i];
        n_files = 0;
        format_text(path, sizeof(path), SB_SOURCE "/%s", layers[i].folder);
        assert_int_equal(nftw(path, look_at, 8, FTW_PHYS), 0);
        assert_true(n_files > 0 || !strcmp(layers[i].folder, "samples"));
    }
    assert_int_equal(n_wrong, 0);
}

/* A look at the looking. */
static void an_include_that_points_upwards_would_be_found(void **state)
{
    (void)state;
    assert_true(is_fine(&layers[0], "#include \"proto/wire.h\"\n"));
    assert_false(is_fine(&layers[0], "#include \"client-lib/wake.h\"\n"));
    assert_false(is_fine(&layers[0], "#include \"sockbroker/worker.h\"\n"));
    assert_false(is_fine(&layers[1], "#  include \"broker/conn.h\"\n"));
    assert_false(is_fine(&layers[3], "#include \"proto/wire.h\"\n"));
    assert_false(is_fine(&layers[3], "#include <proto/wire.h>\n"));
    assert_false(is_fine(&layers[3], "#include \"../../proto/wire.h\"\n"));
    assert_false(is_fine(&layers[2], "#include \"conn.h\"\n")); /* not spelled from the top */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(includes_never_point_upwards),
        UNIT_TEST(an_include_that_points_upwards_would_be_found),
    };

    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
