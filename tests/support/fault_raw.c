#include "tests/support/fault_raw.h"

#include <string.h>

#include "client-lib/link.h"
#include "proto/rundir.h"
#include "proto/socket.h"
#include "tests/support/format.h"

#define CALL_MS 30000

void fault_raw_fill(struct sb_attach *a, const char *name, const char *endpoint, unsigned window)
{
    memset(a, 0, sizeof(*a));
    a->version_min = a->version_max = SB_PROTOCOL_VERSION;
    format_text(a->name, sizeof(a->name), "%s", name);
    a->weight = 1;
    a->window = window;
    a->n_endpoints = 1;
    format_text(a->endpoints[0], sizeof(a->endpoints[0]), "%s", endpoint);
}

sockbroker_status fault_raw_connect(struct fault_raw *r, const char *dir, struct sockbroker_error *error_out)
{
    char found[SB_RUNDIR_MAX], path[SB_PATH_MAX];
    sockbroker_status st = sb_channel_prepare(error_out);

    if (!st)
        st = sb_rundir_find(dir, found, error_out);
    return st ? st : sb_client_open(sb_rundir_path(found, SB_RUNDIR_CONTROL, path), NULL, NULL, &r->client, error_out);
}

sockbroker_status fault_raw_attach(struct fault_raw *r, const char *dir, const struct sb_attach *attach,
                                   struct sockbroker_error *error_out)
{
    struct sb_request request = { .kind = SB_REQUEST_ATTACH };
    sockbroker_status st = r->client ? SOCKBROKER_OK : fault_raw_connect(r, dir, error_out);

    if (st)
        return st;
    request.as.attach = *attach;
    st = sb_client_call(r->client, &request, SB_REPLY_ATTACHED, CALL_MS, &r->reply, error_out);
    if (!st)
        r->attached = r->reply.as.attached;
    return st;
}

sockbroker_status fault_raw_hello(struct fault_raw *r, const char *dir, struct sockbroker_error *error_out)
{
    struct sb_hello hello = { .session_id = r->attached.session.id };

    memcpy(hello.token, r->attached.token, sizeof(hello.token));
    return sb_link_fetch(dir, r->client, &hello, CALL_MS, &r->end, error_out);
}

static void nobody_asks(void *arg)
{
    (void)arg;
}

sockbroker_status fault_raw_park(struct fault_raw *r)
{
    struct sb_request request = { .kind = SB_REQUEST_NEXT };

    request.as.next.session = r->attached.session;
    return sb_client_park(r->client, &request, nobody_asks, NULL);
}

sockbroker_status fault_raw_open(struct fault_raw *r, const char *dir, const char *name, unsigned window,
                                 struct sockbroker_error *error_out)
{
    struct sb_attach attach;

    fault_raw_fill(&attach, name, "web", window);
    sockbroker_status st = fault_raw_attach(r, dir, &attach, error_out);
    if (!st)
        st = fault_raw_hello(r, dir, error_out);
    return st ? st : fault_raw_park(r);
}

sockbroker_status fault_raw_settle(struct fault_raw *r, uint64_t lease_id, enum sb_verdict verdict, bool *kept_out)
{
    struct sb_request request = { .kind = SB_REQUEST_SETTLE };
    struct sb_settle *s = &request.as.settle;

    s->session = r->attached.session;
    s->n_results = 1;
    s->results[0].lease_id = lease_id;
    s->results[0].verdict = verdict;
    sockbroker_status st = sb_client_call(r->client, &request, SB_REPLY_SETTLED, CALL_MS, &r->reply, NULL);
    if (!st)
        *kept_out = r->reply.as.settled.kept[0];
    return st;
}

sockbroker_status fault_raw_ask(struct fault_raw *r, const struct sb_request *request, enum sb_reply_kind expect,
                                struct sockbroker_error *error_out)
{
    return sb_client_call(r->client, request, expect, CALL_MS, &r->reply, error_out);
}

/* A raw worker inside the test does not die, so it has to say that it goes. */
void fault_raw_close(struct fault_raw *r)
{
    struct sb_request request = { .kind = SB_REQUEST_DETACH };

    request.as.detach = r->attached.session;
    if (r->client && request.as.detach.id)
        sb_client_call(r->client, &request, SB_REPLY_DONE, CALL_MS, &r->reply, NULL);
    sb_socket_close(&r->end);
    sb_client_stop(r->client);
    sb_client_close(r->client);
    r->client = NULL;
}
