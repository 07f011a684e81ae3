/* What deposit_memory.h promises: what was written is read again; what is cut or foreign is refused. */
#include "broker/deposit_memory.h"

#include <stdlib.h>
#include <string.h>

#include "broker/sealed.h"
#include "proto/socket.h"
#include "tests/unit/unit.h"

static struct sb_deposit_record make_record(uint32_t state_len)
{
    struct sb_deposit_record r = { .owner = "giver", .uid = 1000, .since_ms = 123456789 };

    strcpy(r.asked.name, "cache.1");
    r.asked.lifetime_ms = 60000;
    r.asked.state_len = state_len;
    r.asked.n_allow_uids = 2;
    r.asked.allow_uids[0] = 5;
    r.asked.allow_uids[1] = 6;
    return r;
}

static void go_and_come_back(uint32_t state_len)
{
    struct sb_deposit_record r = make_record(state_len), back;
    uint8_t *state = malloc(state_len + 1), *state_back = NULL;
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;

    for (uint32_t i = 0; i < state_len; i++)
        state[i] = (uint8_t)(i * 31 + i / 256);
    assert_status(SOCKBROKER_OK, sb_deposit_memory_write(&r, state_len ? state : NULL, &memory));
    assert_status(SOCKBROKER_OK, sb_deposit_memory_read(memory, &back, &state_back));
    assert_string_equal(back.asked.name, r.asked.name);
    assert_string_equal(back.owner, r.owner);
    assert_true(back.uid == r.uid && back.since_ms == r.since_ms && back.asked.lifetime_ms == r.asked.lifetime_ms);
    assert_true(back.asked.n_allow_uids == 2 && back.asked.allow_uids[1] == 6);
    assert_int_equal(back.asked.state_len, state_len);
    assert_true(state_len ? !memcmp(state, state_back, state_len) : !state_back);
    sb_socket_close(&memory);
    free(state_back);
    free(state);
}

static void what_was_written_is_read_again(void **state)
{
    (void)state;
    go_and_come_back(0);
    go_and_come_back(1);
    go_and_come_back(SB_STATE_MAX);
}

/* The bytes of a good one, changed, in a memory of their own. */
static sockbroker_status read_changed(const uint8_t *bytes, size_t len)
{
    struct sb_deposit_record r;
    uint8_t *state = NULL;
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;

    assert_status(SOCKBROKER_OK, sb_sealed_write(bytes, len, NULL, 0, &memory));
    sockbroker_status st = sb_deposit_memory_read(memory, &r, &state);
    sb_socket_close(&memory);
    if (!st)
        free(state);
    return st;
}

static void what_is_cut_or_foreign_is_refused(void **state)
{
    uint8_t bytes[4096], changed[4096];
    struct sb_deposit_record r = make_record(10);
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_deposit_memory_write(&r, (const uint8_t *)"0123456789", &memory));
    size_t len = 0;
    while (len < sizeof(bytes) && sb_sealed_read(memory, len, &bytes[len], 1))
        len++;
    sb_socket_close(&memory);
    assert_true(len > 10 && len < sizeof(bytes));
    assert_status(SOCKBROKER_OK, read_changed(bytes, len));
    for (size_t cut = 0; cut < len; cut++)
        assert_status(SOCKBROKER_BAD_MESSAGE, read_changed(bytes, cut));
    memcpy(changed, bytes, len);
    changed[0] ^= 1;
    assert_status(SOCKBROKER_VERSION, read_changed(changed, len));
    for (size_t i = 0; i < len; i++) { /* whatever comes of it, it is whole */
        memcpy(changed, bytes, len);
        changed[i] ^= 0x80;
        read_changed(changed, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(what_was_written_is_read_again),
        UNIT_TEST(what_is_cut_or_foreign_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
