/* The parts of the benchmark driver: candidates, processes, CPU time, results. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define MAX_WORKERS 64
#define MAX_ROUNDS 100
#define MAX_CONCURRENCIES 4
#define MAX_CANDIDATES 16
#define MAX_PATH 512

struct settings {
    const char *bin_dir;    /* where the executables are */
    const char *source_dir; /* where base_node.js is */
    const char *json_path;  /* NULL: none */
    const char *only;       /* names joined by ","; NULL: all */
    int concurrencies[MAX_CONCURRENCIES];
    int n_concurrencies;
    int n_rounds;
    int n_connections;
    int n_workers;
};

enum candidate_kind { BASELINE, NODE, SOCKBROKER, PLAIN };

struct candidate {
    const char *name;
    enum candidate_kind kind;
    const char *program; /* in bin_dir; node's is looked up in PATH */
    const char *extra;   /* one switch, or the endpoint's keys; NULL: none */
    bool accepts;        /* its workers are bench_worker, which accepts by itself */
    const char *against; /* another candidate, which its ratios are to; NULL: bare */
    bool even;           /* must serve with every worker before it is measured */
    const char *about;
};

/* Index 0 is what most others are compared with. */
extern const struct candidate candidates[];
extern const size_t n_candidates;

/* A candidate that runs. All zero: none. */
struct service {
    pid_t broker;
    pid_t workers[MAX_WORKERS];
    int n_workers;
    int port;
    char dir[64]; /* sockbroker's runtime directory and everybody's log; "" = none */
};

/* One measured load. */
struct sample {
    double rate, p50_us, p99_us, max_us;
    double client_us, broker_us, workers_us; /* CPU for each connection */
    double max_over_mean;
    double failed; /* connections without their byte */
};

/* The index of the one that this one is compared with. */
size_t candidate_base(size_t candidate);

/* What is missing to run the candidate; NULL when nothing is. */
const char *candidate_missing(const struct settings *settings, const struct candidate *candidate);

/* Starts it and waits until it serves. False, with the reason on stderr, if it does not come up; the
 * caller stops the service in both cases. */
bool service_start(const struct settings *settings, const struct candidate *candidate, struct service *service_out);

/* Ends the broker, its workers and whatever they left behind; removes the directory. */
void service_stop(struct service *service);

/* Gives it a directory, nothing else yet. The program ends if there is none to be had. */
void service_open(struct service *service_out);
void service_log_path(const struct service *service, char path_out[MAX_PATH]);
void service_show_log(const struct service *service);

/* Another program may take the port before the service does; then its start fails and says so. */
int service_free_port(void);

/* Until `sockbroker status` finds the broker; program is the path of sockbroker. */
bool service_wait_for_broker(const char *program, const struct service *service);

/* In PATH, or where servers are kept. */
bool program_find(const char *program, char path_out[MAX_PATH]);
bool program_is_built(const char *bin_dir, const char *program);

/* only: names joined by ","; NULL: all. */
bool is_chosen(const char *only, const char *name);

/* Runs the client once and fills in everything but the CPU time of the service. */
bool client_run(const struct settings *settings, int port, int n_connections, int concurrency, struct sample *sample_out,
                double by_worker_out[MAX_WORKERS]);

/* The number behind the key in a line of a client; 0 when it is not there. */
double client_value(const char *line, const char *key);

/* Set by SIGINT, SIGTERM and SIGHUP; every wait ends soon after. */
bool interrupted(void);
void catch_interrupts(void);

/* Starts a program. Its stdout goes to *stdout_out when that is given, else to the log; stderr to the log. */
pid_t process_start(char *const argv[], const char *log_path, int *stdout_out);

/* Reads one line without its end; false at the end of the stream, after timeout_ms or when interrupted. */
bool process_read_line(int from, char *line, size_t line_size, int timeout_ms);

/* Waits for the exit code; after timeout_ms the process is killed. -1 unless it left by itself. */
int process_wait(pid_t pid, int timeout_ms);

/* Looks only; the exit code is still there for process_wait(). */
bool process_has_ended(pid_t pid);

/* The living children of a process, at most max. */
int process_children(pid_t parent, pid_t *children_out, int max);

/* The one whose name in /proc/PID/comm is this; 0: none. */
pid_t process_child_called(pid_t parent, const char *name);

/* Until the condition holds; false after timeout_ms or when interrupted. */
bool process_await(bool (*holds)(void *), void *arg, int timeout_ms);
int64_t process_clock_ms(void);

/* Kills and reaps all descendants of this process, orphans included. */
void process_end_all(void);
void process_pause_ms(int ms);

/* CPU time of a process and its descendants, those in `except` left out. */
uint64_t cpu_tree_ns(pid_t root, const pid_t *except, int n_except);
uint64_t cpu_process_ns(pid_t pid);

/* Of all descendants of this process, also those that have ended; those in `except` are left out. The kernel tells in ticks
 * what a process has taken over from its ended children, so differences may be wrong by some of them. */
uint64_t cpu_descendants_ns(const pid_t *except, int n_except);

/* The middle of the sorted values (mean of the two middle ones); sorts in place. */
double median(double *values, size_t n);

struct results {
    const struct settings *settings;
    struct sample samples[MAX_CANDIDATES][MAX_CONCURRENCIES][MAX_ROUNDS];
    bool valid[MAX_CANDIDATES][MAX_CONCURRENCIES][MAX_ROUNDS];
    const char *skipped[MAX_CANDIDATES]; /* why; NULL = it ran */
};

void machine_processor(char name_out[128]);
void report_machine(FILE *to);
void report_load(FILE *to, const struct settings *settings);
void report_table(const struct results *results);
bool report_json(const struct results *results);

#endif
