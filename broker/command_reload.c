#include <getopt.h>
#include <string.h>

#include "broker/ask.h"
#include "broker/command.h"

static const char help[] =
    "usage: sockbroker reload [GROUP] [--dir DIR]\n\n"
    "Starts a new generation of the workers that the broker started, waits until all of them are ready, gives them the new\n"
    "connections, and lets the old ones finish. If one is not ready in time or ends, the old generation goes on, and the exit\n"
    "code is 1. The configuration is not read again; SIGHUP does that, and then the same.\n\n"
    "  GROUP      as `sockbroker status` shows it; all without it\n"
    "  --dir DIR  runtime directory of the broker\n";

int sb_command_reload(int argc, char **argv)
{
    struct sb_request request = { .kind = SB_REQUEST_RELOAD };
    const char *dir = NULL;
    int code;

    if (!sb_command_read_dir("reload", help, argc, argv, &dir, &code))
        return code;
    if (optind + 1 < argc)
        return sb_command_misuse("reload", "name one group, or none for all");
    if (optind < argc && !sb_name_is_valid(argv[optind], strlen(argv[optind])))
        return sb_command_misuse("reload", "\"%s\" is not a group's name", argv[optind]);
    if (optind < argc)
        memcpy(request.as.reload.group, argv[optind], strlen(argv[optind]) + 1);
    return sb_command_ask("reload", dir, &request, -1);
}
