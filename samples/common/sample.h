/* sample.h: what the samples share: their command line, attaching, and a SIGTERM that ends them politely. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <sockbroker/sockbroker.h>

/* An option with a number that one sample has and the others have not. */
struct sample_option {
    const char *name; /* "threads" */
    const char *help;
    unsigned long min, max, value; /* value: the default, then what was given */
};

/* Reads the command line, attaches to the broker and prints "ready". Ends the program when one of them fails: 1 failed,
 * 2 wrong usage, 3 no broker. `extra` may be NULL. */
struct sockbroker_worker *sample_open(int argc, char **argv, struct sample_option *extra);

/* The name this worker has at the broker. */
const char *sample_name(void);

/* Call it before sample_open(). From then on SIGTERM and SIGINT make sockbroker_worker_next() answer CLOSED, and a
 * second one ends the program at once. */
void sample_stop_on_signals(void);

/* After sockbroker_worker_next() has failed. True: go on; it was out of descriptors, and now it may have some again. */
bool sample_try_again(sockbroker_status answer);

/* Detaches. `answer` is what sockbroker_worker_next() said at last; returns the exit code that goes with it. */
int sample_close(struct sockbroker_worker *worker, sockbroker_status answer);

#endif
