#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ask.h"
#include "broker/command.h"

static const char help[] = "usage: sockbroker drain WORKER | --generation G [--wait] [--dir DIR]\n\n"
                           "  WORKER           name or session id, as `sockbroker status` shows them\n"
                           "  --generation G   all workers of this generation\n"
                           "  --wait           until they have gone or hold nothing\n"
                           "  --dir DIR        runtime directory of the broker\n";

static const struct option long_options[] = {
    { "generation", required_argument, NULL, 'g' },
    { "wait", no_argument, NULL, 'w' },
    { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static bool read_generation(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return !errno && !*end;
}

static int ask(const char *dir, const struct sb_request *request)
{
    struct sb_reply reply;
    struct sockbroker_error error;
    int timeout_ms = request->as.drain.wait ? -1 : SB_ASK_TIMEOUT_MS;

    if (sb_ask_once(dir, request, SB_REPLY_DONE, timeout_ms, &reply, &error))
        return sb_command_fail("drain", &error);
    printf("%llu worker%s %s\n", (unsigned long long)reply.as.done_count, reply.as.done_count == 1 ? "" : "s",
           request->as.drain.wait ? "drained" : "draining");
    return SB_EXIT_OK;
}

int sb_command_drain(int argc, char **argv)
{
    struct sb_request request = { .kind = SB_REQUEST_DRAIN };
    struct sb_drain *drain = &request.as.drain;
    const char *dir = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "g:wd:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'g':
            if (!read_generation(optarg, &drain->generation))
                return sb_command_misuse("drain", "--generation \"%s\" is not a number", optarg);
            drain->by_generation = true;
            break;
        case 'w':
            drain->wait = true;
            break;
        case 'd':
            dir = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return SB_EXIT_OK;
        default: /* getopt_long has said what is wrong */
            return sb_command_misuse("drain", "wrong option");
        }
    }
    if (drain->by_generation ? optind != argc : optind + 1 != argc)
        return sb_command_misuse("drain", "name one worker, or give --generation");
    if (!drain->by_generation && !sb_name_is_valid(argv[optind], strlen(argv[optind])))
        return sb_command_misuse("drain", "\"%s\" is not a worker's name or session id", argv[optind]);
    if (!drain->by_generation)
        memcpy(drain->worker, argv[optind], strlen(argv[optind]) + 1);
    return ask(dir, &request);
}
