/* sample.h: what the samples share: their command line, attaching, and a SIGTERM or Ctrl-C that ends them politely. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <sockbroker/sockbroker.h>

/* An option that one sample has and the others have not: with a number, or with one of several words. */
struct sample_option {
    const char *name; /* "threads" */
    const char *help;
    unsigned long min, max, value; /* value: the default, then what was given */
    const char *const *words;      /* NULL: a number; else value is the place of the word here, and max that of the last */
};

/* Reads the command line, attaches to the broker and prints "ready". Ends the program when one of them fails: 1 failed,
 * 2 wrong usage, 3 no broker. `extra` may be NULL. */
struct sockbroker_worker *sample_open(int argc, char **argv, struct sample_option *extra);

/* The same in two steps, for a sample that looks at its options in between. */
void sample_read(int argc, char **argv, struct sockbroker_worker_options *options_out, struct sample_option *extra);
struct sockbroker_worker *sample_attach(const struct sockbroker_worker_options *options);

/* The name this worker has at the broker. */
const char *sample_name(void);

/* The first endpoint it serves. */
const char *sample_endpoint(void);

/* Call it before sample_open(). From then on SIGTERM and SIGINT make sockbroker_worker_next() answer CLOSED, and a
 * second one ends the program at once. Windows: Ctrl-C, Ctrl-Break and the end of the console. */
void sample_stop_on_signals(void);

/* After sockbroker_worker_next() has failed. True: go on; it was out of descriptors, and now it may have some again. */
bool sample_try_again(sockbroker_status answer);

/* Detaches. `answer` is what sockbroker_worker_next() said at last; returns the exit code that goes with it. */
int sample_close(struct sockbroker_worker *worker, sockbroker_status answer);

#endif
