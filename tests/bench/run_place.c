/* Where a candidate lives while it runs: a directory, a log, a port; and how it leaves. */
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

#define START_MS 10000
#define STOP_MS 5000

void service_open(struct service *service_out)
{
    *service_out = (struct service){ .dir = "/tmp/sockbroker-bench-XXXXXX" };
    if (!mkdtemp(service_out->dir)) {
        perror("runtime directory");
        exit(1);
    }
}

void service_log_path(const struct service *s, char path_out[MAX_PATH])
{
    snprintf(path_out, MAX_PATH, "%s/bench.log", s->dir);
}

int service_free_port(void)
{
    struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
    socklen_t at_len = sizeof at;
    int sock = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (sock < 0 || bind(sock, (struct sockaddr *)&at, sizeof at) || getsockname(sock, (struct sockaddr *)&at, &at_len)) {
        perror("free port");
        exit(1);
    }
    close(sock);
    return ntohs(at.sin6_port);
}

bool service_wait_for_broker(const char *program, const struct service *s)
{
    char *argv[] = { (char *)program, "status", "--dir", (char *)s->dir, NULL };

    for (int waited_ms = 0; waited_ms < START_MS && !interrupted(); waited_ms += 20) {
        int unread;
        pid_t status = process_start(argv, "/dev/null", &unread);
        int code = process_wait(status, 2000);

        close(unread);
        if (code == 0)
            return true;
        if (process_has_ended(s->broker))
            return false;
        process_pause_ms(20);
    }
    return false;
}

void service_show_log(const struct service *s)
{
    char path[MAX_PATH];
    char line[512];
    FILE *log;

    service_log_path(s, path);
    log = fopen(path, "re");
    while (log && fgets(line, sizeof line, log))
        fprintf(stderr, "    %s", line);
    if (log)
        fclose(log);
}

static void remove_dir(const char *dir)
{
    char *argv[] = { "rm", "-rf", "--", (char *)dir, NULL };

    process_wait(process_start(argv, "/dev/null", NULL), STOP_MS);
}

void service_stop(struct service *s)
{
    if (s->broker > 0) {
        kill(s->broker, SIGTERM);
        process_wait(s->broker, STOP_MS);
    }
    process_end_all(); /* the workers: by now they are our children, so their ids are still theirs */
    if (s->dir[0])
        remove_dir(s->dir);
    *s = (struct service){ 0 };
}
