#include "tests/support/kit_upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/format.h"

static void adopt_orphans(bool adopt)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, adopt, 0, 0, 0))
        kit_fail("PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
}

int kit_upgrade_setup(void **state)
{
    adopt_orphans(true);
    return kit_setup(state);
}

/* All children of this process, by the kernel's list. */
static unsigned kill_children(void)
{
    char path[64];
    int pid;
    unsigned n = 0;

    format_text(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    while (f && fscanf(f, "%d", &pid) == 1) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        n++;
    }
    if (f)
        fclose(f);
    return n;
}

int kit_upgrade_teardown(void **state)
{
    int failed = kit_teardown(state);
    unsigned n = kill_children();

    while (n && kill_children()) /* what they had started */
        continue;
    adopt_orphans(false);
    if (n)
        fprintf(stderr, "the test left %u brokers\n", n);
    return failed || n ? -1 : 0;
}

struct kit_process *kit_upgrade_start(struct kit_broker *b, const char *const *args)
{
    const char *list[KIT_UPGRADE_ARGS_MAX + 4] = { "upgrade", "--dir", b->dir };

    for (size_t i = 0; args && args[i] && i < KIT_UPGRADE_ARGS_MAX; i++)
        list[3 + i] = args[i];
    return kit_run_start(list);
}

int kit_upgrade_run(struct kit_broker *b, const char *const *args, char *output, size_t output_room)
{
    struct kit_process *p = kit_upgrade_start(b, args);
    int code = kit_process_wait(p);

    while (p->out >= 0)
        kit_pause(100);
    if (output)
        format_text(output, output_room, "%s", p->log ? p->log : "");
    kit_process_free(p);
    return code;
}

static bool ask_pid(struct kit_broker *b, pid_t *pid_out)
{
    struct sb_client *client;
    struct sb_status_report r;
    struct sockbroker_error error;

    if (sb_ask_open(b->dir, &client, &error))
        return false;
    bool known = !sb_ask_status(client, &r, &error);
    sb_client_close(client);
    if (!known)
        return false;
    *pid_out = (pid_t)r.broker.pid;
    sb_status_report_deinit(&r);
    return true;
}

pid_t kit_upgrade_pid(struct kit_broker *b)
{
    pid_t pid = 0;

    kit_until(ask_pid(b, &pid));
    return pid;
}

pid_t kit_upgrade_heir(struct kit_broker *b, unsigned n)
{
    static const char event[] = "event=upgrade pid=";

    kit_until(kit_process_count_log(b->process, event) >= n);
    const char *at = b->process->log;
    while (n--)
        at = strstr(at, event) + strlen(event);
    return (pid_t)atoi(at);
}

void kit_upgrade_follow(struct kit_broker *b, int code)
{
    int ended = kit_process_wait(b->process);

    if (ended != code)
        kit_fail("the broker ended with %d instead of %d", ended, code);
    b->process->pid = kit_upgrade_pid(b);
}

void kit_upgrade(struct kit_broker *b)
{
    char output[1024];
    int code = kit_upgrade_run(b, NULL, output, sizeof(output));

    if (code)
        kit_fail("the upgrade ended with %d: %s", code, output);
    kit_upgrade_follow(b, 0);
}
