/* What the baselines share, so that only the way a connection reaches its worker differs. */
#ifndef BASE_H
#define BASE_H

#include <getopt.h>
#include <sys/types.h>

#define BASE_BACKLOG 4096
#define BASE_MAX_WORKERS 64

struct base_options {
    int n_workers;
    int port;        /* 0: any free one */
    int seconds;     /* 0: until a signal */
    int shares_port; /* SO_REUSEPORT: others listen there too */
};

/* Reads --workers, --port, --seconds and the program's own switches (getopt_long entries that set a
 * flag; the array ends with a zero entry). Wrong use ends the program with code 2. */
void base_parse(int argc, char **argv, const struct option *switches, struct base_options *options_out);

/* One dual-stack listening socket on [::]:port; type_flags are added to SOCK_STREAM. */
int base_listen(const struct base_options *options, int type_flags);

/* SIGTERM, SIGINT and the end of --seconds leave with code 0. Children inherit this. */
void base_exit_on_signals(int seconds);

/* Says on stdout "ready port=P workers=PID,PID,..." once all workers exist. */
void base_ready(int listener, const pid_t *workers, int n_workers);

/* The service: one byte, the worker's index; then close. */
void base_answer(int conn, int index);

/* Ends the program if the last system call failed. */
void base_check(int failed, const char *what);

#endif
