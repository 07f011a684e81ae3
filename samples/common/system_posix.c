#define _POSIX_C_SOURCE 200809L
#include "system.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void system_read_arguments(int *argc, char ***argv)
{
    (void)argc;
    (void)argv; /* as they are */
}

unsigned long system_process_id(void)
{
    return (unsigned long)getpid();
}

void system_pause(unsigned ms)
{
    struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

    nanosleep(&time, NULL);
}

/* ---- threads ---- */

struct thread {
    pthread_t id;
    unsigned place;
    void (*run)(unsigned thread);
};

static void *begin(void *arg)
{
    struct thread *t = arg;

    t->run(t->place);
    return NULL;
}

void system_run_threads(unsigned n, void (*run)(unsigned thread))
{
    struct thread *threads = calloc(n, sizeof(*threads));

    for (unsigned i = 0; i < n; i++) {
        int failed = ENOMEM;
        if (threads) {
            threads[i] = (struct thread){ .place = i, .run = run };
            failed = pthread_create(&threads[i].id, NULL, begin, &threads[i]);
        }
        if (failed) {
            fprintf(stderr, "thread %u: %s\n", i + 1, strerror(failed));
            exit(EXIT_FAILURE);
        }
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i].id, NULL);
    free(threads);
}

/* ---- signals ---- */

static sigset_t end_signals;
static pthread_t watcher;
static atomic_bool closing;

void system_ignore_broken_pipes(void)
{
    signal(SIGPIPE, SIG_IGN);
}

void system_hold_stops(void)
{
    sigemptyset(&end_signals);
    sigaddset(&end_signals, SIGTERM);
    sigaddset(&end_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end_signals, NULL); /* threads inherit it, so the watcher alone gets them */
}

/* sockbroker_worker_stop() takes a lock, so it is not for a signal handler; a thread that waits for signals may call it. */
static void *watch(void *worker)
{
    int number;

    sigwait(&end_signals, &number);
    sockbroker_worker_stop(worker);
    if (!closing)
        sigwait(&end_signals, &number);
    if (!closing)
        _exit(EXIT_FAILURE);
    return NULL;
}

bool system_watch_stops(struct sockbroker_worker *worker)
{
    return pthread_create(&watcher, NULL, watch, worker) == 0;
}

void system_forget_stops(void)
{
    closing = true;
    pthread_kill(watcher, SIGTERM);
    pthread_join(watcher, NULL);
}
