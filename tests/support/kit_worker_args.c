#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/kit_page.h"
#include "tests/support/kit_worker.h"

static const struct option long_options[] = {
    { "endpoint", required_argument, NULL, 'e' }, { "name", required_argument, NULL, 'n' },
    { "dir", required_argument, NULL, 'd' },      { "mode", required_argument, NULL, 'm' },
    { "threads", required_argument, NULL, 't' },  { "generation", required_argument, NULL, 'g' },
    { "weight", required_argument, NULL, 'w' },   { "window", required_argument, NULL, 'W' },
    { "no-finish", no_argument, NULL, 'f' },      { "wait", no_argument, NULL, 'a' },
    { "journal", required_argument, NULL, 'j' },  { "pause-ms", required_argument, NULL, 'p' },
    { "spawned", no_argument, NULL, 's' },        { NULL, 0, NULL, 0 },
};

static bool read_mode(const char *text, enum kit_mode *mode_out)
{
    static const char *const names[] = { "hello", "echo", "hold", "none", "accept" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]))
            continue;
        *mode_out = (enum kit_mode)i;
        return true;
    }
    return false;
}

static bool take(struct kit_task *t, int option)
{
    switch (option) {
    case 'e':
        t->options.endpoints = optarg;
        return true;
    case 'n':
        t->options.name = optarg;
        return true;
    case 'd':
        t->options.dir = optarg;
        return true;
    case 'm':
        return read_mode(optarg, &t->mode);
    case 't':
        t->n_threads = (unsigned)atoi(optarg);
        return t->n_threads > 0;
    case 'g':
        t->options.generation = strtoull(optarg, NULL, 10);
        return true;
    case 'w':
        t->options.weight = (unsigned)atoi(optarg);
        return true;
    case 'W':
        t->options.window = (unsigned)atoi(optarg);
        return true;
    case 'f':
        t->reports_finish = false;
        return true;
    case 'a':
        t->options.wait_for_broker = true;
        return true;
    case 'j':
        t->journal = kit_page_open(optarg, sizeof(*t->journal), false);
        return t->journal != NULL;
    case 'p':
        t->pause_ms = (unsigned)atoi(optarg);
        return true;
    case 's':
        t->is_spawned = true;
        t->options.endpoints = NULL;
        t->options.name = getenv("SOCKBROKER_NAME");
        return true;
    default: /* getopt_long has said what is wrong */
        return false;
    }
}

bool kit_worker_read_args(struct kit_task *t, int argc, char **argv)
{
    static struct kit_journal_page nobody_looks;
    static const struct sockbroker_worker_options defaults = SOCKBROKER_WORKER_OPTIONS_INIT;
    int option;

    t->options = defaults;
    t->options.endpoints = "web";
    t->options.attach_timeout_ms = 30000;
    t->n_threads = 1;
    t->reports_finish = true;
    t->journal = &nobody_looks;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!take(t, option)) {
            fprintf(stderr, "kit_worker: wrong option or value \"%s\"\n", optarg ? optarg : "");
            return false;
        }
    }
    return optind == argc;
}
