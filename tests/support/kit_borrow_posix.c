/* Sockets of a test worker, in the test's own hands. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/format.h"
#include "tests/support/kit.h"

/* The number in its last word on that socket. */
static int descriptor_of(struct kit_process *w, const char *endpoint, unsigned index)
{
    char text[SOCKBROKER_NAME_MAX + 32];
    const char *last = NULL;
    int number = -1;

    format_text(text, sizeof(text), "got %s %u of ", endpoint, index);
    kit_process_wait_log(w, text);
    for (const char *at = w->log; (at = strstr(at, text)); at++)
        last = at + strlen(text);
    if (sscanf(last, "%*u as %d", &number) != 1)
        kit_fail("%s did not say which descriptor: %.60s", w->title, last);
    return number;
}

sockbroker_socket kit_worker_borrow(struct kit_process *w, const char *endpoint, unsigned index)
{
    int number = descriptor_of(w, endpoint, index);
    int handle = (int)syscall(SYS_pidfd_open, w->pid, 0);
    int sock = handle < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, handle, number, 0);

    if (sock < 0)
        kit_fail("descriptor %d of %s: %s", number, w->title, strerror(errno));
    close(handle);
    return sock;
}

uint64_t kit_socket_cookie(sockbroker_socket sock)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);

    if (getsockopt(sock, SOL_SOCKET, SO_COOKIE, &cookie, &len))
        kit_fail("SO_COOKIE: %s", strerror(errno));
    return cookie;
}
