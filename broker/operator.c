#include "broker/operator.h"

#include <stdio.h>

#include "broker/control.h"
#include "broker/custody.h"
#include "broker/dispatch.h"
#include "broker/endpoint.h"
#include "broker/log.h"
#include "broker/process.h"
#include "broker/supervise.h"

static void set_paused(struct sb_broker *b, const struct sb_pause *pause, struct sb_call *call)
{
    struct sb_reply reply = { .kind = SB_REPLY_OUTCOME };
    struct sb_endpoint *e = sb_endpoint_find(b, pause->endpoint);
    char text[SOCKBROKER_ERROR_TEXT_MAX];

    if (!e) {
        snprintf(text, sizeof(text), "no endpoint \"%s\" here; `sockbroker status` lists them", pause->endpoint);
        sb_control_fail(call, SOCKBROKER_NOT_FOUND, text);
        return;
    }
    bool changed = e->paused != pause->paused;
    sb_endpoint_set_paused(e, pause->paused);
    sb_custody_note(b);
    sb_custody_sync(b); /* before the answer: it counts also when this broker dies now */
    if (changed)
        sb_log(SB_LOG_NOTICE, pause->paused ? "endpoint_paused" : "endpoint_resumed", "endpoint=%s waiting=%llu",
               e->config.name, (unsigned long long)e->counters.held);
    snprintf(reply.as.outcome.text, sizeof(reply.as.outcome.text), "endpoint %s: %s%s, %llu connections wait in the broker",
             e->config.name, changed ? "" : "already ", pause->paused ? "paused" : "serving",
             (unsigned long long)e->counters.held);
    sb_call_reply(call, &reply);
}

void sb_operator_serve(struct sb_broker *b, const struct sb_request *request, struct sb_call *call)
{
    if (!sb_process_is_own_user(sb_call_uid(call)))
        sb_control_fail(call, SOCKBROKER_REFUSED, "only the broker's own user and root may reload, scale and pause");
    else if (request->kind == SB_REQUEST_RELOAD)
        sb_supervise_reload(b, &request->as.reload, call);
    else if (request->kind == SB_REQUEST_SCALE)
        sb_supervise_scale(b, &request->as.scale, call);
    else
        set_paused(b, &request->as.pause, call);
}
