/* failpoint.h: makes a named place fail on demand, in test builds only (-DSOCKBROKER_FAILPOINTS=ON).
 *
 * SOCKBROKER_FAILPOINTS="accept=EMFILE*3,send_packet=ETOOMANYREFS@2,taken=kill" in the environment: the place `accept`
 * fails three times with EMFILE, `send_packet` once after two good passes, and the first pass of `taken` kills the process.
 * Actions: an errno name, "kill" (SIGKILL to itself), "stop" (SIGSTOP to itself).
 */
#ifndef SB_PROTO_FAILPOINT_H
#define SB_PROTO_FAILPOINT_H

#ifdef SB_FAILPOINTS
/* 0, or the system error code that this pass shall report. */
int sb_failpoint(const char *place);
#else
#define sb_failpoint(place) 0
#endif

#endif
