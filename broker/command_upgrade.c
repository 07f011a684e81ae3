#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ask.h"
#include "broker/command.h"
#include "broker/process.h"

#define DEFAULT_MS 10000 /* as the broker has it */
#define SPARE_MS 15000   /* from ready to the answer */

static const char help[] =
    "usage: sockbroker upgrade [--binary PATH] [--timeout MS] [--dir DIR]\n\n"
    "Starts a new broker with the arguments of the running one, which gives it everything and ends. Answers when that is done, "
    "or\n"
    "why it is not: then the running one goes on. SIGUSR2 to the broker does the same.\n\n"
    "  --binary PATH   the new program; default: the file that the running one was started from, as it is now\n"
    "  --timeout MS    100 to 600000, default 10000: the new one must be ready by then\n"
    "  --dir DIR       runtime directory of the broker\n";

static const struct option long_options[] = {
    { "binary", required_argument, NULL, 'b' },
    { "timeout", required_argument, NULL, 't' },
    { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static bool read_timeout(const char *text, uint32_t *out)
{
    char *end;
    unsigned long ms;

    errno = 0;
    ms = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno || *end || ms < SB_UPGRADE_MS_MIN || ms > SB_UPGRADE_MS_MAX)
        return false;
    *out = (uint32_t)ms;
    return true;
}

/* The broker may work elsewhere. */
static bool read_binary(const char *text, char out[SB_BINARY_MAX + 1])
{
    return sb_process_full_path(text, out, SB_BINARY_MAX + 1);
}

/* Only an absent broker and wrong usage have codes of their own, whatever the new broker found wrong. */
static int fail(const struct sockbroker_error *error)
{
    fprintf(stderr, "sockbroker upgrade: %s\n", error->text);
    return error->status == SOCKBROKER_NO_BROKER ? SB_EXIT_NO_BROKER : SB_EXIT_FAILED;
}

static int ask(const char *dir, const struct sb_request *request)
{
    struct sb_reply reply;
    struct sockbroker_error error;
    uint32_t timeout_ms = request->as.upgrade.timeout_ms ? request->as.upgrade.timeout_ms : DEFAULT_MS;
    sockbroker_status st = sb_ask_once(dir, request, SB_REPLY_UPGRADED, (int)(timeout_ms + SPARE_MS), &reply, &error);

    if (!st) {
        printf("%s\n", reply.as.upgraded.text);
        return SB_EXIT_OK;
    }
    if (st != SOCKBROKER_CLOSED)
        return fail(&error);
    fprintf(stderr, "sockbroker upgrade: the broker went away before it said how it went; `sockbroker status` tells which one "
                    "is there\n");
    return SB_EXIT_FAILED;
}

int sb_command_upgrade(int argc, char **argv)
{
    struct sb_request request = { .kind = SB_REQUEST_UPGRADE };
    const char *dir = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "b:t:d:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'b':
            if (!read_binary(optarg, request.as.upgrade.binary))
                return sb_command_misuse("upgrade", "--binary \"%s\" is no file here", optarg);
            break;
        case 't':
            if (!read_timeout(optarg, &request.as.upgrade.timeout_ms))
                return sb_command_misuse("upgrade", "--timeout \"%s\" is not %u to %u milliseconds", optarg, SB_UPGRADE_MS_MIN,
                                         SB_UPGRADE_MS_MAX);
            break;
        case 'd':
            dir = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return SB_EXIT_OK;
        default: /* getopt_long has said what is wrong */
            return sb_command_misuse("upgrade", "wrong option");
        }
    }
    if (optind < argc)
        return sb_command_misuse("upgrade", "\"%s\" is not an option", argv[optind]);
    return ask(dir, &request);
}
