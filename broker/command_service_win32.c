#include <winsock2.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/command.h"
#include "broker/command_line_win32.h"
#include "broker/serve_options.h"
#include "broker/service_win32.h"
#include "proto/error.h"
#include "proto/oserr.h"
#include "broker/text_win32.h"

#define DEFAULT_NAME "sockbroker"
#define DEFAULT_ACCOUNT "NT AUTHORITY\\LocalService"
#define WORDS_MAX 512       /* of the command line of a service */
#define WAIT_MS 30000       /* for it to run, or to have stopped */
#define LOOK_MS 100         /* the manager has no event for that */
#define AGAIN_FIRST_MS 100  /* after a crash, */
#define AGAIN_LATER_MS 5000 /* and after the next ones, */
#define AGAIN_RESET_S 60    /* until it ran that long */

static const char help[] =
    "usage: sockbroker service install [--name NAME] [--account ACCOUNT] SERVE-OPTIONS\n"
    "       sockbroker service start|stop|uninstall [--name NAME]\n\n"
    "  install     make a service that runs `sockbroker serve SERVE-OPTIONS`, starts with the system, and\n"
    "              is started again when it crashes; events go to the event log\n"
    "  start       start it and wait until it serves\n"
    "  stop        stop it as Ctrl-C does, and wait at most 30 s\n"
    "  uninstall   remove it; it ends first if it runs\n\n"
    "  --name NAME         name of the service; default sockbroker\n"
    "  --account ACCOUNT   who it and its workers run as, an account that needs no password; default\n"
    "                      NT AUTHORITY\\LocalService. LocalSystem can serve workers of every account\n\n"
    "Only administrators may do that. `sc control NAME paramchange` has it read its configuration again.\n";

struct wish {
    const char *name, *account;
    wchar_t *wide_name;
    int argc; /* what follows the options above */
    char **argv;
};

/* ---- failures ---- */

static int fail_with(const struct wish *w, const char *what, DWORD code, const char *cure)
{
    struct sockbroker_error error;
    char text[128];

    snprintf(text, sizeof(text), "%s %.60s", what, w->name);
    sb_oserr_set(&error, (int)code, text, cure);
    error.status = SOCKBROKER_SYSTEM; /* INVALID would be wrong usage */
    return sb_command_fail("service", &error);
}

static int fail(const struct wish *w, const char *what)
{
    DWORD code = GetLastError();

    switch (code) {
    case ERROR_ACCESS_DENIED:
        return fail_with(w, what, code, "run this as an administrator");
    case ERROR_SERVICE_DOES_NOT_EXIST:
        return fail_with(w, what, code, "install it, or give its --name");
    case ERROR_SERVICE_EXISTS:
        return fail_with(w, what, code, "uninstall it, or choose another --name");
    default: /* any other error explains itself */
        return fail_with(w, what, code, NULL);
    }
}

/* ---- install ---- */

static wchar_t *own_path(void)
{
    static wchar_t path[32768];
    DWORD len = GetModuleFileNameW(NULL, path, 32768);

    return len && len < 32768 ? path : NULL;
}

/* The program, "service run --name NAME", and the options as they are. */
static wchar_t *make_command(const struct wish *w)
{
    const char *words[WORDS_MAX] = { NULL, "service", "run", "--name", w->name };
    wchar_t *path = own_path(), *line = NULL;
    char *narrow = NULL;
    size_t n = 5;

    if (!path || sb_text_narrow(path, &narrow))
        return NULL;
    words[0] = narrow;
    for (int i = 0; i < w->argc && n < WORDS_MAX; i++)
        words[n++] = w->argv[i];
    if (n == WORDS_MAX || sb_command_line_make(words, n, &line))
        line = NULL;
    free(narrow);
    return line;
}

static bool is_whole_path(const char *path)
{
    return path[0] == '\\' || (path[0] && path[1] == ':' && (path[2] == '\\' || path[2] == '/'));
}

/* What is wrong is said now, not to the event log of some later day. argv[-1] is there: the word "install". */
static int check_options(const struct wish *w)
{
    struct sb_serve_options options;
    struct sb_config config;
    struct sockbroker_error error;

    if (!sb_serve_options_read("service", w->argc + 1, w->argv - 1, &options))
        return SB_EXIT_USAGE;
    if (options.config_path && !is_whole_path(options.config_path))
        return sb_command_misuse("service", "--config \"%s\": a service begins in a folder of the system; give the whole path",
                                 options.config_path);
    sockbroker_status st = sb_serve_options_load(&options, &config, &error);
    sb_config_deinit(&config);
    return st ? sb_command_fail("service", &error) : SB_EXIT_OK;
}

/* So that the viewer of events shows their text: messages 1 to 1000 of that program are "%1". */
static void register_events(const struct wish *w)
{
    static const wchar_t file[] = L"%SystemRoot%\\System32\\EventCreate.exe";
    DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    wchar_t path[512];
    HKEY key;

    _snwprintf(path, 512, L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\%ls", w->wide_name);
    if (RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_SET_VALUE, NULL, &key, NULL))
        return;
    RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ, (const BYTE *)file, sizeof(file));
    RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, (const BYTE *)&types, sizeof(types));
    RegCloseKey(key);
}

static void forget_events(const struct wish *w)
{
    wchar_t path[512];

    _snwprintf(path, 512, L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\%ls", w->wide_name);
    RegDeleteKeyW(HKEY_LOCAL_MACHINE, path);
}

/* Of the keeper, or of a broker without one. */
static void arrange_restarts(SC_HANDLE service)
{
    SC_ACTION actions[] = { { SC_ACTION_RESTART, AGAIN_FIRST_MS }, { SC_ACTION_RESTART, AGAIN_LATER_MS } };
    SERVICE_FAILURE_ACTIONSW how = { .dwResetPeriod = AGAIN_RESET_S, .cActions = 2, .lpsaActions = actions };
    SERVICE_DESCRIPTIONW what = { .lpDescription = L"Accepts connections and hands them to workers" };

    ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &how);
    ChangeServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, &what);
}

static int create(const struct wish *w, SC_HANDLE manager)
{
    wchar_t *command = make_command(w), *account = NULL;
    SC_HANDLE service = NULL;

    if (command && sb_text_widen(w->account, &account) == SOCKBROKER_OK)
        service = CreateServiceW(manager, w->wide_name, w->wide_name, SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS,
                                 SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, command, NULL, NULL, NULL, account, NULL);
    free(command);
    free(account);
    if (!service)
        return fail(w, "install");
    arrange_restarts(service);
    CloseServiceHandle(service);
    register_events(w);
    printf("installed: service %s\n", w->name);
    return SB_EXIT_OK;
}

static int install(const struct wish *w)
{
    int code = check_options(w);

    if (code)
        return code;
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CREATE_SERVICE);
    if (!manager)
        return fail(w, "install");
    code = create(w, manager);
    CloseServiceHandle(manager);
    return code;
}

/* ---- start, stop, uninstall ---- */

static SC_HANDLE open_service(const struct wish *w, DWORD access)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = manager ? OpenServiceW(manager, w->wide_name, access | SERVICE_QUERY_STATUS) : NULL;
    DWORD code = GetLastError();

    if (manager)
        CloseServiceHandle(manager);
    SetLastError(code);
    return service;
}

/* False: it is in another state after WAIT_MS, or ended on the way. */
static bool wait_for(SC_HANDLE service, DWORD state)
{
    SERVICE_STATUS s;

    for (unsigned waited_ms = 0; waited_ms < WAIT_MS; waited_ms += LOOK_MS) {
        if (!QueryServiceStatus(service, &s) || s.dwCurrentState == state)
            return s.dwCurrentState == state;
        if (s.dwCurrentState == SERVICE_STOPPED)
            return false;
        Sleep(LOOK_MS);
    }
    return false;
}

static int start(const struct wish *w)
{
    SC_HANDLE service = open_service(w, SERVICE_START);
    int code = SB_EXIT_OK;

    if (!service || !StartServiceW(service, 0, NULL))
        code = fail(w, "start");
    else if (!wait_for(service, SERVICE_RUNNING))
        code = fail_with(w, "start", ERROR_SERVICE_NOT_ACTIVE, "it did not come up: the event log says why");
    if (service)
        CloseServiceHandle(service);
    return code;
}

static int stop(const struct wish *w)
{
    SC_HANDLE service = open_service(w, SERVICE_STOP);
    SERVICE_STATUS s;
    int code = SB_EXIT_OK;

    if (!service || (!ControlService(service, SERVICE_CONTROL_STOP, &s) && GetLastError() != ERROR_SERVICE_NOT_ACTIVE))
        code = fail(w, "stop");
    else if (!wait_for(service, SERVICE_STOPPED))
        code = fail_with(w, "stop", WAIT_TIMEOUT, "it still drains: ask again later");
    if (service)
        CloseServiceHandle(service);
    return code;
}

static int uninstall(const struct wish *w)
{
    SC_HANDLE service = open_service(w, DELETE | SERVICE_STOP);
    SERVICE_STATUS s;
    int code = SB_EXIT_OK;

    if (service)
        ControlService(service, SERVICE_CONTROL_STOP, &s);
    if (!service || !DeleteService(service))
        code = fail(w, "uninstall");
    else
        forget_events(w);
    if (service)
        CloseServiceHandle(service);
    return code;
}

/* For the manager alone. The keeper starts the broker with these words: a whole command, as main() is given it. */
static int run(const struct wish *w)
{
    static char program[] = "sockbroker", serve[] = "serve";
    char *words[WORDS_MAX + 1] = { program, serve };
    int code;

    for (int i = 0; i < w->argc && i < WORDS_MAX - 2; i++)
        words[2 + i] = w->argv[i];
    if (sb_service_run(w->wide_name, sb_command_serve, w->argc + 1, words + 1, &code))
        return code;
    return sb_command_misuse("service", "run is for the service manager; use start, or sockbroker serve");
}

/* ---- the command line ---- */

static const struct {
    const char *word;
    int (*run)(const struct wish *w);
} actions[] = { { "install", install }, { "start", start }, { "stop", stop }, { "uninstall", uninstall }, { "run", run } };

/* --name and --account come first; serve's own options follow. */
static void take_options(struct wish *w)
{
    while (w->argc >= 2) {
        if (!strcmp(w->argv[0], "--name"))
            w->name = w->argv[1];
        else if (!strcmp(w->argv[0], "--account"))
            w->account = w->argv[1];
        else
            return;
        w->argc -= 2;
        w->argv += 2;
    }
}

int sb_command_service(int argc, char **argv)
{
    struct wish w = { .name = DEFAULT_NAME, .account = DEFAULT_ACCOUNT, .argc = argc - 2, .argv = argv + 2 };

    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(help, stdout);
        return SB_EXIT_OK;
    }
    if (argc < 2)
        return sb_command_misuse("service", "say what to do: install, start, stop or uninstall");
    take_options(&w);
    if (sb_text_widen(w.name, &w.wide_name) || !sb_name_is_valid(w.name, strlen(w.name)))
        return sb_command_misuse("service", "--name \"%s\": use 1 to %d of A-Z a-z 0-9 . _ -", w.name, SOCKBROKER_NAME_MAX);
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (!strcmp(argv[1], actions[i].word))
            return actions[i].run(&w);
    }
    return sb_command_misuse("service", "there is no \"%s\"; use install, start, stop or uninstall", argv[1]);
}
