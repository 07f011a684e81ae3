/* What limits.h promises: the broker asks for no more than its descriptors allow, and says so when that is too little.
 * root may raise its limit, so each row runs in a child without root's rights. */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/log.h"
#include "tests/support/format.h"

#define RESERVE 288u /* limits.c's, as are the least: 8 sessions and 64 connections */
#define PER_SESSION 4u

struct row {
    rlim_t hard, soft;
    uint32_t max_sessions;
    uint32_t max_connections; /* as configured; 0: from the limit */
    uint32_t n_addresses;
    bool fits;
};

#define LEAST(n_addresses) (RESERVE + 2 * (n_addresses) + 8 * PER_SESSION + 64)

static const struct row rows[] = {
    { LEAST(1), LEAST(1), 4096, 0, 1, true },
    { LEAST(1) - 1, LEAST(1) - 1, 4096, 0, 1, false },
    { LEAST(16), LEAST(16), 4096, 0, 16, true },
    { LEAST(16) - 1, LEAST(16) - 1, 4096, 0, 16, false },
    { 64, 64, 1, 1, 1, false },
    { 1024, 1024, 4096, 0, 1, true },
    { 1024, 256, 4096, 0, 1, true }, /* the soft limit is raised */
    { 1024, 1024, 8, 1024, 1, false },
    { LEAST(1) + 500, LEAST(1) + 500, 8, 564, 1, true }, /* to the last descriptor */
    { LEAST(1) + 500, LEAST(1) + 500, 8, 565, 1, false },
    { 1024, 1024, 1, 0, 1, true },
    { 1024, 1024, 100, 0, 1, true },
    { 1024, 1024, 4096, 100, 16, true },
};

static void set_limits(void *arg)
{
    static struct sb_broker b;
    const struct row *row = arg;
    struct sb_endpoint_config endpoint;
    struct sockbroker_error error = { 0 };
    struct rlimit limit = { row->soft, row->hard };

    UNIT_REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    UNIT_REQUIRE(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
    sb_config_init(&b.config);
    sb_endpoint_config_init(&endpoint);
    endpoint.n_addresses = row->n_addresses;
    b.config.endpoints = &endpoint;
    b.config.n_endpoints = 1;
    b.config.max_sessions = row->max_sessions;
    b.config.max_connections = row->max_connections;
    sockbroker_status st = sb_limits_set(&b, &error);
    if (!row->fits) {
        char number[32];

        format_text(number, sizeof(number), "limit is %lu", (unsigned long)row->hard);
        UNIT_REQUIRE(st == SOCKBROKER_INVALID);
        UNIT_REQUIRE(strstr(error.text, number) && strstr(error.text, "ulimit -n"));
        return;
    }
    UNIT_REQUIRE(st == SOCKBROKER_OK);
    UNIT_REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == row->hard);
    UNIT_REQUIRE(b.max_sessions >= 1 && b.max_sessions <= row->max_sessions);
    UNIT_REQUIRE(b.max_connections >= 64 || b.max_connections == row->max_connections);
    if (row->max_connections)
        UNIT_REQUIRE(b.max_connections == row->max_connections);
    UNIT_REQUIRE(RESERVE + 2 * row->n_addresses + PER_SESSION * (uint64_t)b.max_sessions + b.max_connections <= row->hard);
}

static void what_is_granted_never_exceeds_the_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        if (unit_in_child(set_limits, (void *)(uintptr_t)&rows[i]) != 0) {
            print_error("row %zu\n", i);
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(what_is_granted_never_exceeds_the_limit) };

    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
