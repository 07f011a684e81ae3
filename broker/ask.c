#include "broker/ask.h"

#include <stdlib.h>
#include <string.h>

#include "proto/error.h"
#include "proto/rundir.h"

#define TIMEOUT_MS 10000

sockbroker_status sb_ask_open(const char *dir, struct sb_client **client_out, struct sockbroker_error *error_out)
{
    char found[SB_RUNDIR_MAX];
    char path[SB_PATH_MAX];
    sockbroker_status st = sb_channel_prepare(error_out);

    if (!st)
        st = sb_rundir_find(dir, found, error_out);
    return st ? st : sb_client_open(sb_rundir_path(found, SB_RUNDIR_CONTROL, path), NULL, NULL, client_out, error_out);
}

static sockbroker_status append(void **list, size_t *n, const void *items, size_t n_items, size_t size,
                                struct sockbroker_error *error)
{
    if (!n_items)
        return SOCKBROKER_OK;
    void *grown = realloc(*list, (*n + n_items) * size);
    if (!grown)
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "out of memory for the status");
    memcpy((char *)grown + *n * size, items, n_items * size);
    *list = grown;
    *n += n_items;
    return SOCKBROKER_OK;
}

static sockbroker_status add_page(struct sb_status_report *r, const struct sb_status_page *page, struct sockbroker_error *error)
{
    r->broker = page->broker;
    sockbroker_status st =
        append((void **)&r->endpoints, &r->n_endpoints, page->endpoints, page->n_endpoints, sizeof(page->endpoints[0]), error);
    if (!st)
        st = append((void **)&r->sessions, &r->n_sessions, page->sessions, page->n_sessions, sizeof(page->sessions[0]), error);
    if (!st)
        st = append((void **)&r->deposits, &r->n_deposits, page->deposits, page->n_deposits, sizeof(page->deposits[0]), error);
    return st;
}

static bool is_empty(const struct sb_status_page *page)
{
    return !page->n_endpoints && !page->n_sessions && !page->n_deposits;
}

sockbroker_status sb_ask_status(struct sb_client *client, struct sb_status_report *report_out,
                                struct sockbroker_error *error_out)
{
    static const struct sb_status_report none;
    struct sb_request request = { .kind = SB_REQUEST_STATUS };
    struct sb_reply reply;
    sockbroker_status st;

    *report_out = none;
    do {
        st = sb_client_call(client, &request, SB_REPLY_STATUS, TIMEOUT_MS, &reply, error_out);
        if (!st)
            st = add_page(report_out, &reply.as.status, error_out);
        request.as.status.first_endpoint = reply.as.status.next_endpoint;
        request.as.status.first_session = reply.as.status.next_session;
        request.as.status.first_deposit = reply.as.status.next_deposit;
    } while (!st && !is_empty(&reply.as.status));
    if (st)
        sb_status_report_deinit(report_out);
    return st;
}

void sb_status_report_deinit(struct sb_status_report *report)
{
    free(report->endpoints);
    free(report->sessions);
    free(report->deposits);
}
