/* The parts of the restart benchmark: servers, how each is restarted, what the load saw. */
#ifndef RESTART_H
#define RESTART_H

#include "run.h"

#define MAX_WAYS 16
#define MAX_RESTARTS 1000 /* rounds times restarts */
#define SERVER_WORKERS 2
#define RESTART_MS 20000 /* for one restart to end */

struct restart_settings {
    const char *bin_dir;
    const char *only; /* names joined by ","; NULL: all */
    int n_rounds;
    int n_restarts; /* in each round */
    int window_ms;
    int rate;   /* new connections in a second */
    int n_kept; /* connections that stay open */
    bool tells; /* a line for each window */
};

/* What the whole run is judged by. Other people's servers are shown, not judged. */
enum verdict { MUST_KEEP, MAY_LOSE, MUST_LOSE };

/* A server and a way to restart it. */
struct way {
    const char *name;
    /* What is missing to run it, NULL when nothing is. */
    const char *(*missing)(const struct restart_settings *settings);
    /* Starts the server on service->port and waits until it serves. */
    bool (*start)(const struct restart_settings *settings, struct service *service);
    /* One restart, until what was there before has gone. */
    bool (*restart)(const struct restart_settings *settings, struct service *service);
    int n_times; /* restarts in one window */
    enum verdict verdict;
};
extern const struct way ways[];
extern const size_t n_ways;

/* What the load says of one window. */
struct window_sample {
    double fresh, kept; /* requests on new connections, and on kept ones */
    double refused, reset, empty, cut, wrong, timeout, other;
    double kept_failed;
    double announced, idle; /* kept connections that the server closed between requests, with and without saying so before */
    double p50_ms, p99_ms, max_ms, lag_ms;
    double cpu_ms; /* of the server in one second */
    double seconds;
};

struct way_results {
    const char *skipped; /* why; NULL: it ran */
    size_t n;            /* windows with a restart, each with one of equal length without */
    struct window_sample with[MAX_RESTARTS], without[MAX_RESTARTS];
    double took_ms[MAX_RESTARTS]; /* one restart; of several in a window the mean */
    struct window_sample total;   /* all windows, also those between */
};

/* Failures of all kinds. */
double window_failed(const struct window_sample *s);

void restart_report(const struct restart_settings *settings, const struct way_results *results);

/* ---- for the servers ---- */

void bin_path(const struct restart_settings *settings, const char *program, char path_out[MAX_PATH]);

/* Writes service->dir/name. */
bool write_file(const struct service *service, const char *name, const char *text);

/* Starts the service's first process, with its log. */
void start_server(struct service *service, char *const argv[]);

/* Until somebody listens on the port, over both families. */
bool await_listening(const struct service *service);

/* The processes that a restart replaces. */
struct old_processes {
    pid_t pids[MAX_WORKERS];
    int n;
};
void note_children(pid_t parent, struct old_processes *old_out);
bool await_end(const struct old_processes *old);

const char *sockbroker_missing(const struct restart_settings *settings);
const char *sockbroker_upgrade_missing(const struct restart_settings *settings);
bool sockbroker_start(const struct restart_settings *settings, struct service *service);
bool sockbroker_reload(const struct restart_settings *settings, struct service *service);
bool sockbroker_upgrade(const struct restart_settings *settings, struct service *service);
bool sockbroker_crash(const struct restart_settings *settings, struct service *service);

const char *haproxy_missing(const struct restart_settings *settings);
bool haproxy_start(const struct restart_settings *settings, struct service *service);
bool haproxy_reload(const struct restart_settings *settings, struct service *service);

const char *nginx_missing(const struct restart_settings *settings);
bool nginx_start(const struct restart_settings *settings, struct service *service);
bool nginx_reload(const struct restart_settings *settings, struct service *service);
bool nginx_upgrade(const struct restart_settings *settings, struct service *service);

const char *plain_missing(const struct restart_settings *settings);
bool plain_start(const struct restart_settings *settings, struct service *service);
bool plain_restart(const struct restart_settings *settings, struct service *service);

#endif
