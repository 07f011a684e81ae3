/* sockbroker.h: everything of libsockbroker. The same on POSIX systems and on Windows; where they differ, the function's
 * comment says so. On Windows text is UTF-8. */
#ifndef SOCKBROKER_H
#define SOCKBROKER_H

#include "sockbroker/addr.h"
#include "sockbroker/request.h"
#include "sockbroker/select.h"
#include "sockbroker/socket.h"
#include "sockbroker/status.h"
#include "sockbroker/udp.h"
#include "sockbroker/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOCKBROKER_VERSION_MAJOR 0
#define SOCKBROKER_VERSION_MINOR 1
#define SOCKBROKER_VERSION_PATCH 0

/* Of the library that runs, "0.1.0"; the macros tell the one that was compiled against. */
SOCKBROKER_API const char *sockbroker_version(void);

#ifdef __cplusplus
}
#endif
#endif
