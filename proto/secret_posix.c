#include "proto/secret.h"

#include <sys/random.h>

sockbroker_status sb_secret_fill(void *bytes_out, size_t len)
{
    /* up to 256 bytes come whole once the pool is ready: getrandom(2) */
    return getrandom(bytes_out, len, 0) == (ssize_t)len ? SOCKBROKER_OK : SOCKBROKER_SYSTEM;
}
