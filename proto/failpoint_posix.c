#include "proto/failpoint.h"

#ifdef SB_FAILPOINTS

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

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
    char copy[1024];
    char *save = NULL;

    if (!text)
        return;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *part = strtok_r(copy, ",", &save); part && n_rules < RULES_MAX; part = strtok_r(NULL, ",", &save))
        read_rule(part);
}

static int code_of(const char *name)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
        { "EAGAIN", EAGAIN },
        { "EMFILE", EMFILE },
        { "ENFILE", ENFILE },
        { "ENOBUFS", ENOBUFS },
        { "ENOMEM", ENOMEM },
        { "ETOOMANYREFS", ETOOMANYREFS },
        { "EPERM", EPERM },
        { "EACCES", EACCES },
        { "ECONNABORTED", ECONNABORTED },
        { "EBADF", EBADF },
        { "EINVAL", EINVAL },
        { "EAFNOSUPPORT", EAFNOSUPPORT },
        { "EPROTO", EPROTO },
        { "EINTR", EINTR },
        { "ENOSPC", ENOSPC },
        { "EIO", EIO },
        { "EPIPE", EPIPE },
        { "ENETDOWN", ENETDOWN },
        { "ENOPROTOOPT", ENOPROTOOPT },
        { "EFAULT", EFAULT },
        { "ENOTSOCK", ENOTSOCK },
        { "EOPNOTSUPP", EOPNOTSUPP },
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (!strcmp(codes[i].name, name))
            return codes[i].code;
    }
    fprintf(stderr, "SOCKBROKER_FAILPOINTS: \"%s\" is no known action\n", name);
    abort();
}

static int act(const char *action)
{
    if (!strcmp(action, "kill"))
        raise(SIGKILL);
    if (!strcmp(action, "kill") || !strcmp(action, "stop")) {
        raise(SIGSTOP);
        return 0;
    }
    return code_of(action);
}

/* True when this pass shall fail; action_out tells how. */
static bool due(const char *place, char action_out[WORD_MAX + 1])
{
    bool fails = false;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_rules && !fails; i++) {
        struct rule *r = &rules[i];

        if (strcmp(r->place, place) || !r->times)
            continue;
        if (r->passes_first) {
            r->passes_first--;
            continue;
        }
        r->times--;
        memcpy(action_out, r->action, sizeof(r->action));
        fails = true;
    }
    pthread_mutex_unlock(&lock);
    return fails;
}

int sb_failpoint(const char *place)
{
    char action[WORD_MAX + 1];

    pthread_once(&once, read_environment);
    return n_rules && due(place, action) ? act(action) : 0;
}

#else
typedef int sb_failpoint_unused; /* ISO C wants something here */
#endif
