#include "broker/service_win32.h"

#include <stdlib.h>

#include "broker/keeper_letter_win32.h"
#include "broker/signals_win32.h"

#define STOP_HINT_MS 3660000u /* drain_ms is an hour at the most, then workers are killed */
#define START_HINT_MS 30000u
#define EVENT_ID 1 /* of EventCreate.exe, whose text is the first string */

static struct {
    bool is_run;
    const wchar_t *name;
    int (*serve)(int argc, char **argv);
    int argc;
    char **argv;
    int exit_code;
    SERVICE_STATUS_HANDLE manager;
    HANDLE log;
} service;

static void report_state(DWORD state, DWORD hint_ms)
{
    SERVICE_STATUS s = { .dwServiceType = SERVICE_WIN32_OWN_PROCESS, .dwCurrentState = state, .dwWaitHint = hint_ms };

    if (state == SERVICE_RUNNING)
        s.dwControlsAccepted = SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN | SERVICE_ACCEPT_PARAMCHANGE;
    if (state == SERVICE_STOPPED && service.exit_code) {
        s.dwWin32ExitCode = ERROR_SERVICE_SPECIFIC_ERROR;
        s.dwServiceSpecificExitCode = (DWORD)service.exit_code;
    }
    SetServiceStatus(service.manager, &s);
}

bool sb_service_is_run(void)
{
    const struct sb_keeper_letter *letter = sb_keeper_letter();

    return service.is_run || (letter && letter->service[0]);
}

const wchar_t *sb_service_name(void)
{
    return service.is_run ? service.name : NULL;
}

void sb_service_tell(enum sb_service_state state)
{
    if (!service.manager) {
        service.exit_code = EXIT_FAILURE;
        return;
    }
    if (state == SB_SERVICE_RUNNING)
        report_state(SERVICE_RUNNING, 0);
    else
        report_state(SERVICE_STOP_PENDING, STOP_HINT_MS);
}

bool sb_service_report(WORD type, const wchar_t *text)
{
    const struct sb_keeper_letter *letter = sb_keeper_letter();

    if (!service.log && letter && letter->service[0])
        service.log = RegisterEventSourceW(NULL, letter->service); /* until the process ends */
    return service.log && ReportEventW(service.log, type, 0, EVENT_ID, NULL, 1, 0, &text, NULL);
}

/* On a thread of the manager's. */
static DWORD WINAPI on_control(DWORD control, DWORD event_type, LPVOID event, LPVOID context)
{
    (void)event_type;
    (void)event;
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_PRESHUTDOWN:
        report_state(SERVICE_STOP_PENDING, STOP_HINT_MS);
        sb_signal_send(GetCurrentProcessId(), SB_SIGNAL_STOP);
        return NO_ERROR;
    case SERVICE_CONTROL_PARAMCHANGE:
        sb_signal_send(GetCurrentProcessId(), SB_SIGNAL_RELOAD);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default: /* nothing else is accepted */
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

static VOID WINAPI run(DWORD argc, LPWSTR *argv)
{
    (void)argc;
    (void)argv;
    service.is_run = true;
    service.log = RegisterEventSourceW(NULL, service.name);
    service.manager = RegisterServiceCtrlHandlerExW(service.name, on_control, NULL);
    if (!service.manager)
        return;
    report_state(SERVICE_START_PENDING, START_HINT_MS);
    service.exit_code = service.serve(service.argc, service.argv);
    if (service.log)
        DeregisterEventSource(service.log);
    service.log = NULL;
    report_state(SERVICE_STOPPED, 0);
}

bool sb_service_run(const wchar_t *name, int (*serve)(int argc, char **argv), int argc, char **argv, int *exit_code_out)
{
    SERVICE_TABLE_ENTRYW table[] = { { (LPWSTR)name, run }, { NULL, NULL } };

    service.name = name;
    service.serve = serve;
    service.argc = argc;
    service.argv = argv;
    if (!StartServiceCtrlDispatcherW(table))
        return false;
    *exit_code_out = service.exit_code;
    return true;
}
