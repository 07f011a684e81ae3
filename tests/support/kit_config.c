#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/kit.h"

void kit_config_write(const struct kit_config *c, const char *text)
{
    FILE *out = fopen(c->path, "we");

    if (!out || fputs(text, out) < 0 || fclose(out))
        kit_fail("%s cannot be written", c->path);
}

void kit_config_open(struct kit_config *c, const char *text)
{
    snprintf(c->path, sizeof(c->path), "/tmp/sbkit-conf-XXXXXX");
    int fd = mkstemp(c->path);

    if (fd < 0)
        kit_fail("no file like %s", c->path);
    close(fd);
    kit_config_write(c, text);
}

void kit_config_close(const struct kit_config *c)
{
    unlink(c->path);
}

void kit_broker_reload(struct kit_broker *b, const char *event)
{
    unsigned before = kit_process_count_log(b->process, event);

    kit_process_signal(b->process, SIGHUP);
    kit_until(kit_process_count_log(b->process, event) > before);
}
