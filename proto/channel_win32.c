#include "proto/channel_nng.h"

#include <windows.h>

#include <sddl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include "proto/error.h"
#include "proto/failpoint.h"
#include "proto/oserr.h"
#include "proto/peer.h"
#include "proto/sid_win32.h"
#include "proto/utf_win32.h"

#define PREFIX "\\\\.\\pipe\\"

/* Read and write, as FILE_GENERIC_READ and FILE_GENERIC_WRITE say, without FILE_APPEND_DATA: on a pipe that is the right to
 * open another instance under its name, and so to stand in for the broker. */
#define CONNECT "0x12019b"

/* ---- who is there ---- */

/* Of now; it was the one that connected if the pipe still is afterwards, which sb_call_is_lost() tells. */
static uint32_t user_of(uint32_t pid)
{
    uint32_t user = UINT32_MAX;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);

    if (process && sb_sid_of_process((sockbroker_socket)process, &user))
        user = UINT32_MAX;
    if (process)
        CloseHandle(process);
    return user;
}

void sb_nng_identify(nng_pipe pipe, struct sb_nng_peer *peer_out)
{
    uint64_t pid = UINT32_MAX;

    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid))
        pid = UINT32_MAX;
    peer_out->pid = (uint32_t)pid;
    peer_out->uid = user_of(peer_out->pid);
    peer_out->gid = 0;
}

/* ---- who may connect ---- */

/* Everything to us and SYSTEM; to connect, to administrators and the users that were named. nng has the system reject other
 * machines (PIPE_REJECT_REMOTE_CLIENTS); to deny NETWORK as well would shut out who has come to this one by SSH, us included.
 */
static bool write_rules(const struct sb_server_options *options, char *rules_out, size_t size)
{
    char sid[SB_SID_TEXT_MAX];
    uint32_t own = sb_sid_own();
    int len;

    sb_sid_text(own, sid);
    if (own == UINT32_MAX)
        return false;
    len = snprintf(rules_out, size, "O:%sD:P(A;;GA;;;%s)(A;;GA;;;SY)(A;;" CONNECT ";;;BA)", sid, sid);
    for (uint32_t i = 0; i < options->n_users && len > 0 && (size_t)len < size; i++) {
        if (options->users[i] == 0 || options->users[i] == own)
            continue;
        len += snprintf(rules_out + len, size - (size_t)len, "(A;;" CONNECT ";;;%s)", sb_sid_text(options->users[i], sid));
    }
    return len > 0 && (size_t)len < size;
}

sockbroker_status sb_nng_guard(nng_listener listener, const struct sb_server_options *options, void **guard_out,
                               struct sockbroker_error *error_out)
{
    size_t room = 256 + (options->n_users + 1) * (SB_SID_TEXT_MAX + 32);
    char *rules = malloc(room);
    wchar_t *wide = malloc(room * sizeof(*wide));
    PSECURITY_DESCRIPTOR descriptor = NULL;
    int rv = NNG_ENOMEM;

    if (rules && wide && write_rules(options, rules, room) && sb_utf_widen(rules, wide, room) &&
        ConvertStringSecurityDescriptorToSecurityDescriptorW(wide, SDDL_REVISION_1, &descriptor, NULL))
        rv = nng_listener_set_ptr(listener, NNG_OPT_IPC_SECURITY_DESCRIPTOR, descriptor);
    free(rules);
    free(wide);
    if (rv) {
        LocalFree(descriptor);
        return sb_error_set(error_out, SOCKBROKER_SYSTEM, sb_oserr_last(),
                            "the rights of the control pipe could not be set; nothing listens without them");
    }
    *guard_out = descriptor; /* nng keeps the pointer, for each instance of the pipe */
    return SOCKBROKER_OK;
}

void sb_nng_unguard(void *guard)
{
    LocalFree(guard);
}

/* ---- whom may we tell a secret ---- */

/* The system does not let us look at the process of a service. The owner of the pipe is as good: nobody can make a pipe in
 * another account's name, and all instances of a name have the owner of the first. */
static uint32_t owner_of(nng_pipe pipe)
{
    uint32_t owner = UINT32_MAX;
    nng_sockaddr address;
    char path[sizeof(PREFIX) + NNG_MAXADDRLEN];
    wchar_t wide[sizeof(path)];

    if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &address))
        return owner;
    snprintf(path, sizeof(path), PREFIX "%s", address.s_ipc.sa_path);
    if (!sb_utf_widen(path, wide, sizeof(path)))
        return owner;
    HANDLE end = CreateFileW(wide, READ_CONTROL, 0, NULL, OPEN_EXISTING, SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
    if (end == INVALID_HANDLE_VALUE)
        return owner;
    if (sb_sid_of_owner((sockbroker_socket)end, &owner))
        owner = UINT32_MAX;
    CloseHandle(end);
    return owner;
}

bool sb_nng_trusts_server(nng_pipe pipe, char *whom_out, size_t size)
{
    struct sb_nng_peer server;
    char name[SB_SID_TEXT_MAX];

    sb_nng_identify(pipe, &server);
    if (server.uid == UINT32_MAX)
        server.uid = owner_of(pipe);
    if (sb_failpoint("trust_server"))
        server.uid = UINT32_MAX;
    snprintf(whom_out, size, "process %u of %s", server.pid, sb_sid_name(server.uid, name, sizeof(name)));
    return sb_sid_is_trusted(server.uid);
}
