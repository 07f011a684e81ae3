/* spawn.h: one child process: started, signalled, buried.
 *
 * What it gets: the environment it is given; standard input from nowhere, standard output and error of the broker, and no other
 * descriptor (Windows: and the mark by which the next broker knows of it); default signal handling and an empty signal mask;
 * the descriptor limit that the broker itself was started with; the broker's working directory and umask. (Windows has neither
 * signals nor limits.) It leads a session of its own (POSIX: setsid(); Windows: it has no console): the terminal's Ctrl-C
 * reaches the broker alone, which ends its workers in order, and one signal reaches the child with all that it started. It is
 * not tied to the broker's life: workers outlive a broker that crashes.
 */
#ifndef SB_BROKER_SPAWN_H
#define SB_BROKER_SPAWN_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/config.h"
#include "broker/ids.h"
#include "sockbroker/socket.h"

struct sb_spawn_request {
    const struct sb_text_list *command;     /* the program, looked for in the broker's PATH, and its arguments */
    const struct sb_text_list *environment; /* NAME=VALUE */
    const struct sb_account *user;          /* NULL: the broker's own */
    sockbroker_socket mark;                 /* NONE, or Windows: see rundir.h; lent, inheritable */
};

struct sb_child {
    uint32_t pid;
    sockbroker_socket handle;  /* see death.h */
    sockbroker_socket trouble; /* POSIX: where it says why the program could not be started */
    sockbroker_socket group;   /* Windows: the job that it and all that it started are in */
    bool adopted;              /* it is not our child: an earlier broker's */
};
#define SB_CHILD_NONE                                                                                                          \
    {                                                                                                                          \
        0, SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE, SOCKBROKER_SOCKET_NONE, false                                       \
    }

/* Does not wait for the program to be found: if it cannot be started, the child ends, and sb_child_bury() tells why.
 * OK; PERMISSION (another user, and the broker is not root); NO_DESCRIPTORS, NO_MEMORY, SYSTEM: the error begins with the
 * program. */
sockbroker_status sb_spawn(const struct sb_spawn_request *request, struct sb_child *child_out,
                           struct sockbroker_error *error_out);

/* A process that was started before, known by its handle, which is duplicated. Its group gets signals too where the
 * system can do that by the handle (Linux 6.9), and nobody will know how it ended. OK, NO_DESCRIPTORS, SYSTEM. */
sockbroker_status sb_child_adopt(uint32_t pid, sockbroker_socket handle, struct sb_child *child_out);

/* Is that living process the child, or in the group that it leads? */
bool sb_child_has(const struct sb_child *child, uint32_t pid);

/* Asks the child and its group to end (SIGTERM); at_once: ends them (SIGKILL). Does nothing after sb_child_bury(). On Windows
 * nobody can be asked: it gets the same time to end by itself. */
void sb_child_end(const struct sb_child *child, bool at_once);

#define SB_CHILD_END_MAX 192

/* To be called once it has ended. Ends what is left of its group, so that nothing of it outlives it, and closes.
 * how_out: "exited with 1", "was killed by signal 9", "could not be started: /no/worker: ENOENT (...)". */
void sb_child_bury(struct sb_child *child, char how_out[SB_CHILD_END_MAX]);

/* Until it has ended, timeout_ms at the most. False: it lives. */
bool sb_child_wait(const struct sb_child *child, int timeout_ms);

#endif
