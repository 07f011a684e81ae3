#include "proto/failpoint.h"

#ifdef SB_FAILPOINTS

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/failpoint_act.h"

#define RULES_MAX 16
#define WORD_MAX 31

struct rule {
    char place[WORD_MAX + 1];
    char action[WORD_MAX + 1];
    unsigned passes_first; /* good passes still to come */
    unsigned times;        /* failures still to come */
};

static struct rule rules[RULES_MAX];
static size_t n_rules;
static bool is_read;
static atomic_flag lock = ATOMIC_FLAG_INIT; /* held for a few comparisons */

static void read_rule(const char *text)
{
    struct rule *r = &rules[n_rules];

    r->times = 1;
    if (sscanf(text, "%31[^=]=%31[A-Za-z0-9]", r->place, r->action) != 2) {
        fprintf(stderr, "SOCKBROKER_FAILPOINTS: \"%s\" is not PLACE=ACTION[*TIMES][@SKIP]\n", text);
        abort();
    }
    const char *times = strchr(text, '*');
    const char *skip = strchr(text, '@');
    if (times)
        r->times = (unsigned)strtoul(times + 1, NULL, 10);
    if (skip)
        r->passes_first = (unsigned)strtoul(skip + 1, NULL, 10);
    n_rules++;
}

static void read_environment(void)
{
    const char *text = getenv("SOCKBROKER_FAILPOINTS");
    char part[128];

    is_read = true;
    while (text && *text && n_rules < RULES_MAX) {
        size_t len = strcspn(text, ",");

        snprintf(part, sizeof(part), "%.*s", (int)len, text);
        if (len)
            read_rule(part);
        text += len + (text[len] == ',');
    }
}

static int act(const char *action)
{
    if (!strcmp(action, "kill"))
        sb_failpoint_kill();
    if (!strcmp(action, "kill") || !strcmp(action, "stop")) {
        sb_failpoint_stop();
        return 0;
    }
    int code = sb_failpoint_code(action);
    if (code)
        return code;
    fprintf(stderr, "SOCKBROKER_FAILPOINTS: \"%s\" is no known action\n", action);
    abort();
}

/* True when this pass shall fail; action_out tells how. */
static bool due(const char *place, char action_out[WORD_MAX + 1])
{
    for (size_t i = 0; i < n_rules; i++) {
        struct rule *r = &rules[i];

        if (strcmp(r->place, place) || !r->times)
            continue;
        if (r->passes_first) {
            r->passes_first--;
            continue;
        }
        r->times--;
        memcpy(action_out, r->action, sizeof(r->action));
        return true;
    }
    return false;
}

int sb_failpoint(const char *place)
{
    char action[WORD_MAX + 1];

    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        continue;
    if (!is_read)
        read_environment();
    bool fails = due(place, action);
    atomic_flag_clear_explicit(&lock, memory_order_release);
    return fails ? act(action) : 0;
}

#else
typedef int sb_failpoint_unused; /* ISO C wants something here */
#endif
