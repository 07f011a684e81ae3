#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tests/support/kit_orders.h"

static int signals = -1;
static int input;

void kit_orders_begin(bool has_input)
{
    sigset_t set;

    input = has_input ? 0 : -1;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

enum kit_order kit_orders_wait(char *text_out, size_t room, unsigned ms)
{
    struct pollfd fds[] = { { input, POLLIN, 0 }, { signals, POLLIN, 0 } };

    if (poll(fds, 2, (int)ms) <= 0)
        return KIT_ORDER_NONE;
    if (fds[1].revents)
        return KIT_ORDER_END;
    ssize_t n = read(input, text_out, room - 1);
    text_out[n > 0 ? n : 0] = '\0';
    return n > 0 ? KIT_ORDER_LINES : KIT_ORDER_END;
}

int kit_own_pid(void)
{
    return (int)getpid();
}
