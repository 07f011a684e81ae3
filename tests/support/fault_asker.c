/* A process that asks the broker for what is not its own.
 *
 *     fault_asker DIR hello SESSION TOKEN GRANT [UID GID]   shows somebody else's token, says "hello gave NAME"
 *     fault_asker DIR drain WORKER [UID GID]                asks for a drain, says "drain gave NAME"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/link.h"
#include "proto/socket.h"
#include "tests/support/fault_raw.h"
#include "tests/support/format.h"
#include "tests/support/kit_become.h"

#define WAIT_MS 30000

static bool read_token(const char *hex, uint8_t token_out[SB_SECRET_LEN])
{
    for (size_t i = 0; i < SB_SECRET_LEN; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        token_out[i] = (uint8_t)byte;
    }
    return true;
}

static int say_hello(struct fault_raw *r, const char *dir, char **args)
{
    struct sb_hello hello = { .session_id = strtoull(args[0], NULL, 10), .grant_id = strtoull(args[2], NULL, 10) };
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;

    if (!read_token(args[1], hello.token))
        return 2;
    sockbroker_status st = sb_link_fetch(dir, r->client, &hello, WAIT_MS, &sock, NULL);
    printf("hello gave %s\n", sockbroker_status_name(st));
    sb_socket_close(&sock);
    return 0;
}

static int ask_drain(struct fault_raw *r, const char *worker)
{
    struct sb_request request = { .kind = SB_REQUEST_DRAIN };

    format_text(request.as.drain.worker, sizeof(request.as.drain.worker), "%s", worker);
    printf("drain gave %s\n", sockbroker_status_name(fault_raw_ask(r, &request, SB_REPLY_DONE, NULL)));
    return 0;
}

int main(int argc, char **argv)
{
    static struct fault_raw r = FAULT_RAW_NONE;
    struct sockbroker_error error;
    bool is_hello = argc > 2 && !strcmp(argv[2], "hello");
    int n = is_hello ? 6 : 4;

    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc != n && argc != n + 2)
        return 2;
    if (argc == n + 2 && !kit_become(argv[n], argv[n + 1])) {
        perror("become");
        return 1;
    }
    if (fault_raw_connect(&r, argv[1], &error)) {
        printf("%s\n", error.text);
        return 1;
    }
    int code = is_hello ? say_hello(&r, argv[1], argv + 3) : ask_drain(&r, argv[3]);
    fault_raw_close(&r);
    return code;
}
