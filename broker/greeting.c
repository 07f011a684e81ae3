/* greeting.c: whether a Hello is good, whichever way it came. */
#include "broker/greeting.h"

#include "broker/log.h"
#include "broker/session.h"
#include "proto/secret.h"

sockbroker_status sb_greeting_refuse(struct sb_broker *b, sockbroker_status status, const struct sb_peer *peer,
                                     const char *cause)
{
    b->bad_messages++;
    sb_log(SB_LOG_WARNING, "hello_refused", "pid=%u uid=%u cause=\"%s\"", peer->pid, peer->uid, cause);
    return status;
}

sockbroker_status sb_greeting_claim(struct sb_broker *b, const struct sb_hello *hello, const struct sb_peer *peer,
                                    struct sb_session **session_out)
{
    struct sb_session *s = sb_session_find(b, hello->session_id);

    if (!s || s->token_spent)
        return sb_greeting_refuse(b, SOCKBROKER_NOT_FOUND, peer, "no session waits for this token");
    if (!sb_secret_equal(hello->token, s->token, SB_SECRET_LEN))
        return sb_greeting_refuse(b, SOCKBROKER_REFUSED, peer, "wrong token");
    if (peer->uid != s->peer.uid || peer->gid != s->peer.gid || peer->pid != s->peer.pid)
        return sb_greeting_refuse(b, SOCKBROKER_REFUSED, peer, "another process attached with this token");
    s->token_spent = true;
    *session_out = s;
    return SOCKBROKER_OK;
}
