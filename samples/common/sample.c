#include "sample.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system.h"

enum { EXIT_USAGE = 2, EXIT_NO_BROKER = 3 };

static const char *program;
static char name[SOCKBROKER_NAME_MAX + 1];
static char endpoint[SOCKBROKER_NAME_MAX + 1];

/* ---- the command line ---- */

static const char help[] = "usage: %s --endpoint NAME [--name NAME] [--dir DIR] [OPTION...]\n\n"
                           "  --endpoint NAME  what to serve; several are joined by \",\"; default $SOCKBROKER_ENDPOINT\n"
                           "  --name NAME      of this worker; default $SOCKBROKER_NAME, else \"worker-\" and the process id\n"
                           "  --dir DIR        runtime directory of the broker; default $SOCKBROKER_DIR, then the system's\n"
                           "  --generation G   the release this worker belongs to; default 0\n"
                           "  --weight W       share of new connections next to other workers, 1 to 1000; default 1\n";

static void print_help(const struct sample_option *extra)
{
    printf(help, program);
    if (extra && extra->words)
        printf("  --%s WORD%*s%s; default %s\n", extra->name, (int)(10 - strlen(extra->name)), "", extra->help,
               extra->words[extra->value]);
    else if (extra)
        printf("  --%s N%*s%s; default %lu\n", extra->name, (int)(13 - strlen(extra->name)), "", extra->help, extra->value);
    exit(EXIT_SUCCESS);
}

static _Noreturn void misuse(void)
{
    fprintf(stderr, "see %s --help\n", program);
    exit(EXIT_USAGE);
}

static unsigned long long number(const char *option, const char *text, unsigned long long min, unsigned long long max)
{
    char *end;

    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || n < min || n > max) {
        fprintf(stderr, "%s: --%s %s: give a number from %llu to %llu; ", program, option, text, min, max);
        misuse();
    }
    return n;
}

static unsigned long word(const struct sample_option *o, const char *text)
{
    for (unsigned long i = o->min; i <= o->max; i++) {
        if (!strcmp(text, o->words[i]))
            return i;
    }
    fprintf(stderr, "%s: --%s %s: there is no such word; ", program, o->name, text);
    misuse();
}

static void read_options(int argc, char **argv, struct sockbroker_worker_options *o, struct sample_option *extra)
{
    const struct option options[] = {
        { "endpoint", required_argument, NULL, 'e' },
        { "name", required_argument, NULL, 'n' },
        { "dir", required_argument, NULL, 'd' },
        { "generation", required_argument, NULL, 'g' },
        { "weight", required_argument, NULL, 'w' },
        { "help", no_argument, NULL, 'h' },
        { extra ? extra->name : NULL, required_argument, NULL, 'x' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'e':
            o->endpoints = optarg;
            break;
        case 'n':
            o->name = optarg;
            break;
        case 'd':
            o->dir = optarg;
            break;
        case 'g':
            o->generation = number("generation", optarg, 0, UINT64_MAX);
            break;
        case 'w':
            o->weight = (unsigned)number("weight", optarg, 1, 1000);
            break;
        case 'x':
            extra->value =
                extra->words ? word(extra, optarg) : (unsigned long)number(extra->name, optarg, extra->min, extra->max);
            break;
        case 'h':
            print_help(extra);
            break;
        default:
            misuse(); /* getopt_long has said what is wrong */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: \"%s\" is not an option; ", program, argv[optind]);
        misuse();
    }
}

/* ---- attach and detach ---- */

static bool watching;

void sample_stop_on_signals(void)
{
    system_hold_stops();
    watching = true;
}

static int exit_code(sockbroker_status st)
{
    switch (st) {
    case SOCKBROKER_INVALID:
        return EXIT_USAGE;
    case SOCKBROKER_NO_BROKER:
        return EXIT_NO_BROKER;
    default:
        return EXIT_FAILURE; /* all other failures are the same to a script */
    }
}

static void choose_name(struct sockbroker_worker_options *o)
{
    const char *given = o->name ? o->name : getenv("SOCKBROKER_NAME");

    if (given)
        snprintf(name, sizeof(name), "%s", given);
    else
        snprintf(name, sizeof(name), "worker-%lu", system_process_id());
}

static void note_endpoint(const struct sockbroker_worker_options *o)
{
    const char *given = o->endpoints ? o->endpoints : getenv("SOCKBROKER_ENDPOINT");

    if (given)
        snprintf(endpoint, sizeof(endpoint), "%.*s", (int)strcspn(given, ","), given);
}

/* Of a path, of any system. */
static char *last_part(char *path)
{
    char *part = path;

    for (char *at = path; *at; at++) {
        if (*at == '/' || *at == '\\')
            part = at + 1;
    }
    return part;
}

void sample_read(int argc, char **argv, struct sockbroker_worker_options *options_out, struct sample_option *extra)
{
    static const struct sockbroker_worker_options defaults = SOCKBROKER_WORKER_OPTIONS_INIT;

    *options_out = defaults;
    system_read_arguments(&argc, &argv);
    argv[0] = last_part(argv[0]);
    program = argv[0]; /* also in getopt_long's messages */
    read_options(argc, argv, options_out, extra);
    choose_name(options_out);
    note_endpoint(options_out);
}

struct sockbroker_worker *sample_attach(const struct sockbroker_worker_options *options)
{
    struct sockbroker_worker *worker;
    struct sockbroker_error error;

    sockbroker_status st = sockbroker_worker_open(options, &worker, &error);
    if (st) {
        fprintf(stderr, "%s: %s\n", program, error.text);
        exit(exit_code(st));
    }
    if (watching && !system_watch_stops(worker)) {
        fprintf(stderr, "%s: no thread for signals\n", program);
        exit(EXIT_FAILURE);
    }
    puts("ready");
    fflush(stdout);
    return worker;
}

struct sockbroker_worker *sample_open(int argc, char **argv, struct sample_option *extra)
{
    struct sockbroker_worker_options options;

    sample_read(argc, argv, &options, extra);
    return sample_attach(&options);
}

const char *sample_name(void)
{
    return name;
}

const char *sample_endpoint(void)
{
    return endpoint;
}

bool sample_try_again(sockbroker_status answer)
{
    if (answer == SOCKBROKER_NO_DESCRIPTORS)
        system_pause(100);
    return answer == SOCKBROKER_NO_DESCRIPTORS;
}

int sample_close(struct sockbroker_worker *worker, sockbroker_status answer)
{
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
    int code = EXIT_SUCCESS;

    if (answer != SOCKBROKER_DRAINING && answer != SOCKBROKER_CLOSED) {
        sockbroker_worker_error(worker, &error);
        fprintf(stderr, "%s: %s\n", program, error.text[0] ? error.text : sockbroker_status_text(answer));
        code = exit_code(answer);
    }
    if (watching)
        system_forget_stops();
    sockbroker_worker_close(worker);
    return code;
}
