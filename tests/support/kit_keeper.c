#include "tests/support/kit_keeper.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/format.h"

struct kit_broker *kit_keeper_start(const char *endpoint, const char *more)
{
    return kit_broker_start(&(struct kit_start){
        .keeper = true, .args = { KIT_KEEPER_AT_ONCE, "--endpoint", endpoint, more ? "--endpoint" : NULL, more } });
}

unsigned kit_keeper_count_ready(struct kit_broker *b)
{
    return kit_process_count_log(b->process, "event=ready");
}

int kit_keeper_last_pid(struct kit_broker *b, const char *event)
{
    char text[64];
    const char *found = NULL;

    format_text(text, sizeof(text), "event=%s ", event);
    kit_process_wait_log(b->process, text);
    for (const char *at = b->process->log; (at = strstr(at, text)); at++)
        found = strstr(at, "pid=") + 4;
    return (int)strtol(found, NULL, 10);
}

int kit_keeper_broker_pid(struct kit_broker *b)
{
    return kit_keeper_last_pid(b, "broker_started");
}

void kit_keeper_kill_broker(struct kit_broker *b)
{
    if (!kit_kill_pid(kit_keeper_broker_pid(b)))
        kit_fail("no broker to kill");
}

void kit_keeper_crash(struct kit_broker *b)
{
    unsigned before = kit_keeper_count_ready(b);

    kit_keeper_kill_broker(b);
    kit_until(kit_keeper_count_ready(b) > before);
}
