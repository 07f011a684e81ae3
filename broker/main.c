#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/command.h"
#include "broker/process.h"
#include "proto/socket.h"
#include "proto/wire.h"
#include "sockbroker/sockbroker.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    { "serve", sb_command_serve, "accept connections and hand them to workers" },
    { "status", sb_command_status, "show endpoints, workers and counters" },
    { "drain", sb_command_drain, "give workers nothing new, so that they can finish" },
    { "reload", sb_command_reload, "replace the workers that the broker started" },
    { "scale", sb_command_scale, "start more of them, or let some go" },
    { "pause", sb_command_pause, "let an endpoint's new connections wait" },
    { "resume", sb_command_resume, "end a pause" },
    { "upgrade", sb_command_upgrade, "replace the running broker; clients and workers notice nothing" },
    { "check", sb_command_check, "read and judge a configuration; binds nothing" },
    { "addresses", sb_command_addresses, "show the addresses of a host in the order to try them" },
    { "connect", sb_command_connect, "copy to and from a connection that the broker makes" },
    { "service", sb_command_service, "run the broker as a service of Windows" },
};

static const size_t n_commands = sizeof(commands) / sizeof(commands[0]);

int sb_command_fail(const char *command, const struct sockbroker_error *error)
{
    fprintf(stderr, "sockbroker %s: %s\n", command, error->text);
    switch (error->status) {
    case SOCKBROKER_NO_BROKER:
        return SB_EXIT_NO_BROKER;
    case SOCKBROKER_INVALID:
        return SB_EXIT_USAGE;
    default: /* all other failures are the same to a script */
        return SB_EXIT_FAILED;
    }
}

int sb_command_misuse(const char *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "sockbroker %s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; see sockbroker %s --help\n", command);
    return SB_EXIT_USAGE;
}

static void print_usage(FILE *to)
{
    fprintf(to, "usage: sockbroker COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < n_commands; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\nsockbroker COMMAND --help tells more; sockbroker --version tells the release.\n"
                "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no broker there.\n");
}

int main(int argc, char **argv)
{
    if (!sb_process_take_arguments(&argc, &argv)) {
        fprintf(stderr, "sockbroker: no memory for the command line\n");
        return SB_EXIT_FAILED;
    }
    const char *name = argc > 1 ? argv[1] : "";

    sb_process_ignore_sigpipe();
    sb_socket_prepare(); /* failing, the first call that needs it says why */
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_usage(stdout);
        return SB_EXIT_OK;
    }
    if (!strcmp(name, "--version")) {
        printf("sockbroker %s, library %s, protocol %u\n", sockbroker_version(), sockbroker_version(), SB_PROTOCOL_VERSION);
        return SB_EXIT_OK;
    }
    for (size_t i = 0; i < n_commands; i++) {
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    }
    if (name[0])
        fprintf(stderr, "sockbroker: there is no command \"%s\"\n\n", name);
    print_usage(stderr);
    return SB_EXIT_USAGE;
}
