/* system.h: what the samples ask of the system besides sockets. system_posix.c, system_win32.c. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <sockbroker/sockbroker.h>

/* The command line as UTF-8, which on Windows is not what main() gets. */
void system_read_arguments(int *argc, char ***argv);

unsigned long system_process_id(void);

void system_pause(unsigned ms);

/* Runs it in n threads at once, told from 0 which one it is, and waits until all have returned. Ends the program when there
 * cannot be so many. */
void system_run_threads(unsigned n, void (*run)(unsigned thread));

/* For libraries that write to sockets without asking for no signal. */
void system_ignore_broken_pipes(void);

/* ---- being told to end: SIGTERM and SIGINT; Ctrl-C, Ctrl-Break and the end of the console ---- */

void system_hold_stops(void); /* first, before there are threads */

/* From then on the first one stops the worker, and a second one ends the program. False: no thread for it. */
bool system_watch_stops(struct sockbroker_worker *worker);
void system_forget_stops(void); /* before the worker is closed */

#endif
