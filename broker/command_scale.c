#include <getopt.h>
#include <string.h>

#include "broker/ask.h"
#include "broker/command.h"
#include "client-lib/decimal.h"

static const char help[] =
    "usage: sockbroker scale GROUP N [--dir DIR]\n\n"
    "From now on N workers of that group. New ones start at once; those that are too many finish what they have.\n"
    "Workers that were given up or stopped start again.\n\n"
    "  GROUP      as `sockbroker status` shows it\n"
    "  N          0 to 1024\n"
    "  --dir DIR  runtime directory of the broker\n";

int sb_command_scale(int argc, char **argv)
{
    struct sb_request request = { .kind = SB_REQUEST_SCALE };
    struct sb_scale *scale = &request.as.scale;
    const char *dir = NULL;
    int code;

    if (!sb_command_read_dir("scale", help, argc, argv, &dir, &code))
        return code;
    if (optind + 2 != argc)
        return sb_command_misuse("scale", "give a group and a number");
    const char *group = argv[optind], *number = argv[optind + 1];
    if (!sb_name_is_valid(group, strlen(group)))
        return sb_command_misuse("scale", "\"%s\" is not a group's name", group);
    if (!sb_decimal_read(number, strlen(number), SB_GROUP_WORKERS_MAX, &scale->wanted))
        return sb_command_misuse("scale", "\"%s\" is not a number from 0 to %u", number, SB_GROUP_WORKERS_MAX);
    memcpy(scale->group, group, strlen(group) + 1);
    return sb_command_ask("scale", dir, &request, SB_ASK_TIMEOUT_MS);
}
