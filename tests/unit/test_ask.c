/* What ask.h promises: the whole status, whatever number of pages it takes.
 *
 * The broker is a thread of the test that answers Status with pages of made-up lists. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/ask.h"
#include "tests/support/format.h"

struct house {
    struct sb_server *server;
    struct sb_client *client;
    uint32_t n_endpoints, n_sessions, n_deposits;
    uint32_t n_groups, n_generations, n_slots;
    uint32_t fails_at; /* the deposit whose page is refused; 0: none */
    int bell;
    pthread_t thread;
    atomic_bool stop;
};

static void ring(void *arg)
{
    uint64_t one = 1;

    if (write(*(int *)arg, &one, sizeof(one)) < 0)
        abort();
}

static uint32_t on_page(uint32_t n, uint32_t first, uint32_t n_max)
{
    uint32_t left = first < n ? n - first : 0;

    return left < n_max ? left : n_max;
}

static void name(char out[SOCKBROKER_NAME_MAX + 1], char kind, uint32_t number)
{
    format_text(out, SOCKBROKER_NAME_MAX + 1, "%c%u", kind, number);
}

static void fill(const struct house *h, const struct sb_status_request *from, struct sb_status_page *page)
{
    page->n_endpoints = on_page(h->n_endpoints, from->first_endpoint, SB_PAGE_ENDPOINTS);
    page->n_sessions = on_page(h->n_sessions, from->first_session, SB_PAGE_SESSIONS);
    page->n_deposits = on_page(h->n_deposits, from->first_deposit, SB_PAGE_DEPOSITS);
    page->next_endpoint = from->first_endpoint + page->n_endpoints;
    page->next_session = from->first_session + page->n_sessions;
    page->next_deposit = from->first_deposit + page->n_deposits;
    for (uint32_t i = 0; i < page->n_endpoints; i++)
        name(page->endpoints[i].name, 'e', from->first_endpoint + i);
    for (uint32_t i = 0; i < page->n_sessions; i++) {
        name(page->sessions[i].name, 's', from->first_session + i);
        page->sessions[i].id = 1;
    }
    for (uint32_t i = 0; i < page->n_deposits; i++) {
        name(page->deposits[i].name, 'd', from->first_deposit + i);
        name(page->deposits[i].owner, 's', 0);
    }
}

static void fill_groups(const struct house *h, const struct sb_groups_request *from, struct sb_groups_page *page)
{
    page->n_groups = on_page(h->n_groups, from->first_group, SB_PAGE_GROUPS);
    page->n_generations = on_page(h->n_generations, from->first_generation, SB_PAGE_GENERATIONS);
    page->n_slots = on_page(h->n_slots, from->first_slot, SB_PAGE_SLOTS);
    page->next_group = from->first_group + page->n_groups;
    page->next_generation = from->first_generation + page->n_generations;
    page->next_slot = from->first_slot + page->n_slots;
    for (uint32_t i = 0; i < page->n_groups; i++)
        name(page->groups[i].name, 'g', from->first_group + i);
    for (uint32_t i = 0; i < page->n_generations; i++) {
        name(page->generations[i].group, 'g', 0);
        page->generations[i].generation = from->first_generation + i + 1;
    }
    for (uint32_t i = 0; i < page->n_slots; i++) {
        name(page->slots[i].group, 'g', 0);
        name(page->slots[i].worker, 'w', from->first_slot + i);
        page->slots[i].generation = 1;
    }
}

static void answer(const struct house *h, struct sb_call *call, const struct sb_request *request)
{
    static struct sb_reply reply;

    memset(&reply, 0, sizeof(reply));
    if (request->kind == SB_REQUEST_GROUPS) {
        reply.kind = SB_REPLY_GROUPS;
        fill_groups(h, &request->as.groups, &reply.as.groups);
        sb_call_reply(call, &reply);
        return;
    }
    reply.kind = SB_REPLY_STATUS;
    fill(h, &request->as.status, &reply.as.status);
    reply.as.status.broker.n_deposits = h->n_deposits;
    if (h->fails_at && request->as.status.first_deposit >= h->fails_at) {
        memset(&reply, 0, sizeof(reply));
        reply.kind = SB_REPLY_FAILURE;
        reply.as.failure.status = SOCKBROKER_BUSY;
    }
    sb_call_reply(call, &reply);
}

static void *run_loop(void *arg)
{
    struct house *h = arg;
    static struct sb_request request;
    struct sb_call *call;
    uint64_t count;

    while (!h->stop) {
        if (unit_poll(h->bell, POLLIN, UNIT_PATIENCE_MS) && read(h->bell, &count, sizeof(count)) < 0)
            abort();
        while (sb_server_take(h->server, &call, &request))
            answer(h, call, &request);
    }
    return NULL;
}

static void open_house(struct house *h)
{
    struct sb_server_options options = {
        .max_calls = 8,
        .max_callers = 8,
        .introduce_ms = 600000,
        .messages_per_second = 1000000,
        .wake = ring,
        .arg = &h->bell,
    };
    struct sockbroker_error error;
    const char *path = unit_path("control");

    h->bell = eventfd(0, EFD_CLOEXEC);
    assert_true(h->bell >= 0);
    assert_status(SOCKBROKER_OK, sb_server_open(path, &options, &h->server, &error));
    assert_int_equal(pthread_create(&h->thread, NULL, run_loop, h), 0);
    assert_status(SOCKBROKER_OK, sb_client_open(path, NULL, NULL, &h->client, &error));
}

static void close_house(struct house *h)
{
    sb_client_close(h->client);
    h->stop = true;
    ring(&h->bell);
    pthread_join(h->thread, NULL);
    sb_server_close(h->server);
    close(h->bell);
    unit_folder_remove();
}

static void assert_name(char kind, size_t number, const char *got)
{
    char expected[SOCKBROKER_NAME_MAX + 1];

    name(expected, kind, (uint32_t)number);
    assert_string_equal(got, expected);
}

/* Each entry of each list once, in its order. */
static void assert_whole(struct house *h)
{
    struct sb_status_report r;
    struct sockbroker_error error;

    assert_status(SOCKBROKER_OK, sb_ask_status(h->client, &r, &error));
    assert_int_equal(r.n_endpoints, h->n_endpoints);
    assert_int_equal(r.n_sessions, h->n_sessions);
    assert_int_equal(r.n_deposits, h->n_deposits);
    assert_int_equal(r.broker.n_deposits, h->n_deposits);
    for (size_t i = 0; i < r.n_endpoints; i++)
        assert_name('e', i, r.endpoints[i].name);
    for (size_t i = 0; i < r.n_sessions; i++)
        assert_name('s', i, r.sessions[i].name);
    for (size_t i = 0; i < r.n_deposits; i++)
        assert_name('d', i, r.deposits[i].name);
    assert_int_equal(r.n_groups, h->n_groups);
    assert_int_equal(r.n_generations, h->n_generations);
    assert_int_equal(r.n_slots, h->n_slots);
    for (size_t i = 0; i < r.n_groups; i++)
        assert_name('g', i, r.groups[i].name);
    for (size_t i = 0; i < r.n_generations; i++)
        assert_int_equal(r.generations[i].generation, i + 1);
    for (size_t i = 0; i < r.n_slots; i++)
        assert_name('w', i, r.slots[i].worker);
    sb_status_report_deinit(&r);
}

static void the_longest_list_decides_how_many_pages_are_read(void **state)
{
    static const uint32_t rows[][3] = {
        { 0, 0, 0 }, { 1, 1, 1 }, { 9, 0, 0 }, { 0, 9, 0 }, { 0, 0, 9 }, { 4, 8, 12 }, { 12, 4, 8 }, { 5, 1, 40 },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct house h = { .n_endpoints = rows[i][0], .n_sessions = rows[i][1], .n_deposits = rows[i][2] };

        open_house(&h);
        assert_whole(&h);
        close_house(&h);
    }
}

static void groups_have_pages_of_their_own(void **state)
{
    static const uint32_t rows[][3] = { { 1, 1, 1 }, { 9, 0, 0 }, { 1, 20, 0 }, { 1, 1, 70 }, { 9, 18, 32 } };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct house h = { .n_groups = rows[i][0], .n_generations = rows[i][1], .n_slots = rows[i][2] };

        open_house(&h);
        assert_whole(&h);
        close_house(&h);
    }
}

static void a_page_that_is_refused_refuses_the_status(void **state)
{
    struct house h = { .n_endpoints = 1, .n_deposits = 9, .fails_at = 4 };
    struct sb_status_report r;
    struct sockbroker_error error;

    (void)state;
    open_house(&h);
    assert_status(SOCKBROKER_BUSY, sb_ask_status(h.client, &r, &error));
    assert_int_equal(error.status, SOCKBROKER_BUSY);
    close_house(&h);
}

/* nng opens descriptors of its own at the first use and keeps them. */
static int warm_up(void **state)
{
    struct house h = { .n_endpoints = 0 };
    int n_before = unit_count_sockets();

    (void)state;
    if (sb_channel_prepare(NULL))
        return -1;
    open_house(&h);
    close_house(&h);
    return unit_wait_sockets(n_before) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_longest_list_decides_how_many_pages_are_read),
        UNIT_TEST(groups_have_pages_of_their_own),
        UNIT_TEST(a_page_that_is_refused_refuses_the_status),
    };

    return cmocka_run_group_tests_name("ask", tests, warm_up, NULL);
}
