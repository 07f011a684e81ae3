/* service_win32.h: this process as a Windows service.
 */
#ifndef SB_BROKER_SERVICE_WIN32_H
#define SB_BROKER_SERVICE_WIN32_H

#include <winsock2.h>

#include <stdbool.h>

enum sb_service_state {
    SB_SERVICE_RUNNING,
    SB_SERVICE_STOPPING,
};

/* Runs serve(argc, argv) for the service manager, which started this process, until it returns; stop and shutdown mean stop, a
 * changed parameter means reload (signals.h). False: nobody but the manager can do that, and it did not. */
bool sb_service_run(const wchar_t *name, int (*serve)(int argc, char **argv), int argc, char **argv, int *exit_code_out);

/* Is this process run as a service, or started by the keeper that is? */
bool sb_service_is_run(void);

/* The service that this process itself runs as; NULL: none. */
const wchar_t *sb_service_name(void);

/* Tells the manager; nothing where there is none. */
void sb_service_tell(enum sb_service_state state);

/* One entry of the event log; type: EVENTLOG_*_TYPE. False: it is lost. */
bool sb_service_report(WORD type, const wchar_t *text);

#endif
