#include "sockbroker/sockbroker.h"

#define LITERAL_OF(x) #x
#define LITERAL(x) LITERAL_OF(x)

const char *sockbroker_version(void)
{
    return LITERAL(SOCKBROKER_VERSION_MAJOR) "." LITERAL(SOCKBROKER_VERSION_MINOR) "." LITERAL(SOCKBROKER_VERSION_PATCH);
}
