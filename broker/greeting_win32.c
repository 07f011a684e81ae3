/* There is no handoff socket here: a worker shows its token by a Hand, over the same pipe by which it attached. */
#include "broker/greeting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/closer.h"
#include "broker/control.h"
#include "broker/grant.h"
#include "broker/log.h"
#include "broker/process.h"
#include "broker/session.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/xfer.h"

sockbroker_status sb_greeter_open(struct sb_broker *b, struct sb_greeter **greeter_out, struct sockbroker_error *error_out)
{
    (void)b;
    (void)error_out;
    *greeter_out = NULL;
    return SOCKBROKER_OK;
}

void sb_greeter_close(struct sb_greeter *g)
{
    (void)g;
}

void sb_greeter_tick(struct sb_greeter *g, uint64_t now_ms)
{
    (void)g;
    (void)now_ms;
}

static void answer(struct sb_call *call, sockbroker_status status, const char *cause, const struct sb_record *record)
{
    struct sb_reply reply = { .kind = SB_REPLY_HANDED };
    struct sb_handed *h = &reply.as.handed;

    h->status = status;
    snprintf(h->text, sizeof(h->text), "%s", cause ? cause : status ? sockbroker_status_text(status) : "");
    h->has_record = record != NULL;
    if (record)
        h->record = *record;
    sb_call_reply(call, &reply);
}

/* While its pipe is open the process lives, and nobody else has its number. */
static sockbroker_status open_caller(const struct sb_call *call, struct sb_peer *peer_out)
{
    sockbroker_status st = sb_peer_open_pid(sb_call_pid(call), peer_out);

    if (!st && sb_call_is_lost(call)) {
        sb_peer_close(peer_out);
        return SOCKBROKER_CLOSED;
    }
    return st;
}

static void connect_session(struct sb_broker *b, const struct sb_hello *hello, struct sb_peer *peer, struct sb_call *call)
{
    struct sb_session *session = NULL;
    sockbroker_status st = sb_greeting_claim(b, hello, peer, &session);

    if (!st)
        st = sb_session_connect_unpaired(session, &peer->handle);
    answer(call, st, NULL, NULL);
    if (st && session)
        sb_session_end(session, "its end could not be watched");
}

/* ---- out ---- */

static void hand_out(struct sb_grant *grant, struct sb_call *call)
{
    struct sb_record record = { .info = grant->info };
    char text[96];
    int os_code = 0;
    sockbroker_status st = sb_xfer_fill_record(grant->session->peer.handle, grant->sock, &record, &os_code);

    if (st) {
        sb_grant_abandon(grant);
        answer(call, st, os_code ? sb_oserr_text(os_code, text, sizeof(text)) : NULL, NULL);
        return;
    }
    answer(call, SOCKBROKER_OK, NULL, &record);
    sb_grant_given(grant);
}

/* ---- in ---- */

/* What was left says itself of which kind it is; how it answers is a question for the socket (sb_ends_describe()). */
static void describe(const struct sb_hand *hand, struct sb_record *record)
{
    WSAPROTOCOL_INFOW info;

    memset(record, 0, sizeof(*record));
    record->protocol_info_layout = hand->protocol_info_layout;
    record->protocol_info_len = hand->protocol_info_len;
    memcpy(record->protocol_info, hand->protocol_info, sizeof(record->protocol_info));
    memcpy(&info, hand->protocol_info, sizeof(info));
    record->info.socket_family = info.iAddressFamily == AF_INET6 ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4;
    record->info.type = info.iSocketType == SOCK_DGRAM ? SOCKBROKER_DATAGRAM : SOCKBROKER_STREAM;
    record->info.protocol = info.iSocketType == SOCK_DGRAM ? 17 : 6;
}

_Static_assert(sizeof(WSAPROTOCOL_INFOW) == SB_PROTOCOL_INFO_MAX, "as the message has it");

static sockbroker_status take_in(struct sb_broker *b, const struct sb_hand *hand, struct sb_grant *grant,
                                 struct sockbroker_error *error)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sb_record record;

    if (hand->protocol_info_len != sizeof(WSAPROTOCOL_INFOW)) {
        sb_grant_abandon(grant);
        return sb_error_set(error, SOCKBROKER_BAD_MESSAGE, 0, "nothing came with it that opens a socket");
    }
    describe(hand, &record);
    sockbroker_status st = sb_xfer_open_record(&record, &sock);
    if (st) {
        sb_grant_abandon(grant);
        return sb_error_set(error, st, 0, "the socket could not be opened here: %s", sockbroker_status_text(st));
    }
    st = sb_grant_arrived(grant, &sock, error);
    sb_closer_close(b, &sock);
    return st;
}

/* It came too late: its grant has ended. This process has the socket all the same, and its client would wait for us. */
static void discard(struct sb_broker *b, const struct sb_hand *hand, const struct sb_peer *peer)
{
    sockbroker_socket sock = SOCKBROKER_SOCKET_NONE;
    struct sb_record record;

    if (hand->protocol_info_len != sizeof(WSAPROTOCOL_INFOW) || !sb_process_is_own_user(peer->uid))
        return;
    describe(hand, &record);
    if (!sb_xfer_open_record(&record, &sock))
        sb_closer_close(b, &sock);
}

/* What is opened is a handle of this process, so a lie in it would be about one of ours: taken only from those who could do
 * anything to this process anyway. */
static void leave(struct sb_broker *b, const struct sb_hand *hand, struct sb_grant *grant, struct sb_call *call)
{
    struct sockbroker_error error;

    if (!sb_process_is_own_user(grant->session->peer.uid)) {
        sb_grant_abandon(grant);
        answer(call, SOCKBROKER_REFUSED,
               "only workers of the broker's own account may leave sockets here; run this one as the broker's account", NULL);
        return;
    }
    sockbroker_status st = take_in(b, hand, grant, &error);
    answer(call, st, st ? error.text : "it is here", NULL);
}

/* ---- both ---- */

static void serve_grant(struct sb_broker *b, const struct sb_hand *hand, const struct sb_peer *peer, struct sb_call *call)
{
    struct sb_grant *grant;
    const char *cause;
    sockbroker_status st = sb_grant_claim(b, &hand->hello, peer, &grant, &cause);

    if (st) {
        discard(b, hand, peer);
        answer(call, sb_greeting_refuse(b, st, peer, cause), cause, NULL);
    } else if (grant->kind->is_inward) {
        leave(b, hand, grant, call);
    } else {
        hand_out(grant, call);
    }
}

void sb_greeting_hand(struct sb_broker *b, const struct sb_hand *hand, struct sb_call *call)
{
    struct sb_peer peer = { sb_call_pid(call), sb_call_uid(call), sb_call_gid(call), SOCKBROKER_SOCKET_NONE };
    sockbroker_status st = hand->hello.grant_id ? SOCKBROKER_OK : open_caller(call, &peer);

    if (st) {
        sb_log(SB_LOG_WARNING, "worker_not_opened", "pid=%u cause=\"%s\"", peer.pid, sockbroker_status_text(st));
        answer(call, st, "the broker may not open the worker's process: run both as one account, or the broker as a service",
               NULL);
    } else if (hand->hello.grant_id) {
        serve_grant(b, hand, &peer, call);
    } else {
        connect_session(b, &hand->hello, &peer, call);
    }
    sb_peer_close(&peer);
}
