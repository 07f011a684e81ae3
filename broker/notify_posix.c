#include "broker/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/socket.h"

#define MESSAGE_MAX 256

/* The length for sendto(), 0 when there is nobody to tell. */
static socklen_t find_manager(struct sockaddr_un *to)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;

    if (len < 2 || len >= sizeof(to->sun_path) || (path[0] != '/' && path[0] != '@'))
        return 0;
    *to = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(to->sun_path, path, len);
    if (path[0] == '@')
        to->sun_path[0] = '\0'; /* abstract: the length ends the name, not a NUL */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
}

static void tell(const char *message)
{
    struct timeval wait = { .tv_usec = 200000 }; /* the manager reads at once, or is in no state to care */
    struct sockaddr_un to;
    socklen_t to_len = find_manager(&to);
    int sock;

    if (to_len == 0)
        return;
    sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return;
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    sendto(sock, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&to, to_len);
    close(sock);
}

bool sb_notify_open(sockbroker_socket *sock_out)
{
    struct sockaddr_un to;
    socklen_t to_len = find_manager(&to);
    sockbroker_socket sock = to_len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : SOCKBROKER_SOCKET_NONE;

    if (sock < 0 || connect(sock, (struct sockaddr *)&to, to_len)) {
        sb_socket_close(&sock);
        return false;
    }
    *sock_out = sock;
    return true;
}

/* A newline would begin another variable. */
static void replace_controls(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

void sb_notify_ready(const char *status_line)
{
    static const char begin[] = "READY=1\nSTATUS=";
    char message[MESSAGE_MAX];

    if (!status_line) {
        tell("READY=1");
        return;
    }
    snprintf(message, sizeof(message), "%s%s", begin, status_line);
    replace_controls(message + sizeof(begin) - 1);
    tell(message);
}

void sb_notify_ready_as(unsigned pid)
{
    char message[MESSAGE_MAX];

    snprintf(message, sizeof(message), "MAINPID=%u\nREADY=1\nSTATUS=serving", pid);
    tell(message);
}

void sb_notify_reloading(void)
{
    char message[MESSAGE_MAX];

    snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, sb_clock_ns() / 1000u);
    tell(message);
}

void sb_notify_stopping(void)
{
    tell("STOPPING=1");
}

void sb_notify_failed(const char *why)
{
    static const char begin[] = "STATUS=";
    char message[MESSAGE_MAX];

    snprintf(message, sizeof(message), "%s%s", begin, why);
    replace_controls(message + sizeof(begin) - 1);
    tell(message);
}
