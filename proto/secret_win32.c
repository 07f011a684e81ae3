#include "proto/secret.h"

#include <windows.h>

#include <bcrypt.h>

sockbroker_status sb_secret_fill(void *bytes_out, size_t len)
{
    NTSTATUS failed = BCryptGenRandom(NULL, bytes_out, (ULONG)len, BCRYPT_USE_SYSTEM_PREFERRED_RNG);

    return failed ? SOCKBROKER_SYSTEM : SOCKBROKER_OK;
}
