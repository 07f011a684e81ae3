/* HAProxy in master-worker mode. It has had one worker process with threads since 2.5, so it gets as many threads as others get
 * processes. It answers by itself. With
 * idle-close-on-response an idle client hears in its next answer that the old process leaves. */
#include <signal.h>

#include "restart.h"

const char *haproxy_missing(const struct restart_settings *settings)
{
    char path[MAX_PATH];

    (void)settings;
    return program_find("haproxy", path) ? NULL : "haproxy is not installed";
}

bool haproxy_start(const struct restart_settings *settings, struct service *service)
{
    static const char format[] = "global\n"
                                 "    nbthread %d\n"
                                 "    maxconn 8000\n"
                                 "    stats socket %s/haproxy.sock mode 600 level admin expose-fd listeners\n"
                                 "defaults\n"
                                 "    mode http\n"
                                 "    option idle-close-on-response\n"
                                 "    timeout client 60s\n"
                                 "    timeout http-request 60s\n"
                                 "    timeout http-keep-alive 60s\n"
                                 "frontend bench\n"
                                 "    backlog 4096\n"
                                 "    bind 0.0.0.0:%d\n"
                                 "    bind :::%d v6only\n"
                                 "    http-request return status 200 content-type text/plain string hello\n";
    char program[MAX_PATH];
    char config[MAX_PATH];
    char text[1024];
    char *argv[] = { program, "-W", "-f", config, NULL };

    (void)settings;
    snprintf(text, sizeof text, format, SERVER_WORKERS, service->dir, service->port, service->port);
    snprintf(config, sizeof config, "%s/haproxy.cfg", service->dir);
    if (!program_find("haproxy", program) || !write_file(service, "haproxy.cfg", text))
        return false;
    start_server(service, argv);
    return await_listening(service);
}

bool haproxy_reload(const struct restart_settings *settings, struct service *service)
{
    struct old_processes old;

    (void)settings;
    note_children(service->broker, &old);
    return kill(service->broker, SIGUSR2) == 0 && await_end(&old);
}
