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

void kit_broker_reload(struct kit_broker *b, const char *event)
{
    unsigned before = kit_process_count_log(b->process, event);

    kit_process_ask_reload(b->process);
    kit_until(kit_process_count_log(b->process, event) > before);
}
