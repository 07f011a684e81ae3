#include "sockbroker/sockbroker.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *sockbroker_version(void)
{
    return TEXT(SOCKBROKER_VERSION_MAJOR) "." TEXT(SOCKBROKER_VERSION_MINOR) "." TEXT(SOCKBROKER_VERSION_PATCH);
}
