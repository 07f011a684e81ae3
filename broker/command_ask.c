/* command_ask.c: the sub-commands that ask one thing and print what was done. */
#include <stdio.h>

#include "broker/ask.h"
#include "broker/command.h"

int sb_command_ask(const char *command, const char *dir, const struct sb_request *request, int timeout_ms)
{
    struct sb_client *client;
    struct sb_reply reply;
    struct sockbroker_error error;
    sockbroker_status st = sb_ask_open(dir, &client, &error);

    if (st)
        return sb_command_fail(command, &error);
    st = sb_client_call(client, request, SB_REPLY_OUTCOME, timeout_ms, &reply, &error);
    sb_client_close(client);
    if (st)
        return sb_command_fail(command, &error);
    printf("%s\n", reply.as.outcome.text);
    return SB_EXIT_OK;
}
