#include "tests/integration/deposits_kit.h"

#include <string.h>

#include "tests/support/format.h"
#include "tests/support/kit_deposit.h"
#include "tests/support/kit_state.h"
#include "tests/support/net.h"

struct kit_broker *deposits_start(const char *setting)
{
    return kit_broker_start(
        &(struct kit_start){ .args = { "--endpoint", "web=[::]:0", "--set", setting ? setting : "attach_ms=60000", "--set",
                                       "heartbeat_ms=600000" } });
}

void deposits_finish(struct kit_broker *b, struct fault_raw *raw)
{
    fault_raw_close(raw);
    kit_wait_deposits(b, 0);
    kit_broker_wait_ready(b, 0);
    kit_broker_wait_idle_fds(b);
    kit_broker_stop(b);
}

sockbroker_status deposits_announce(struct fault_raw *r, const char *name, uint32_t state_len)
{
    struct sb_request request = { .kind = SB_REQUEST_DEPOSIT };
    struct sb_deposit *d = &request.as.deposit;

    d->session = r->attached.session;
    format_text(d->name, sizeof(d->name), "%s", name);
    d->lifetime_ms = 3600000;
    d->state_len = state_len;
    sockbroker_status st = fault_raw_ask(r, &request, SB_REPLY_GRANTED, NULL);
    return st ? st : r->reply.as.granted.status;
}

sockbroker_status deposits_append(struct fault_raw *r, uint64_t grant_id, const char *name, uint32_t offset, uint32_t len)
{
    static uint8_t all[SB_STATE_MAX + SB_CHUNK_MAX];
    struct sb_request request = { .kind = SB_REQUEST_DEPOSIT_STATE };
    struct sb_deposit_state *d = &request.as.deposit_state;

    kit_state_fill(name, 1, all, offset + len);
    d->session = r->attached.session;
    d->grant_id = grant_id;
    d->offset = offset;
    d->chunk_len = len;
    memcpy(d->chunk, all + offset, len);
    return fault_raw_ask(r, &request, SB_REPLY_DONE, NULL);
}

struct sb_hello deposits_hello_of(const struct fault_raw *r)
{
    struct sb_hello hello = { .session_id = r->attached.session.id, .grant_id = r->reply.as.granted.grant_id };

    memcpy(hello.token, r->reply.as.granted.token, sizeof(hello.token));
    return hello;
}

void deposits_check_works(struct kit_broker *b)
{
    struct sockbroker_worker *w = kit_asker_open(b, "honest");
    struct sockbroker_error error;
    struct sockbroker_conn conn;
    sockbroker_socket ends[2];

    kit_open_stream("::1", ends);
    if (kit_deposit(w, "c", ends[1], 10000, &error))
        kit_fail("%s", error.text);
    net_close(&ends[1]);
    kit_withdraw(w, "c", 10000, &conn);
    kit_send(conn.sock, "alive");
    kit_expect(ends[0], "alive");
    net_close(&conn.sock);
    kit_expect_end(&ends[0]);
    sockbroker_worker_close(w);
    kit_broker_wait_worker(b, "honest", "gone");
}
