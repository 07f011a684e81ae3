/* rundir.h: the runtime directory, where a broker and its workers meet.
 *
 * It holds "lock" (flock, one broker at a time), "control" (nng) and "handoff" (POSIX: descriptors). Sockets are bound under a
 * generation name and then renamed over the public one, so that a path always leads to a broker that listens, and the
 * end of an old broker cannot remove a newer one's path.
 * On Windows there is no directory: its name is the first part of the pipe's ("NAME-control", "NAME-lock" of a mutex,
 * "NAME-workers" of an event), and access is the pipe's own affair (channel.h).
 */
#ifndef SB_PROTO_RUNDIR_H
#define SB_PROTO_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/socket.h"

#define SB_PATH_MAX 108  /* with the NUL: sizeof(sockaddr_un.sun_path), unix(7) */
#define SB_RUNDIR_MAX 99 /* with the NUL; leaves room for "/" and the longest socket name in it, "c.999999" */

#define SB_RUNDIR_CONTROL "control"
#define SB_RUNDIR_HANDOFF "handoff"

/* `given` if not NULL or empty; else $SOCKBROKER_DIR; else /run/sockbroker for root and $XDG_RUNTIME_DIR/sockbroker for
 * others, made absolute. Windows: a name of letters, digits, ".", "_", "-", or a path, of which a name is made; without one
 * "sockbroker" for services and "sockbroker-USER" for others. OK, INVALID (too long, or nothing to go by). */
sockbroker_status sb_rundir_find(const char *given, char dir_out[SB_RUNDIR_MAX], struct sockbroker_error *error_out);

/* The path of a file in it; Windows: the name of a pipe. Returns path_out. */
const char *sb_rundir_path(const char *dir, const char *file, char path_out[SB_PATH_MAX]);

/* A broker's claim on the directory. */
struct sb_rundir {
    char dir[SB_RUNDIR_MAX];
    uint32_t mode;
    sockbroker_socket lock;
    uint64_t generation;    /* in the names of its sockets */
    bool was_left;          /* the broker before did not end in good order: workers of its may come back */
    bool stays;             /* closing leaves the names, so that the next one finds was_left */
    sockbroker_socket mark; /* Windows: an inheritable event; it is there as long as the workers that the broker started */
};
#define SB_RUNDIR_NONE                                                                                                         \
    {                                                                                                                          \
        "", 0, SOCKBROKER_SOCKET_NONE, 0, false, false, SOCKBROKER_SOCKET_NONE                                                 \
    }

/* Makes the directory when it is missing (mode as given), checks it and every directory above it, and locks it.
 * Windows: takes the name, which nobody else may have; mode means nothing.
 * OK; UNSAFE_PATH (symbolic link, not a directory, wrong owner or mode, a parent that others may write, something in it
 * that is not ours); BUSY (another broker runs there); the system's failures. */
sockbroker_status sb_rundir_open(const char *dir, uint32_t mode, struct sb_rundir *rundir_out,
                                 struct sockbroker_error *error_out);

/* Removes the public names if they still lead to this broker, and lets go of the lock. */
void sb_rundir_close(struct sb_rundir *rundir);

/* The same claim, given on by the broker that has it: lock is its, and moves in on OK. The directory is looked at again.
 * OK; UNSAFE_PATH (also when the lock is not that of this directory); UNSUPPORTED (Windows); the system's failures. */
sockbroker_status sb_rundir_adopt(const char *dir, uint32_t mode, sockbroker_socket *lock, struct sb_rundir *rundir_out,
                                  struct sockbroker_error *error_out);

/* Before somebody else publishes: keep makes it possible to put our public names back; forget takes that away again.
 * Windows: keep is UNSUPPORTED, the others do nothing. */
sockbroker_status sb_rundir_keep(const struct sb_rundir *rundir, struct sockbroker_error *error_out);
void sb_rundir_put_back(const struct sb_rundir *rundir);
void sb_rundir_forget(const struct sb_rundir *rundir);

/* Where to bind before publishing: the first letter and the generation, "c.7". Windows: the public name. */
const char *sb_rundir_private_path(const struct sb_rundir *rundir, const char *file, char path_out[SB_PATH_MAX]);

/* Gives the socket at the private path its mode and moves it over the public name. Windows: nothing. */
sockbroker_status sb_rundir_publish(const struct sb_rundir *rundir, const char *file, struct sockbroker_error *error_out);

#endif
