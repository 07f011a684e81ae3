/* Nobody keeps a deposit for the next broker here (custody_link_win32.c), so none is written. */
#include "broker/deposit_memory.h"

sockbroker_status sb_deposit_memory_write(const struct sb_deposit_record *record, const uint8_t *state,
                                          sockbroker_socket *memory_out)
{
    (void)record;
    (void)state;
    (void)memory_out;
    return SOCKBROKER_UNSUPPORTED;
}

sockbroker_status sb_deposit_memory_read(sockbroker_socket memory, struct sb_deposit_record *record_out, uint8_t **state_out)
{
    (void)memory;
    (void)record_out;
    (void)state_out;
    return SOCKBROKER_UNSUPPORTED;
}
