/* nginx, which answers by itself. It runs as a daemon: in the foreground it takes itself for the second binary, whose parent
 * still runs, and refuses to be upgraded. The daemon is an orphan, so it is ours. */
#include <signal.h>
#include <unistd.h>

#include "restart.h"

#define START_MS 10000
#define QUIT_MS 20000

const char *nginx_missing(const struct restart_settings *settings)
{
    char path[MAX_PATH];

    (void)settings;
    return program_find("nginx", path) ? NULL : "nginx is not installed";
}

static bool write_config(const struct service *service)
{
    static const char format[] = "worker_processes %d;\n"
                                 "pid nginx.pid;\n"
                                 "error_log bench.log notice;\n"
                                 "events { worker_connections 8192; }\n"
                                 "http {\n"
                                 "    access_log off;\n"
                                 "    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;\n"
                                 "    uwsgi_temp_path t4; scgi_temp_path t5;\n"
                                 "    default_type text/plain;\n"
                                 "    keepalive_timeout 60s;\n"
                                 "    keepalive_requests 1000000;\n"
                                 "    server {\n"
                                 "        listen 0.0.0.0:%d backlog=4096;\n"
                                 "        listen [::]:%d ipv6only=on backlog=4096;\n"
                                 "        location / { return 200 hello; }\n"
                                 "    }\n"
                                 "}\n";
    char text[1024];

    snprintf(text, sizeof text, format, SERVER_WORKERS, service->port, service->port);
    return write_file(service, "nginx.conf", text);
}

static pid_t read_pid(const struct service *service)
{
    char path[MAX_PATH];
    int pid = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/nginx.pid", service->dir);
    file = fopen(path, "re");
    if (file && fscanf(file, "%d", &pid) != 1)
        pid = 0;
    if (file)
        fclose(file);
    return pid;
}

bool nginx_start(const struct restart_settings *settings, struct service *service)
{
    char program[MAX_PATH];
    char *argv[] = { program, "-p", service->dir, "-c", "nginx.conf", "-e", "bench.log", NULL };

    (void)settings;
    if (!program_find("nginx", program) || !write_config(service))
        return false;
    start_server(service, argv);
    service->broker = process_wait(service->broker, START_MS) == 0 ? read_pid(service) : 0;
    return service->broker > 0 && await_listening(service);
}

bool nginx_reload(const struct restart_settings *settings, struct service *service)
{
    struct old_processes old;

    (void)settings;
    note_children(service->broker, &old);
    return kill(service->broker, SIGHUP) == 0 && await_end(&old);
}

/* The pid file is the new master's, and it has all its workers. */
static bool is_new_there(void *arg)
{
    const struct service *service = arg;
    pid_t children[MAX_WORKERS];
    pid_t master = read_pid(service);

    return master > 0 && master != service->broker && process_children(master, children, MAX_WORKERS) >= SERVER_WORKERS;
}

bool nginx_upgrade(const struct restart_settings *settings, struct service *service)
{
    struct old_processes old;
    pid_t master;
    bool ok;

    (void)settings;
    note_children(service->broker, &old);
    if (kill(service->broker, SIGUSR2) || !process_await(is_new_there, service, RESTART_MS))
        return false;
    master = read_pid(service);
    if (kill(service->broker, SIGWINCH) || !await_end(&old))
        return false;
    kill(service->broker, SIGQUIT);
    ok = process_wait(service->broker, QUIT_MS) == 0;
    service->broker = master; /* an orphan by now, so it is ours */
    return ok;
}
