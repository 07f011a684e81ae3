/* ask.h: how the sub-commands talk to the running broker. */
#ifndef SB_BROKER_ASK_H
#define SB_BROKER_ASK_H

#include "proto/channel.h"

/* Connects to the broker of the directory (NULL: the default one). */
sockbroker_status sb_ask_open(const char *dir, struct sb_client **client_out, struct sockbroker_error *error_out);

#define SB_ASK_TIMEOUT_MS 10000

/* One question to it. CLOSED: it went away before it answered. */
sockbroker_status sb_ask_once(const char *dir, const struct sb_request *request, enum sb_reply_kind kind, int timeout_ms,
                              struct sb_reply *reply_out, struct sockbroker_error *error_out);

/* The whole status, put together from its pages. */
struct sb_status_report {
    struct sb_broker_status broker;
    struct sb_endpoint_status *endpoints;
    size_t n_endpoints;
    struct sb_session_status *sessions;
    size_t n_sessions;
    struct sb_deposit_status *deposits;
    size_t n_deposits;
    struct sb_group_status *groups;
    size_t n_groups;
    struct sb_generation_status *generations; /* of all groups */
    size_t n_generations;
    struct sb_slot_status *slots; /* of all groups */
    size_t n_slots;
};

sockbroker_status sb_ask_status(struct sb_client *client, struct sb_status_report *report_out,
                                struct sockbroker_error *error_out);
void sb_status_report_deinit(struct sb_status_report *report);

#endif
