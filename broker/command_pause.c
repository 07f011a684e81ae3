#include <getopt.h>
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

static int run(const char *command, const char *help, bool paused, int argc, char **argv)
{
    struct sb_request request = { .kind = SB_REQUEST_PAUSE };
    const char *dir = NULL;
    int code;

    if (!sb_command_read_dir(command, help, argc, argv, &dir, &code))
        return code;
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
