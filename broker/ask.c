#include "broker/ask.h"

#include <stdlib.h>
#include <string.h>

#include "proto/error.h"
#include "proto/rundir.h"

sockbroker_status sb_ask_open(const char *dir, struct sb_client **client_out, struct sockbroker_error *error_out)
{
    char found[SB_RUNDIR_MAX];
    char path[SB_PATH_MAX];
    sockbroker_status st = sb_channel_prepare(error_out);

    if (!st)
        st = sb_rundir_find(dir, found, error_out);
    return st ? st : sb_client_open(sb_rundir_path(found, SB_RUNDIR_CONTROL, path), NULL, NULL, client_out, error_out);
}

sockbroker_status sb_ask_once(const char *dir, const struct sb_request *request, enum sb_reply_kind kind, int timeout_ms,
                              struct sb_reply *reply_out, struct sockbroker_error *error_out)
{
    struct sb_client *client;
    sockbroker_status st = sb_ask_open(dir, &client, error_out);

    if (st)
        return st;
    st = sb_client_call(client, request, kind, timeout_ms, reply_out, error_out);
    sb_client_close(client);
    return st;
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

static sockbroker_status add_groups(struct sb_status_report *r, const struct sb_groups_page *p, struct sockbroker_error *error)
{
    sockbroker_status st = append((void **)&r->groups, &r->n_groups, p->groups, p->n_groups, sizeof(p->groups[0]), error);

    if (!st)
        st = append((void **)&r->generations, &r->n_generations, p->generations, p->n_generations, sizeof(p->generations[0]),
                    error);
    return st ? st : append((void **)&r->slots, &r->n_slots, p->slots, p->n_slots, sizeof(p->slots[0]), error);
}

static sockbroker_status ask_groups(struct sb_client *client, struct sb_status_report *r, struct sockbroker_error *error)
{
    struct sb_request request = { .kind = SB_REQUEST_GROUPS };
    struct sb_reply reply;
    struct sb_groups_page *page = &reply.as.groups;
    sockbroker_status st;

    do {
        st = sb_client_call(client, &request, SB_REPLY_GROUPS, SB_ASK_TIMEOUT_MS, &reply, error);
        if (!st)
            st = add_groups(r, page, error);
        request.as.groups = (struct sb_groups_request){ page->next_group, page->next_generation, page->next_slot };
    } while (!st && (page->n_groups || page->n_generations || page->n_slots));
    return st;
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
        st = sb_client_call(client, &request, SB_REPLY_STATUS, SB_ASK_TIMEOUT_MS, &reply, error_out);
        if (!st)
            st = add_page(report_out, &reply.as.status, error_out);
        request.as.status.first_endpoint = reply.as.status.next_endpoint;
        request.as.status.first_session = reply.as.status.next_session;
        request.as.status.first_deposit = reply.as.status.next_deposit;
    } while (!st && !is_empty(&reply.as.status));
    if (!st)
        st = ask_groups(client, report_out, error_out);
    if (st)
        sb_status_report_deinit(report_out);
    return st;
}

void sb_status_report_deinit(struct sb_status_report *report)
{
    free(report->endpoints);
    free(report->sessions);
    free(report->deposits);
    free(report->groups);
    free(report->generations);
    free(report->slots);
}
