/* The states of a group of workers, with a clock and processes of the test's own (broker/group.h, broker/rollover.h). */
#include "tests/unit/unit.h"

#include <string.h>
#include <utlist.h>

#include "broker/group.h"
#include "broker/log.h"
#include "broker/rollover.h"
#include "proto/error.h"
#include "tests/support/format.h"

/* ---- a group whose processes are words in a log ---- */

static struct {
    char log[4096];
    bool fails;           /* nothing can be started */
    bool idle;            /* nobody holds a connection */
    const char *to_adopt; /* the name of a worker that is there already */
    unsigned n_rolled;
    sockbroker_status rolled;
    char text[SOCKBROKER_ERROR_TEXT_MAX];
} world;

static void note(const char *what, const struct sb_slot *slot)
{
    size_t len = strlen(world.log);

    format_text(world.log + len, sizeof(world.log) - len, "%s%s %s", len ? ", " : "", what, slot->name);
}

/* What has been done since the last look. */
static void assert_done(const char *expected)
{
    assert_string_equal(world.log, expected);
    world.log[0] = '\0';
}

static bool fake_adopt(struct sb_slot *slot)
{
    if (world.to_adopt && !strcmp(world.to_adopt, slot->name)) {
        note("adopt", slot);
        slot->process = &world;
    }
    return slot->process != NULL;
}

static sockbroker_status fake_start(struct sb_slot *slot, struct sockbroker_error *error_out)
{
    if (world.fails)
        return sb_error_set(error_out, SOCKBROKER_SYSTEM, 0, "cannot be had");
    note("start", slot);
    slot->process = &world;
    return SOCKBROKER_OK;
}

static void fake_admit(struct sb_slot *slot)
{
    note("admit", slot);
}

static void fake_drain(struct sb_slot *slot)
{
    note("drain", slot);
}

static bool fake_is_idle(const struct sb_slot *slot)
{
    (void)slot;
    return world.idle;
}

static void fake_end(struct sb_slot *slot, bool at_once)
{
    note(at_once ? "kill" : "term", slot);
}

static void fake_rolled(struct sb_group *g, sockbroker_status status, const char *text)
{
    (void)g;
    world.n_rolled++;
    world.rolled = status;
    format_text(world.text, sizeof(world.text), "%s", text);
}

static uint32_t fake_random(void)
{
    return 0;
}

static const struct sb_group_ops ops = { fake_adopt,   fake_start, fake_admit,  fake_drain,
                                         fake_is_idle, fake_end,   fake_rolled, fake_random };

static struct sb_group *create(uint32_t spawn)
{
    struct sb_config config;
    struct sb_group *g;
    const char *command = "worker";

    memset(&world, 0, sizeof(world));
    sb_config_init(&config);
    assert_status(SOCKBROKER_OK, sb_config_set_global(&config, "command", &command, 1, NULL));
    assert_status(SOCKBROKER_OK, sb_config_complete(&config, NULL));
    config.groups[0].spawn = spawn;
    strcpy(config.groups[0].name, "g");
    config.groups[0].restart_max = 3;
    assert_status(SOCKBROKER_OK, sb_group_create(&config.groups[0], &ops, NULL, 1, 0, &g));
    sb_config_deinit(&config);
    return g;
}

static struct sb_slot *slot_of(struct sb_group *g, const char *name)
{
    struct sb_generation *generation;
    struct sb_slot *slot;

    DL_FOREACH(g->generations, generation) {
        DL_FOREACH(generation->slots, slot) {
            if (!strcmp(slot->name, name))
                return slot;
        }
    }
    fail_msg("no slot %s", name);
    return NULL;
}

static const char *state_of(struct sb_group *g, const char *name)
{
    return sb_slot_state_name(slot_of(g, name)->state);
}

static void ready(struct sb_group *g, const char *name, uint64_t now_ms)
{
    sb_group_slot_ready(slot_of(g, name), now_ms);
}

static void ended(struct sb_group *g, const char *name, uint64_t now_ms)
{
    sb_group_slot_ended(slot_of(g, name), "exited with 1", now_ms);
}

static struct sb_group *create_ready(void)
{
    struct sb_group *g = create(2);

    ready(g, "g-1-1", 0);
    ready(g, "g-1-2", 0);
    assert_done("start g-1-1, start g-1-2");
    return g;
}

static void must_roll(struct sb_group *g, uint64_t now_ms)
{
    struct sockbroker_error error;

    assert_status(SOCKBROKER_OK, sb_rollover_begin(g, NULL, now_ms, &error));
}

/* ---- restarts ---- */

static void a_worker_that_ends_starts_again_after_its_delay(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    ended(g, "g-1-1", 1000);
    assert_string_equal(state_of(g, "g-1-1"), "waiting");
    sb_group_tick(g, 1199);
    assert_done("");
    sb_group_tick(g, 1200);
    assert_done("start g-1-1");
    assert_int_equal(slot_of(g, "g-1-1")->n_restarts, 1);
    ended(g, "g-1-1", 1300); /* it never was ready: the next delay is longer */
    sb_group_tick(g, 1699);
    assert_done("");
    sb_group_tick(g, 1700);
    assert_done("start g-1-1");
    assert_string_equal(state_of(g, "g-1-2"), "ready");
    sb_group_destroy(g);
}

static void a_living_worker_is_adopted_and_not_started_beside(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    world.to_adopt = "g-1-2";
    ended(g, "g-1-2", 100);
    ended(g, "g-1-1", 100);
    sb_group_tick(g, 300);
    assert_done("start g-1-1, adopt g-1-2");
    assert_string_equal(state_of(g, "g-1-2"), "ready");
    sb_group_destroy(g);
}

static void too_many_restarts_give_a_slot_up_and_leave_the_others_alone(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        ended(g, "g-1-1", i * 10000);
        sb_group_tick(g, i * 10000 + 9000);
    }
    assert_string_equal(state_of(g, "g-1-1"), "given-up");
    assert_done("start g-1-1, start g-1-1, start g-1-1");
    sb_group_tick(g, 10000000);
    assert_done("");
    assert_string_equal(state_of(g, "g-1-2"), "ready");
    assert_status(SOCKBROKER_OK, sb_group_scale(g, 2, 10000000, NULL)); /* asked for again, it gets another chance */
    assert_done("start g-1-1");
    sb_group_destroy(g);
}

static void what_cannot_be_started_is_tried_again(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    ended(g, "g-1-2", 0);
    world.fails = true;
    sb_group_tick(g, 200);
    assert_string_equal(state_of(g, "g-1-2"), "waiting");
    world.fails = false;
    sb_group_tick(g, 599);
    assert_done("");
    sb_group_tick(g, 600);
    assert_done("start g-1-2");
    sb_group_destroy(g);
}

static void a_worker_that_is_not_ready_in_time_is_ended_and_started_again(void **state)
{
    struct sb_group *g = create(1);

    (void)state;
    assert_done("start g-1-1");
    sb_group_tick(g, 29999);
    assert_done("");
    sb_group_tick(g, 30000);
    assert_done("term g-1-1");
    sb_group_slot_ready(slot_of(g, "g-1-1"), 30001); /* too late */
    assert_string_equal(state_of(g, "g-1-1"), "ending");
    sb_group_tick(g, 40000);
    assert_done("kill g-1-1");
    ended(g, "g-1-1", 40001);
    sb_group_tick(g, 40201);
    assert_done("start g-1-1");
    sb_group_destroy(g);
}

static void a_worker_drained_by_hand_stays_away_until_it_is_asked_for(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    sb_group_slot_drained(slot_of(g, "g-1-1"), 10);
    sb_group_tick(g, 10000000); /* it takes as long as it likes */
    assert_done("");
    assert_string_equal(state_of(g, "g-1-1"), "draining");
    ended(g, "g-1-1", 10000000);
    assert_string_equal(state_of(g, "g-1-1"), "stopped");
    sb_group_tick(g, 20000000);
    assert_done("");
    assert_status(SOCKBROKER_OK, sb_group_scale(g, 2, 20000000, NULL));
    assert_done("start g-1-1");
    ended(g, "g-1-1", 20000001); /* from now on like any other */
    assert_string_equal(state_of(g, "g-1-1"), "waiting");
    sb_group_destroy(g);
}

/* ---- from one generation to the next ---- */

static void the_next_generation_is_let_in_when_all_of_it_is_ready_and_then_the_old_one_drains(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    must_roll(g, 100);
    assert_done("start g-2-1, start g-2-2");
    assert_true(g->starting->standby);
    ready(g, "g-2-2", 110);
    assert_done("");
    assert_int_equal(g->serving->number, 1);
    ready(g, "g-2-1", 120);
    assert_done("admit g-2-1, admit g-2-2, drain g-1-1, drain g-1-2");
    assert_int_equal(g->serving->number, 2);
    assert_false(g->serving->standby);
    assert_int_equal(world.n_rolled, 1);
    assert_status(SOCKBROKER_OK, world.rolled);
    sb_group_slot_ended(slot_of(g, "g-1-1"), "exited with 0", 130);
    sb_group_slot_ended(slot_of(g, "g-1-2"), "exited with 0", 140);
    sb_group_tick(g, 150);
    assert_done(""); /* nobody starts them again */
    assert_ptr_equal(g->generations, g->serving);
    assert_null(g->serving->next);
    sb_group_destroy(g);
}

static void a_worker_that_ends_before_all_are_ready_fails_its_generation(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    must_roll(g, 100);
    assert_done("start g-2-1, start g-2-2");
    ready(g, "g-2-1", 110);
    ended(g, "g-2-2", 120);
    assert_done("drain g-2-1");
    assert_status(SOCKBROKER_CLOSED, world.rolled);
    assert_non_null(strstr(world.text, "worker g-2-2 exited with 1"));
    assert_non_null(strstr(world.text, "generation 1 goes on"));
    assert_string_equal(g->failure, world.text);
    assert_int_equal(g->serving->number, 1);
    assert_null(g->starting);
    assert_string_equal(state_of(g, "g-1-1"), "ready");
    ended(g, "g-2-1", 130);
    sb_group_tick(g, 200);
    assert_null(g->serving->next);
    must_roll(g, 300); /* a number is never used again */
    assert_done("start g-3-1, start g-3-2");
    ready(g, "g-3-1", 310);
    ready(g, "g-3-2", 320);
    assert_int_equal(g->serving->number, 3);
    assert_string_equal(g->failure, "");
    sb_group_destroy(g);
}

static void a_worker_that_was_ready_and_ends_fails_its_generation_too(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    must_roll(g, 100);
    ready(g, "g-2-1", 110);
    ended(g, "g-2-1", 120);
    assert_status(SOCKBROKER_CLOSED, world.rolled);
    assert_done("start g-2-1, start g-2-2, term g-2-2");
    sb_group_destroy(g);
}

static void a_generation_that_is_not_ready_in_time_fails(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    must_roll(g, 100);
    ready(g, "g-2-1", 110);
    world.log[0] = '\0';
    sb_group_tick(g, 30099);
    assert_int_equal(world.n_rolled, 0);
    sb_group_tick(g, 30100);
    assert_status(SOCKBROKER_TIMEOUT, world.rolled);
    assert_non_null(strstr(world.text, "worker g-2-2 was not ready within 30000 ms"));
    assert_done("drain g-2-1, term g-2-2");
    assert_string_equal(state_of(g, "g-1-2"), "ready");
    sb_group_destroy(g);
}

static void a_generation_that_cannot_be_started_fails_at_once(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    world.fails = true;
    must_roll(g, 100);
    assert_int_equal(world.n_rolled, 1);
    assert_non_null(strstr(world.text, "cannot be had"));
    assert_null(g->starting);
    sb_group_tick(g, 150);
    assert_null(g->serving->next);
    sb_group_destroy(g);
}

static void one_rollover_at_a_time(void **state)
{
    struct sb_group *g = create_ready();
    struct sockbroker_error error;

    (void)state;
    must_roll(g, 100);
    assert_status(SOCKBROKER_BUSY, sb_rollover_begin(g, NULL, 110, &error));
    assert_status(SOCKBROKER_BUSY, sb_group_scale(g, 5, 110, &error));
    ready(g, "g-2-1", 120);
    ready(g, "g-2-2", 120);
    assert_status(SOCKBROKER_OK, sb_rollover_begin(g, NULL, 130, &error)); /* while the first one drains */
    assert_int_equal(world.n_rolled, 1);
    sb_group_destroy(g);
}

static void any_number_of_generations_may_overlap(void **state)
{
    struct sb_group *g = create_ready();
    struct sb_generation *generation;
    unsigned n;

    (void)state;
    for (uint64_t i = 2; i <= 6; i++) {
        char name[16];

        must_roll(g, 100 * i);
        for (unsigned k = 1; k <= 2; k++) {
            format_text(name, sizeof(name), "g-%u-%u", (unsigned)i, k);
            ready(g, name, 100 * i + k);
        }
    }
    DL_COUNT(g->generations, generation, n);
    assert_int_equal(n, 6);
    assert_int_equal(g->serving->number, 6);
    ended(g, "g-3-1", 1000); /* in any order */
    ended(g, "g-3-2", 1000);
    sb_group_tick(g, 1000);
    DL_COUNT(g->generations, generation, n);
    assert_int_equal(n, 5);
    sb_group_destroy(g);
}

static void without_anybody_ready_before_nobody_waits_on_standby(void **state)
{
    struct sb_group *g = create(1);

    (void)state;
    must_roll(g, 100);
    assert_false(g->starting->standby);
    sb_group_destroy(g);
}

static void a_generation_of_nobody_serves_at_once(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    assert_status(SOCKBROKER_OK, sb_group_scale(g, 0, 50, NULL));
    must_roll(g, 100);
    assert_int_equal(g->serving->number, 2);
    sb_group_destroy(g);
}

/* ---- leaving ---- */

static void who_drains_too_long_is_asked_to_end_and_then_ended(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    must_roll(g, 0);
    ready(g, "g-2-1", 0);
    ready(g, "g-2-2", 0);
    ended(g, "g-1-2", 1);
    world.log[0] = '\0';
    sb_group_tick(g, 29999);
    assert_done("");
    sb_group_tick(g, 30000);
    assert_done("term g-1-1");
    sb_group_tick(g, 39999);
    assert_done("");
    sb_group_tick(g, 40000);
    assert_done("kill g-1-1");
    sb_group_tick(g, 90000);
    assert_done(""); /* more cannot be done */
    ended(g, "g-1-1", 90001);
    sb_group_tick(g, 90050);
    assert_null(g->serving->next);
    sb_group_destroy(g);
}

static void who_holds_nothing_is_asked_to_end_soon(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    world.idle = true;
    must_roll(g, 0);
    ready(g, "g-2-1", 0);
    ready(g, "g-2-2", 0);
    world.log[0] = '\0';
    sb_group_tick(g, 499);
    assert_done("");
    sb_group_tick(g, 500);
    assert_done("term g-1-1, term g-1-2");
    sb_group_destroy(g);
}

static void scaling_starts_the_lowest_free_numbers_and_drops_the_highest(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    assert_status(SOCKBROKER_OK, sb_group_scale(g, 4, 10, NULL));
    assert_done("start g-1-3, start g-1-4");
    ready(g, "g-1-3", 20);
    assert_status(SOCKBROKER_OK, sb_group_scale(g, 1, 30, NULL));
    assert_done("drain g-1-2, drain g-1-3, term g-1-4");
    assert_status(SOCKBROKER_OK, sb_group_scale(g, 2, 40, NULL)); /* those numbers are still taken */
    assert_done("start g-1-5");
    ended(g, "g-1-2", 50);
    ended(g, "g-1-3", 50);
    ended(g, "g-1-4", 50);
    sb_group_tick(g, 60);
    assert_done("");
    assert_status(SOCKBROKER_OK, sb_group_scale(g, 3, 70, NULL));
    assert_done("start g-1-2");
    assert_int_equal(g->wanted, 3);
    must_roll(g, 80); /* keeps the number */
    assert_done("start g-2-1, start g-2-2, start g-2-3");
    sb_group_destroy(g);
}

static void a_group_that_rests_starts_nobody_and_goes_on_serving(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    ended(g, "g-1-2", 100);
    must_roll(g, 150);
    world.log[0] = '\0';
    sb_group_rest(g, 200);
    assert_done("term g-2-1, term g-2-2");
    assert_status(SOCKBROKER_CLOSED, world.rolled);
    sb_group_tick(g, 5000);
    assert_done("");
    assert_string_equal(state_of(g, "g-1-1"), "ready");
    sb_group_destroy(g);
}

static void a_group_that_leaves_starts_nobody_and_is_over_with_the_last_one(void **state)
{
    struct sb_group *g = create_ready();

    (void)state;
    ended(g, "g-1-2", 100);
    must_roll(g, 150);
    world.log[0] = '\0';
    sb_group_leave(g, 100, 200);
    assert_done("term g-2-1, term g-2-2, drain g-1-1");
    assert_status(SOCKBROKER_CLOSED, world.rolled);
    sb_group_tick(g, 5000);
    assert_done("");
    assert_false(sb_group_is_over(g));
    sb_group_tick(g, 30100); /* from 100 on, as it was told; those of generation 2 were asked at 200 */
    assert_done("term g-1-1, kill g-2-1, kill g-2-2");
    ended(g, "g-1-1", 30200);
    ended(g, "g-2-1", 30200);
    ended(g, "g-2-2", 30200);
    sb_group_tick(g, 30250);
    assert_done("");
    assert_true(sb_group_is_over(g));
    assert_status(SOCKBROKER_BUSY, sb_rollover_begin(g, NULL, 1, NULL));
    sb_group_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_worker_that_ends_starts_again_after_its_delay),
        UNIT_TEST(a_living_worker_is_adopted_and_not_started_beside),
        UNIT_TEST(too_many_restarts_give_a_slot_up_and_leave_the_others_alone),
        UNIT_TEST(what_cannot_be_started_is_tried_again),
        UNIT_TEST(a_worker_that_is_not_ready_in_time_is_ended_and_started_again),
        UNIT_TEST(a_worker_drained_by_hand_stays_away_until_it_is_asked_for),
        UNIT_TEST(the_next_generation_is_let_in_when_all_of_it_is_ready_and_then_the_old_one_drains),
        UNIT_TEST(a_worker_that_ends_before_all_are_ready_fails_its_generation),
        UNIT_TEST(a_worker_that_was_ready_and_ends_fails_its_generation_too),
        UNIT_TEST(a_generation_that_is_not_ready_in_time_fails),
        UNIT_TEST(a_generation_that_cannot_be_started_fails_at_once),
        UNIT_TEST(one_rollover_at_a_time),
        UNIT_TEST(any_number_of_generations_may_overlap),
        UNIT_TEST(without_anybody_ready_before_nobody_waits_on_standby),
        UNIT_TEST(a_generation_of_nobody_serves_at_once),
        UNIT_TEST(who_drains_too_long_is_asked_to_end_and_then_ended),
        UNIT_TEST(who_holds_nothing_is_asked_to_end_soon),
        UNIT_TEST(scaling_starts_the_lowest_free_numbers_and_drops_the_highest),
        UNIT_TEST(a_group_that_rests_starts_nobody_and_goes_on_serving),
        UNIT_TEST(a_group_that_leaves_starts_nobody_and_is_over_with_the_last_one),
    };

    sb_log_set_level(SB_LOG_ERROR);
    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
