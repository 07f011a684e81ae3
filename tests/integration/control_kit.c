#include "tests/integration/control_kit.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/format.h"

struct kit_broker *control_start(const char *endpoint, const char *setting)
{
    return kit_broker_start(&(struct kit_start){ .args = { "--endpoint", endpoint, setting ? "--set" : NULL, setting } });
}

struct kit_process *control_start_worker(struct kit_broker *b, const char *name)
{
    struct kit_process *w = kit_worker_start(b, name, "hello", NULL);

    kit_broker_wait_worker(b, name, "ready");
    return w;
}

void control_finish(struct kit_broker *b, struct kit_process *w)
{
    struct kit_process *late = control_start_worker(b, "late");

    fault_check_serves(b, 40);
    kit_broker_wait_settled(b);
    kit_worker_stop(late);
    if (w)
        kit_worker_stop(w);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

size_t control_pack_status(uint8_t *buf, size_t room)
{
    struct sb_request request = { .kind = SB_REQUEST_STATUS };
    size_t len;

    assert_int_equal(sb_wire_pack_request(&request, buf, room, &len), SOCKBROKER_OK);
    return len;
}

unsigned control_for_each_input(const char *prefix, void (*body)(void *arg, const uint8_t *data, size_t len, const char *name),
                                void *arg)
{
    DIR *dir = opendir("tests/data/wire");
    unsigned n = 0;

    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        static uint8_t data[4 * SB_MESSAGE_MAX];
        char path[320];

        if (strncmp(e->d_name, prefix, strlen(prefix)))
            continue;
        format_text(path, sizeof(path), "tests/data/wire/%s", e->d_name);
        FILE *in = fopen(path, "rb");
        assert_non_null(in);
        size_t len = fread(data, 1, sizeof(data), in);
        fclose(in);
        body(arg, data, len, e->d_name);
        n++;
    }
    closedir(dir);
    return n;
}

void control_attach_raw(struct fault_raw *r, struct kit_broker *b, const char *name)
{
    static const struct fault_raw none = FAULT_RAW_NONE;
    struct sockbroker_error error;
    struct sb_attach attach;

    *r = none;
    fault_raw_fill(&attach, name, "web", 4);
    if (fault_raw_attach(r, b->dir, &attach, &error))
        kit_fail("%s", error.text);
}

struct kit_process *control_show_token(struct kit_broker *b, const struct fault_raw *raw, const char *user)
{
    struct sb_hello hello = { .session_id = raw->attached.session.id };

    memcpy(hello.token, raw->attached.token, sizeof(hello.token));
    return fault_show_token(b, &hello, user);
}
