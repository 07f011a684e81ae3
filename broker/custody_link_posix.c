#include "broker/custody_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/activation.h"
#include "broker/custody_keeper.h"
#include "broker/keeper_pair.h"
#include "broker/notify.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "proto/socket.h"
#include "proto/xfer.h"

#define PATIENCE_MS 100
#define FOLLOW_MS 2000

uint64_t sb_custody_number(sockbroker_socket sock)
{
    struct stat st;

    return fstat(sock, &st) ? 0 : (uint64_t)st.st_ino;
}

/* ---- opening ---- */

static sockbroker_status open_keeper(const char *number, struct sb_custody_link *link, struct sb_given **list,
                                     struct sockbroker_error *error)
{
    char *rest;
    long descriptor = strtol(number, &rest, 10);

    if (*rest || descriptor < 3 || descriptor > INT16_MAX || fcntl((int)descriptor, F_SETFD, FD_CLOEXEC))
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            SB_KEEPER_VARIABLE " names no descriptor of this process; unset it, only a keeper sets it");
    unsetenv(SB_KEEPER_VARIABLE);
    link->who = SB_CUSTODIAN_KEEPER;
    link->end = (int)descriptor;
    return sb_custody_keeper_take(link->end, list, error);
}

sockbroker_status sb_custody_link_open(enum sb_keeping keeping, struct sb_custody_link *link_out, struct sb_given **given_out,
                                       struct sockbroker_error *error_out)
{
    const char *number = getenv(SB_KEEPER_VARIABLE);

    *link_out = (struct sb_custody_link)SB_CUSTODY_LINK_NONE;
    if (number)
        return open_keeper(number, link_out, given_out, error_out);
    if (keeping == SB_KEEPING_SYSTEMD && sb_notify_open(&link_out->end))
        link_out->who = SB_CUSTODIAN_MANAGER;
    return sb_activation_take(given_out, error_out);
}

/* ---- telling ---- */

static sockbroker_status send_packet(const struct sb_custody_link *l, const char *text, sockbroker_socket sock)
{
    int os_code;

    return sb_xfer_send_packet(l->end, (const uint8_t *)text, strlen(text), sock, &os_code);
}

static sockbroker_status tell_manager(const struct sb_custody_link *l, const char *assignments, const char *label,
                                      sockbroker_socket sock)
{
    char text[64 + SB_LABEL_MAX];

    snprintf(text, sizeof(text), label[0] ? "%s\nFDNAME=%s" : "%s", assignments, label);
    sockbroker_status st = send_packet(l, text, sock);
    if (st == SOCKBROKER_AGAIN && sb_keeper_pair_wait(l->end, true, PATIENCE_MS))
        st = send_packet(l, text, sock);
    return st;
}

/* FDPOLL=0: the manager would drop what looks hung up, as a deposited connection may. */
sockbroker_status sb_custody_link_put(const struct sb_custody_link *l, const char *label, sockbroker_socket sock)
{
    switch (l->who) {
    case SB_CUSTODIAN_KEEPER:
        return sb_custody_keeper_tell(l, SB_KEEPER_PUT, label, sock);
    case SB_CUSTODIAN_MANAGER:
        return tell_manager(l, "FDSTORE=1\nFDPOLL=0", label, sock);
    case SB_CUSTODIAN_NOBODY:
        break;
    }
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_drop(const struct sb_custody_link *l, const char *label)
{
    switch (l->who) {
    case SB_CUSTODIAN_KEEPER:
        return sb_custody_keeper_tell(l, SB_KEEPER_DROP, label, SOCKBROKER_SOCKET_NONE);
    case SB_CUSTODIAN_MANAGER:
        return tell_manager(l, "FDSTOREREMOVE=1", label, SOCKBROKER_SOCKET_NONE);
    case SB_CUSTODIAN_NOBODY:
        break;
    }
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_ready(const struct sb_custody_link *l)
{
    return l->who == SB_CUSTODIAN_KEEPER ? sb_custody_keeper_tell(l, SB_KEEPER_READY, "", SOCKBROKER_SOCKET_NONE)
                                         : SOCKBROKER_OK;
}

/* The other side closes the pipe's end when it comes to it. */
sockbroker_status sb_custody_link_settle(const struct sb_custody_link *l)
{
    int ends[2];

    if (l->who == SB_CUSTODIAN_NOBODY)
        return SOCKBROKER_OK;
    if (pipe2(ends, O_CLOEXEC))
        return sb_oserr_status(errno);
    sockbroker_status st = l->who == SB_CUSTODIAN_KEEPER ? sb_custody_keeper_tell(l, SB_KEEPER_BARRIER, "", ends[1])
                                                         : tell_manager(l, "BARRIER=1", "", ends[1]);
    sb_socket_close(&ends[1]);
    if (!st && !sb_keeper_pair_wait(ends[0], false, PATIENCE_MS)) /* POLLHUP is always reported */
        st = SOCKBROKER_TIMEOUT;
    sb_socket_close(&ends[0]);
    return st;
}

/* ---- taking over ---- */

/* The keeper answers with one byte; if it does not take this process, it closes its end. */
static sockbroker_status follow(const struct sb_custody_link *l)
{
    sockbroker_socket ours = SOCKBROKER_SOCKET_NONE, theirs = SOCKBROKER_SOCKET_NONE;
    char text[16], yes;

    if (sb_xfer_open_pair(&ours, &theirs))
        return SOCKBROKER_NO_DESCRIPTORS;
    snprintf(text, sizeof(text), "%d", (int)getpid());
    sockbroker_status st = sb_custody_keeper_tell(l, SB_KEEPER_FOLLOW, text, theirs);
    sb_socket_close(&theirs);
    if (!st && !sb_keeper_pair_wait(ours, false, FOLLOW_MS))
        st = SOCKBROKER_TIMEOUT;
    if (!st && recv(ours, &yes, 1, MSG_DONTWAIT) != 1)
        st = SOCKBROKER_CLOSED;
    sb_socket_close(&ours);
    return st;
}

sockbroker_status sb_custody_link_join(enum sb_keeping keeping, sockbroker_socket channel, struct sb_custody_link *link_out)
{
    *link_out = (struct sb_custody_link)SB_CUSTODY_LINK_NONE;
    if (channel != SOCKBROKER_SOCKET_NONE) {
        link_out->who = SB_CUSTODIAN_KEEPER;
        link_out->end = channel;
        return follow(link_out);
    }
    if (keeping == SB_KEEPING_SYSTEMD && sb_notify_open(&link_out->end))
        link_out->who = SB_CUSTODIAN_MANAGER;
    return SOCKBROKER_OK;
}

sockbroker_status sb_custody_link_rename(const struct sb_custody_link *l)
{
    return l->who == SB_CUSTODIAN_KEEPER ? sb_custody_keeper_tell(l, SB_KEEPER_RENAME, "", SOCKBROKER_SOCKET_NONE)
                                         : SOCKBROKER_OK;
}

uint32_t sb_custody_link_parent(void)
{
    return (uint32_t)getppid();
}

bool sb_custody_link_bind_life(uint32_t first_parent)
{
    return (uint32_t)getppid() != first_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}
