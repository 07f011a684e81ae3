/* fuzz_wire.c: foreign bytes as a message. The first byte says which; tests/data/wire is a corpus of this form. */
#include <stdlib.h>

#include "tests/fuzz/wire_kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockbroker_error error;

    if (size > 0 && wire_try(&wire_kinds[data[0] % N_WIRE_KINDS], data + 1, size - 1, &error) == WIRE_BROKEN)
        abort();
    return 0;
}
