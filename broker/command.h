/* command.h: the sub-commands of `sockbroker`.
 *
 * Each gets argv with its own name at argv[0] and answers with an exit code. Results go to stdout, everything else to stderr.
 */
#ifndef SB_BROKER_COMMAND_H
#define SB_BROKER_COMMAND_H

#include <stdbool.h>

#include "sockbroker/status.h"

enum {
    SB_EXIT_OK = 0,
    SB_EXIT_FAILED = 1,
    SB_EXIT_USAGE = 2, /* wrong usage or configuration */
    SB_EXIT_NO_BROKER = 3,
};

int sb_command_serve(int argc, char **argv);
int sb_command_status(int argc, char **argv);
int sb_command_drain(int argc, char **argv);
int sb_command_upgrade(int argc, char **argv);
int sb_command_check(int argc, char **argv);
int sb_command_addresses(int argc, char **argv);
int sb_command_connect(int argc, char **argv);
int sb_command_service(int argc, char **argv);
int sb_command_reload(int argc, char **argv);
int sb_command_scale(int argc, char **argv);
int sb_command_pause(int argc, char **argv);
int sb_command_resume(int argc, char **argv);

struct sb_request;

/* Reads --dir and --help, of a command that has no other options; what follows begins at optind. False: that was all, the
 * command ends with the code. */
bool sb_command_read_dir(const char *command, const char *help, int argc, char **argv, const char **dir_out, int *code_out);

/* Asks the broker of the directory (NULL: the default one) and prints its Outcome. timeout_ms -1: as long as it takes. */
int sb_command_ask(const char *command, const char *dir, const struct sb_request *request, int timeout_ms);

/* Prints "sockbroker COMMAND: text" to stderr and gives the exit code for the error's status. */
int sb_command_fail(const char *command, const struct sockbroker_error *error);

/* "sockbroker COMMAND: ...; see sockbroker COMMAND --help". Returns SB_EXIT_USAGE. */
int sb_command_misuse(const char *command, const char *format, ...);

#endif
