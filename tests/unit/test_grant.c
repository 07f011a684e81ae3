/* What grant.h promises: a token is good once and for one process, and a grant's kind is told once what became of it. */
#include "tests/unit/unit.h"

#include <string.h>

#include "broker/grant.h"
#include "broker/session.h"
#include "proto/error.h"

#define UNDER_WAY_MAX 64u /* grant.c's */
#define ATTACH_MS 1000u

/* ---- a broker with two workers ---- */

struct house {
    struct sb_broker broker;
    struct sb_session sessions[2];
};

static void add_session(struct house *h, struct sb_session *s, uint64_t id)
{
    s->broker = &h->broker;
    s->key.id = id;
    s->peer = (struct sb_peer){ .pid = (uint32_t)(100 + id), .uid = (uint32_t)(1000 + id), .gid = (uint32_t)(2000 + id) };
    HASH_ADD(by_id, h->broker.sessions_by_id, key.id, sizeof(s->key.id), s);
}

static void open_house(struct house *h)
{
    memset(h, 0, sizeof(*h));
    h->broker.config.attach_ms = ATTACH_MS;
    add_session(h, &h->sessions[0], 1);
    add_session(h, &h->sessions[1], 2);
}

static void close_house(struct house *h)
{
    for (size_t i = 0; i < UNIT_COUNT(h->sessions); i++)
        sb_grants_end(&h->sessions[i]);
    assert_null(h->broker.grants);
    HASH_CLEAR(by_id, h->broker.sessions_by_id);
}

/* ---- a kind that counts what it is told ---- */

struct told {
    unsigned given, arrived, settled, ended;
    bool kept;
    bool given_is_all;
    sockbroker_status arrival;
};

static bool on_given(struct sb_grant *g)
{
    struct told *t = g->subject;

    t->given++;
    return t->given_is_all;
}

static sockbroker_status on_arrived(struct sb_grant *g, sockbroker_socket *sock, struct sockbroker_error *error_out)
{
    struct told *t = g->subject;

    t->arrived++;
    if (t->arrival)
        return sb_error_set(error_out, t->arrival, 0, "it is not wanted");
    *sock = SOCKBROKER_SOCKET_NONE;
    return SOCKBROKER_OK;
}

static void on_settled(struct sb_grant *g, bool kept)
{
    struct told *t = g->subject;

    t->settled++;
    t->kept = kept;
}

static void on_ended(struct sb_grant *g)
{
    struct told *t = g->subject;

    t->ended++;
}

static const struct sb_grant_kind outward = { .given = on_given, .settled = on_settled, .ended = on_ended };
static const struct sb_grant_kind inward = { .is_inward = true, .arrived = on_arrived, .ended = on_ended };

static struct sb_grant *make(struct sb_session *s, const struct sb_grant_kind *kind, struct told *told)
{
    struct sb_grant *g = NULL;

    assert_status(SOCKBROKER_OK, sb_grant_create(s, kind, SOCKBROKER_SOCKET_NONE, told, &g));
    return g;
}

static struct sb_hello hello_for(const struct sb_grant *g)
{
    struct sb_hello hello = { .session_id = g->session->key.id, .grant_id = g->id };

    memcpy(hello.token, g->token, sizeof(hello.token));
    return hello;
}

static sockbroker_status claim(struct house *h, const struct sb_hello *hello, const struct sb_peer *peer)
{
    struct sb_grant *g = NULL;
    const char *cause = "";
    sockbroker_status st = sb_grant_claim(&h->broker, hello, peer, &g, &cause);

    assert_true((st == SOCKBROKER_OK) == (g != NULL));
    assert_true((st == SOCKBROKER_OK) == (cause == NULL));
    return st;
}

static void must_claim(struct house *h, const struct sb_grant *g)
{
    struct sb_hello hello = hello_for(g);

    assert_status(SOCKBROKER_OK, claim(h, &hello, &g->session->peer));
}

static bool settle(struct sb_session *s, uint64_t id, enum sb_verdict verdict)
{
    return sb_grant_settle(s, &(struct sb_result){ .lease_id = id, .verdict = verdict });
}

/* ---- ids and tokens ---- */

static void an_id_is_never_that_of_a_lease_and_never_comes_again(void **state)
{
    static struct house h;
    struct told told = { 0 };
    uint64_t last = 0;

    (void)state;
    open_house(&h);
    for (int i = 0; i < 1000; i++) {
        struct sb_grant *g = make(&h.sessions[i % 2], &outward, &told);

        assert_true(sb_grant_is_id(g->id));
        assert_true(g->id > last);
        last = g->id;
        sb_grant_destroy(g);
        assert_null(sb_grant_find(&h.sessions[i % 2], last));
    }
    assert_false(sb_grant_is_id(0));
    assert_false(sb_grant_is_id(UINT64_MAX >> 1));
    assert_int_equal(told.ended, 0); /* destroying tells nobody */
    close_house(&h);
}

static void two_grants_have_two_tokens(void **state)
{
    static struct house h;
    struct told told = { 0 };
    struct sb_granted one = { .text = "x" }, two = { .text = "x" };

    (void)state;
    open_house(&h);
    sb_grant_describe(make(&h.sessions[0], &outward, &told), &one);
    sb_grant_describe(make(&h.sessions[0], &outward, &told), &two);
    assert_int_equal(one.status, SOCKBROKER_OK);
    assert_string_equal(one.text, "");
    assert_true(one.grant_id != two.grant_id);
    assert_memory_not_equal(one.token, two.token, SB_SECRET_LEN);
    close_house(&h);
}

static void a_token_is_good_once(void **state)
{
    static struct house h;
    struct told told = { 0 };
    struct sb_hello hello;

    (void)state;
    open_house(&h);
    hello = hello_for(make(&h.sessions[0], &outward, &told));
    assert_status(SOCKBROKER_OK, claim(&h, &hello, &h.sessions[0].peer));
    assert_status(SOCKBROKER_NOT_FOUND, claim(&h, &hello, &h.sessions[0].peer));
    close_house(&h);
}

static void a_token_is_for_one_process_and_a_refusal_spends_nothing(void **state)
{
    static struct house h;
    struct told told = { 0 };
    struct sb_hello hello, wrong;
    struct sb_peer peer;

    (void)state;
    open_house(&h);
    hello = hello_for(make(&h.sessions[0], &outward, &told));
    for (size_t i = 0; i < SB_SECRET_LEN; i++) {
        wrong = hello;
        wrong.token[i] ^= 1;
        assert_status(SOCKBROKER_REFUSED, claim(&h, &wrong, &h.sessions[0].peer));
    }
    for (int i = 0; i < 3; i++) {
        peer = h.sessions[0].peer;
        *(i == 0 ? &peer.pid : i == 1 ? &peer.uid : &peer.gid) += 1;
        assert_status(SOCKBROKER_REFUSED, claim(&h, &hello, &peer));
    }
    assert_status(SOCKBROKER_OK, claim(&h, &hello, &h.sessions[0].peer));
    close_house(&h);
}

static void a_grant_is_found_by_its_own_session_alone(void **state)
{
    static struct house h;
    struct told told = { 0 };
    struct sb_grant *g;
    struct sb_hello hello;

    (void)state;
    open_house(&h);
    g = make(&h.sessions[0], &outward, &told);
    hello = hello_for(g);
    assert_ptr_equal(sb_grant_find(&h.sessions[0], g->id), g);
    assert_null(sb_grant_find(&h.sessions[1], g->id));
    hello.session_id = 2;
    assert_status(SOCKBROKER_NOT_FOUND, claim(&h, &hello, &h.sessions[1].peer));
    hello.session_id = 3;
    assert_status(SOCKBROKER_NOT_FOUND, claim(&h, &hello, &h.sessions[0].peer));
    hello = hello_for(g);
    hello.grant_id++;
    assert_status(SOCKBROKER_NOT_FOUND, claim(&h, &hello, &h.sessions[0].peer));
    close_house(&h);
}

static void a_session_has_a_greatest_number_under_way(void **state)
{
    static struct house h;
    struct told told = { 0 };
    struct sb_grant *g = NULL;

    (void)state;
    open_house(&h);
    for (unsigned i = 0; i < UNDER_WAY_MAX; i++)
        make(&h.sessions[0], &outward, &told);
    assert_status(SOCKBROKER_BUSY, sb_grant_create(&h.sessions[0], &outward, SOCKBROKER_SOCKET_NONE, &told, &g));
    assert_null(g);
    make(&h.sessions[1], &outward, &told); /* not at the cost of others */
    sb_grant_destroy(h.sessions[0].grants);
    make(&h.sessions[0], &outward, &told);
    close_house(&h);
    assert_int_equal(told.ended, UNDER_WAY_MAX + 1);
}

/* ---- what becomes of it ---- */

static void a_socket_that_was_given_may_be_all_or_wait_for_its_ack(void **state)
{
    static struct house h;
    struct told all = { .given_is_all = true }, waits = { 0 };
    struct sb_grant *g;

    (void)state;
    open_house(&h);
    sb_grant_given(make(&h.sessions[0], &outward, &all));
    assert_null(h.sessions[0].grants);
    g = make(&h.sessions[0], &outward, &waits);
    sb_grant_given(g);
    assert_ptr_equal(h.sessions[0].grants, g);
    assert_int_equal(all.given + waits.given, 2);
    assert_int_equal(h.broker.n_grants_given, 2);
    close_house(&h);
    assert_int_equal(all.ended, 0);
    assert_int_equal(waits.ended, 1);
}

static void what_the_worker_settles_is_told_once(void **state)
{
    static const enum sb_verdict refusals[] = { SB_VERDICT_NACK_DESCRIPTORS, SB_VERDICT_NACK_MISSING, SB_VERDICT_NACK_UNUSABLE,
                                                SB_VERDICT_FINISHED };
    static struct house h;
    struct sb_grant *g;

    (void)state;
    open_house(&h);
    for (size_t i = 0; i <= UNIT_COUNT(refusals); i++) {
        struct told told = { 0 };
        enum sb_verdict verdict = i < UNIT_COUNT(refusals) ? refusals[i] : SB_VERDICT_ACK;

        g = make(&h.sessions[0], &outward, &told);
        uint64_t id = g->id;
        must_claim(&h, g);
        assert_int_equal(settle(&h.sessions[0], id, verdict), verdict == SB_VERDICT_ACK);
        assert_int_equal(told.kept, verdict == SB_VERDICT_ACK);
        assert_int_equal(h.broker.bad_messages, i);
        assert_false(settle(&h.sessions[0], id, SB_VERDICT_ACK));
        assert_int_equal(h.broker.bad_messages, i + 1);
        assert_int_equal(told.settled, 1);
        assert_int_equal(told.ended, 0);
    }
    close_house(&h);
}

static void what_was_not_fetched_or_is_anothers_cannot_be_settled(void **state)
{
    static struct house h;
    struct told told = { 0 };
    struct sb_grant *unclaimed, *leaving;

    (void)state;
    open_house(&h);
    unclaimed = make(&h.sessions[0], &outward, &told);
    leaving = make(&h.sessions[0], &inward, &told);
    must_claim(&h, leaving);
    assert_false(settle(&h.sessions[0], unclaimed->id, SB_VERDICT_ACK));
    assert_false(settle(&h.sessions[0], leaving->id, SB_VERDICT_ACK));
    must_claim(&h, unclaimed);
    assert_false(settle(&h.sessions[1], unclaimed->id, SB_VERDICT_ACK));
    assert_false(settle(&h.sessions[0], leaving->id + 1, SB_VERDICT_ACK));
    assert_int_equal(h.broker.bad_messages, 4);
    assert_int_equal(told.settled, 0);
    assert_true(settle(&h.sessions[0], unclaimed->id, SB_VERDICT_ACK));
    close_house(&h);
}

/* What could not be fetched, or is not here any more. */
static void giving_back_is_no_offence_and_ends_what_was_not_fetched(void **state)
{
    static struct house h;
    struct told told = { 0 };

    (void)state;
    open_house(&h);
    uint64_t id = make(&h.sessions[0], &outward, &told)->id;
    assert_false(settle(&h.sessions[1], id, SB_VERDICT_NACK_UNUSABLE));
    assert_int_equal(told.ended, 0);
    assert_false(settle(&h.sessions[0], id, SB_VERDICT_NACK_DESCRIPTORS));
    assert_int_equal(told.ended, 1);
    assert_int_equal(told.settled, 0);
    assert_false(settle(&h.sessions[0], id, SB_VERDICT_NACK_UNUSABLE));
    assert_int_equal(h.broker.bad_messages, 0);
    assert_null(h.sessions[0].grants);
    close_house(&h);
}

static void what_is_abandoned_ends_claimed_or_not(void **state)
{
    static struct house h;
    struct told told = { 0 };

    (void)state;
    open_house(&h);
    struct sb_grant *leaving = make(&h.sessions[0], &inward, &told);
    must_claim(&h, leaving);
    sb_grant_abandon(leaving);
    sb_grant_abandon(make(&h.sessions[0], &outward, &told));
    assert_int_equal(told.ended, 2);
    assert_int_equal(h.sessions[0].n_grants, 0);
    close_house(&h);
}

static void an_arrival_ends_the_grant_whether_it_is_wanted_or_not(void **state)
{
    static const sockbroker_status results[] = { SOCKBROKER_OK, SOCKBROKER_NAME_TAKEN };
    static struct house h;
    struct sockbroker_error error;

    (void)state;
    open_house(&h);
    for (size_t i = 0; i < UNIT_COUNT(results); i++) {
        struct told told = { .arrival = results[i] };
        sockbroker_socket sock = 7; /* never used as one */

        assert_status(results[i], sb_grant_arrived(make(&h.sessions[0], &inward, &told), &sock, &error));
        assert_int_equal(sock, results[i] ? 7 : SOCKBROKER_SOCKET_NONE);
        assert_null(h.sessions[0].grants);
        assert_int_equal(told.arrived, 1);
        assert_int_equal(told.ended, 0);
    }
    close_house(&h);
}

static void what_nobody_fetches_in_time_ends_and_what_was_fetched_stays(void **state)
{
    static struct house h;
    struct told late = { 0 }, fetched = { 0 }, young = { 0 };
    struct sb_grant *g;

    (void)state;
    open_house(&h);
    make(&h.sessions[0], &outward, &late)->since_ms = 5000;
    g = make(&h.sessions[0], &outward, &fetched);
    g->since_ms = 5000;
    must_claim(&h, g);
    make(&h.sessions[0], &inward, &young)->since_ms = 5001;
    sb_grants_tick(&h.sessions[0], 5000 + ATTACH_MS);
    assert_int_equal(late.ended, 0);
    sb_grants_tick(&h.sessions[0], 5001 + ATTACH_MS);
    assert_int_equal(late.ended, 1);
    assert_int_equal(fetched.ended + young.ended, 0);
    assert_int_equal(h.sessions[0].n_grants, 2);
    close_house(&h);
    assert_int_equal(fetched.ended + young.ended, 2);
}

static void the_end_of_a_session_ends_its_grants_and_no_others(void **state)
{
    static struct house h;
    struct told mine = { 0 }, others = { 0 };

    (void)state;
    open_house(&h);
    must_claim(&h, make(&h.sessions[0], &outward, &mine));
    make(&h.sessions[0], &inward, &mine);
    make(&h.sessions[1], &outward, &others);
    sb_grants_end(&h.sessions[0]);
    assert_int_equal(mine.ended, 2);
    assert_int_equal(h.sessions[0].n_grants, 0);
    assert_int_equal(others.ended, 0);
    close_house(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(an_id_is_never_that_of_a_lease_and_never_comes_again),
        UNIT_TEST(two_grants_have_two_tokens),
        UNIT_TEST(a_token_is_good_once),
        UNIT_TEST(a_token_is_for_one_process_and_a_refusal_spends_nothing),
        UNIT_TEST(a_grant_is_found_by_its_own_session_alone),
        UNIT_TEST(a_session_has_a_greatest_number_under_way),
        UNIT_TEST(a_socket_that_was_given_may_be_all_or_wait_for_its_ack),
        UNIT_TEST(what_the_worker_settles_is_told_once),
        UNIT_TEST(what_was_not_fetched_or_is_anothers_cannot_be_settled),
        UNIT_TEST(giving_back_is_no_offence_and_ends_what_was_not_fetched),
        UNIT_TEST(what_is_abandoned_ends_claimed_or_not),
        UNIT_TEST(an_arrival_ends_the_grant_whether_it_is_wanted_or_not),
        UNIT_TEST(what_nobody_fetches_in_time_ends_and_what_was_fetched_stays),
        UNIT_TEST(the_end_of_a_session_ends_its_grants_and_no_others),
    };

    return cmocka_run_group_tests_name("grant", tests, NULL, NULL);
}
