/* secret.h: random bytes nobody can guess, and a comparison that does not tell how far it came. */
#ifndef SB_PROTO_SECRET_H
#define SB_PROTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/status.h"

/* From the system's generator. OK or SYSTEM. */
sockbroker_status sb_secret_fill(void *bytes_out, size_t len);

bool sb_secret_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
