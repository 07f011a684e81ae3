/* sealed.h: memory that another process of the same machine can read, as one descriptor; nobody writes it any more.
 * Windows: a file mapping without a file; nobody seals it, but only the broker's own account has it.
 */
#ifndef SB_BROKER_SEALED_H
#define SB_BROKER_SEALED_H

#include <stddef.h>

#include "sockbroker/socket.h"

/* One part behind the other; the second may be empty. OK, NO_DESCRIPTORS, NO_MEMORY, SYSTEM. */
sockbroker_status sb_sealed_write(const void *first, size_t first_len, const void *second, size_t second_len,
                                  sockbroker_socket *memory_out);

/* False: it has not so many bytes there, or is no such memory. */
bool sb_sealed_read(sockbroker_socket memory, size_t offset, void *into, size_t len);

#endif
