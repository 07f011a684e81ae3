#include "broker/log_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* systemd.exec(5): "DEVICE:INODE" of the stream, so that a stderr that was redirected later is told apart. */
bool sb_log_sink_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char here[64];
    struct stat st;
    size_t i = 0;

    if (!stream || fstat(STDERR_FILENO, &st))
        return false;
    snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    while (here[i] && here[i] == stream[i])
        i++;
    return here[i] == stream[i];
}

/* stderr may be non-blocking: that is a flag of the open file, shared with whoever else has it. */
static bool wait_until_writable(void)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
    int n;

    do
        n = poll(&p, 1, -1);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

bool sb_log_sink_write(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);

        if (n >= 0) {
            line += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_until_writable())
                return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void sb_log_sink_stamp(char out[SB_LOG_STAMP_MAX])
{
    char second[SB_LOG_STAMP_MAX - 8];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    if (!gmtime_r(&now.tv_sec, &tm) || strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        second[0] = '\0';
    snprintf(out, SB_LOG_STAMP_MAX, "%s.%03uZ", second, (unsigned)(now.tv_nsec / 1000000) % 1000u);
}

void sb_log_sink_thread_begin(void)
{
    sigset_t signals;

    sigfillset(&signals);
    sigdelset(&signals, SIGSEGV); /* a fault in this thread cannot wait for another one */
    sigdelset(&signals, SIGBUS);
    sigdelset(&signals, SIGFPE);
    sigdelset(&signals, SIGILL);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}
