#include <stdio.h>
#include <stdlib.h>

#include "tests/support/kit_process.h"

void kit_config_write(const struct kit_config *c, const char *text)
{
    FILE *out = fopen(c->path, "w");

    if (!out || fputs(text, out) < 0 || fclose(out))
        kit_fail("%s cannot be written", c->path);
}

void kit_config_open(struct kit_config *c, const char *text)
{
    if (!kit_make_file("conf", c->path, sizeof(c->path)))
        kit_fail("no file for a configuration");
    kit_config_write(c, text);
}

void kit_config_close(const struct kit_config *c)
{
    remove(c->path);
}
