#include "client-lib/link.h"

#include <stdlib.h>
#include <string.h>

#include "client-lib/ends.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "proto/xfer.h"

/* A Hand and its answer; they are too long for the stack. */
struct hand {
    struct sb_request request;
    struct sb_reply reply;
};

static sockbroker_status begin(const struct sb_client *client, const struct sb_hello *hello, struct hand **hand_out,
                               struct sockbroker_error *error)
{
    sb_error_set(error, SOCKBROKER_OK, 0, "%s", "");
    if (!client)
        return sb_error_set(error, SOCKBROKER_NO_BROKER, 0, "no broker answers now");
    struct hand *h = calloc(1, sizeof(*h));
    if (!h)
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory for a socket");
    h->request.kind = SB_REQUEST_HAND;
    h->request.as.hand.hello = *hello;
    *hand_out = h;
    return SOCKBROKER_OK;
}

static sockbroker_status ask(struct sb_client *client, struct hand *h, int timeout_ms, struct sockbroker_error *error)
{
    sockbroker_status st = sb_client_call(client, &h->request, SB_REPLY_HANDED, timeout_ms, &h->reply, error);
    const struct sb_handed *handed = &h->reply.as.handed;

    return st || !handed->status ? st : sb_error_set(error, handed->status, 0, "%s", handed->text);
}

static sockbroker_status open_end(struct sb_client *client, sockbroker_socket *end_out, struct sockbroker_error *error)
{
    sockbroker_status st = sb_client_open_server(client, end_out);

    return st ? sb_error_set(error, st, 0, "the broker's process cannot be watched: %s", sockbroker_status_text(st)) : st;
}

static sockbroker_status open_socket(const struct sb_handed *handed, sockbroker_socket *sock_out,
                                     struct sockbroker_error *error)
{
    if (!handed->has_record || !handed->record.protocol_info_len)
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "the broker said welcome and sent no socket");
    sockbroker_status st = sb_xfer_open_record(&handed->record, sock_out);
    return st ? sb_error_set(error, st, 0, "the broker's socket cannot be opened: %s", sockbroker_status_text(st)) : st;
}

sockbroker_status sb_link_fetch(const char *dir, struct sb_client *client, const struct sb_hello *hello, int timeout_ms,
                                sockbroker_socket *sock_out, struct sockbroker_error *error_out)
{
    struct hand *h;
    sockbroker_status st = begin(client, hello, &h, error_out);

    (void)dir;
    if (st)
        return st;
    st = ask(client, h, timeout_ms, error_out);
    if (!st)
        st = hello->grant_id ? open_socket(&h->reply.as.handed, sock_out, error_out) : open_end(client, sock_out, error_out);
    free(h);
    return st;
}

/* Makes the record of the socket for the broker's process. From here on that process has it, and has to open it to close it. */
static sockbroker_status fill(struct sb_client *client, sockbroker_socket sock, struct sb_hand *hand,
                              struct sockbroker_error *error)
{
    struct sb_record record = { .protocol_info_len = 0 };
    sockbroker_socket broker = SOCKBROKER_SOCKET_NONE;
    int os_code = 0;
    sockbroker_status st = open_end(client, &broker, error);

    if (st)
        return st;
    sb_ends_describe(sock, &record.info);
    st = sb_xfer_fill_record(broker, sock, &record, &os_code);
    sb_socket_close(&broker);
    if (st) {
        sb_oserr_set(error, os_code, "giving the socket to the broker's process", "deposits need the broker's own account");
        return st;
    }
    hand->protocol_info_layout = record.protocol_info_layout;
    hand->protocol_info_len = record.protocol_info_len;
    memcpy(hand->protocol_info, record.protocol_info, record.protocol_info_len);
    return SOCKBROKER_OK;
}

sockbroker_status sb_link_leave(const char *dir, struct sb_client *client, const struct sb_hello *hello, int timeout_ms,
                                sockbroker_socket sock, struct sockbroker_error *error_out)
{
    struct hand *h;
    sockbroker_status st = begin(client, hello, &h, error_out);

    (void)dir;
    if (st)
        return st;
    st = fill(client, sock, &h->request.as.hand, error_out);
    (void)sb_failpoint("socket_left");
    if (!st)
        st = ask(client, h, timeout_ms, error_out);
    free(h);
    return st;
}
