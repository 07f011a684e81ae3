/* kit_state.h: the state blobs of the tests of deposits: name and number tell each byte, so whoever gets one knows whether it
 * is whole, and the newest. For tests and for tests/support/kit_mover.c alike. */
#ifndef SB_TESTS_SUPPORT_KIT_STATE_H
#define SB_TESTS_SUPPORT_KIT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void kit_state_fill(const char *name, unsigned number, uint8_t *out, size_t len);
bool kit_state_is_whole(const char *name, unsigned number, const uint8_t *state, size_t len);

#endif
