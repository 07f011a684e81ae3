/* failpoint_act.h: what an action of a fail-point means on this system. */
#ifndef SB_PROTO_FAILPOINT_ACT_H
#define SB_PROTO_FAILPOINT_ACT_H

/* The system's code of that name; 0: there is none. */
int sb_failpoint_code(const char *name);

/* Ends the process at once, as if somebody had killed it. */
void sb_failpoint_kill(void);

/* Stops it until somebody lets it go on. */
void sb_failpoint_stop(void);

#endif
