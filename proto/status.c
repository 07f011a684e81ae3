#include "sockbroker/status.h"

struct entry {
    const char *name;
    const char *text;
};

static const struct entry entries[SOCKBROKER_STATUS_COUNT] = {
    [SOCKBROKER_OK] = { "OK", "done" },
    [SOCKBROKER_AGAIN] = { "AGAIN", "nothing there now" },
    [SOCKBROKER_TIMEOUT] = { "TIMEOUT", "the time given has passed" },
    [SOCKBROKER_DRAINING] = { "DRAINING", "the broker asked this worker to finish" },
    [SOCKBROKER_CLOSED] = { "CLOSED", "it was closed" },
    [SOCKBROKER_REFUSED] = { "REFUSED", "a rule of the configuration says no" },
    [SOCKBROKER_BUSY] = { "BUSY", "a limit is reached, try again later" },
    [SOCKBROKER_NOT_FOUND] = { "NOT_FOUND", "there is nothing of that name" },
    [SOCKBROKER_NAME_TAKEN] = { "NAME_TAKEN", "a living worker has this name" },
    [SOCKBROKER_NO_BROKER] = { "NO_BROKER", "no broker answers there" },
    [SOCKBROKER_INVALID] = { "INVALID", "an argument is not acceptable" },
    [SOCKBROKER_BAD_MESSAGE] = { "BAD_MESSAGE", "the message is not valid" },
    [SOCKBROKER_VERSION] = { "VERSION", "no protocol version in common" },
    [SOCKBROKER_NO_MEMORY] = { "NO_MEMORY", "out of memory" },
    [SOCKBROKER_NO_DESCRIPTORS] = { "NO_DESCRIPTORS", "out of descriptors" },
    [SOCKBROKER_PERMISSION] = { "PERMISSION", "the system does not permit it" },
    [SOCKBROKER_FORKED] = { "FORKED", "the object belongs to the parent process" },
    [SOCKBROKER_ADDRESS_IN_USE] = { "ADDRESS_IN_USE", "the address is in use" },
    [SOCKBROKER_ADDRESS_NOT_AVAILABLE] = { "ADDRESS_NOT_AVAILABLE", "the address is not on this machine" },
    [SOCKBROKER_UNSUPPORTED] = { "UNSUPPORTED", "this system cannot do that" },
    [SOCKBROKER_UNSAFE_PATH] = { "UNSAFE_PATH", "the path is not safe to use" },
    [SOCKBROKER_SYSTEM] = { "SYSTEM", "the system reported an error" },
};

static const struct entry unknown = { "UNKNOWN", "unknown status" };

static const struct entry *find(sockbroker_status status)
{
    unsigned i = (unsigned)status;

    return i < SOCKBROKER_STATUS_COUNT && entries[i].name ? &entries[i] : &unknown;
}

const char *sockbroker_status_name(sockbroker_status status)
{
    return find(status)->name;
}

const char *sockbroker_status_text(sockbroker_status status)
{
    return find(status)->text;
}
