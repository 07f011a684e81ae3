#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "broker/ask.h"
#include "broker/command.h"

static const char pause_help[] =
    "usage: sockbroker pause ENDPOINT [--dir DIR]\n\n"
    "From now on its new connections wait: hold_max of them in the broker, the others in the kernel's queue. None is refused.\n"
    "Connections that workers have go on. `sockbroker resume` ends the pause.\n\n"
    "  --dir DIR  runtime directory of the broker\n";

static const char resume_help[] = "usage: sockbroker resume ENDPOINT [--dir DIR]\n\n"
                                  "Hands over what waits, and goes on.\n\n"
                                  "  --dir DIR  runtime directory of the broker\n";

static const struct option long_options[] = {
    { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static int run(const char *command, const char *help, bool paused, int argc, char **argv)
{
    struct sb_request request = { .kind = SB_REQUEST_PAUSE };
    const char *dir = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "d:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'd':
            dir = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return SB_EXIT_OK;
        default: /* getopt_long has said what is wrong */
            return sb_command_misuse(command, "wrong option");
        }
    }
    if (optind + 1 != argc)
        return sb_command_misuse(command, "name one endpoint");
    if (!sb_name_is_valid(argv[optind], strlen(argv[optind])))
        return sb_command_misuse(command, "\"%s\" is not an endpoint's name", argv[optind]);
    memcpy(request.as.pause.endpoint, argv[optind], strlen(argv[optind]) + 1);
    request.as.pause.paused = paused;
    return sb_command_ask(command, dir, &request, SB_ASK_TIMEOUT_MS);
}

int sb_command_pause(int argc, char **argv)
{
    return run("pause", pause_help, true, argc, argv);
}

int sb_command_resume(int argc, char **argv)
{
    return run("resume", resume_help, false, argc, argv);
}
