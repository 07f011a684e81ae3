/* What sealed.h promises on POSIX beyond test_deposit_memory.c. */
#include "broker/sealed.h"

#include <unistd.h>

#include "proto/socket.h"
#include "tests/unit/unit.h"

static void nobody_writes_it_any_more(void **state)
{
    sockbroker_socket memory = SOCKBROKER_SOCKET_NONE;

    (void)state;
    assert_status(SOCKBROKER_OK, sb_sealed_write("one", 3, "two", 3, &memory));
    assert_int_equal(write(memory, "x", 1), -1);
    assert_int_equal(ftruncate(memory, 0), -1);
    sb_socket_close(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(nobody_writes_it_any_more) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
