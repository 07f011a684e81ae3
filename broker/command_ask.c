/* command_ask.c: the sub-commands that ask one thing and print what was done. */
#include <getopt.h>
#include <stdio.h>

#include "broker/ask.h"
#include "broker/command.h"

static const struct option long_options[] = {
    { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

bool sb_command_read_dir(const char *command, const char *help, int argc, char **argv, const char **dir_out, int *code_out)
{
    int option;

    while ((option = getopt_long(argc, argv, "d:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'd':
            *dir_out = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            *code_out = SB_EXIT_OK;
            return false;
        default: /* getopt_long has said what is wrong */
            *code_out = sb_command_misuse(command, "wrong option");
            return false;
        }
    }
    return true;
}

int sb_command_ask(const char *command, const char *dir, const struct sb_request *request, int timeout_ms)
{
    struct sb_reply reply;
    struct sockbroker_error error;

    if (sb_ask_once(dir, request, SB_REPLY_OUTCOME, timeout_ms, &reply, &error))
        return sb_command_fail(command, &error);
    printf("%s\n", reply.as.outcome.text);
    return SB_EXIT_OK;
}
