/* Round robin as libuv programs do it: uv_listen and uv_accept in the parent, uv_write2 over an IPC
 * pipe, uv_accept in the child. Children are executed anew: libuv does not survive fork alone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base.h"

#define CHILD_PIPE_FD 3

struct child {
    uv_process_t process;
    uv_pipe_t pipe;
};

struct handover {
    uv_tcp_t conn;
    uv_write_t write;
};

static struct child children[BASE_MAX_WORKERS];
static int n_children;
static int next_child;
static int child_index = -1;
static uv_pipe_t from_parent;

static void check(int status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "base_libuv: %s: %s\n", what, uv_strerror(status));
        exit(1);
    }
}

static void free_handle(uv_handle_t *handle)
{
    free(handle->data);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);

    if (!memory)
        abort();
    return memory;
}

/* parent */

static void on_handed_over(uv_write_t *write, int status)
{
    struct handover *h = write->data;

    check(status, "uv_write2");
    uv_close((uv_handle_t *)&h->conn, free_handle);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct handover *h = allocate(sizeof *h);
    uv_buf_t byte = uv_buf_init("h", 1);
    struct child *to = &children[next_child];

    check(status, "listen");
    uv_tcp_init(listener->loop, &h->conn);
    h->conn.data = h;
    h->write.data = h;
    if (uv_accept(listener, (uv_stream_t *)&h->conn)) {
        uv_close((uv_handle_t *)&h->conn, free_handle);
        return;
    }
    next_child = (next_child + 1) % n_children;
    check(uv_write2(&h->write, (uv_stream_t *)&to->pipe, &byte, 1, (uv_stream_t *)&h->conn, on_handed_over), "uv_write2");
}

static void on_child_exit(uv_process_t *process, int64_t code, int signo)
{
    (void)process;
    (void)code;
    (void)signo;
    exit(1);
}

static void start_child(uv_loop_t *loop, int index)
{
    char number[12];
    char *args[] = { "base_libuv", "--child", number, NULL };
    uv_stdio_container_t stdio[CHILD_PIPE_FD + 1] = {
        { .flags = UV_IGNORE },
        { .flags = UV_IGNORE },
        { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&children[index].pipe },
    };
    uv_process_options_t options = {
        .file = "/proc/self/exe",
        .args = args,
        .stdio = stdio,
        .stdio_count = CHILD_PIPE_FD + 1,
        .exit_cb = on_child_exit,
    };

    snprintf(number, sizeof number, "%d", index);
    uv_pipe_init(loop, &children[index].pipe, 1);
    check(uv_spawn(loop, &children[index].process, &options), "uv_spawn");
}

static int run_parent(int argc, char **argv)
{
    struct base_options options;
    pid_t workers[BASE_MAX_WORKERS];
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    struct sockaddr_in6 any;
    uv_os_fd_t fd;

    base_parse(argc, argv, NULL, &options);
    n_children = options.n_workers;
    uv_ip6_addr("::", options.port, &any);
    uv_tcp_init(loop, &listener);
    check(uv_tcp_bind(&listener, (struct sockaddr *)&any, 0), "bind");
    check(uv_listen((uv_stream_t *)&listener, BASE_BACKLOG, on_connection), "listen");
    base_exit_on_signals(options.seconds);
    for (int i = 0; i < n_children; i++) {
        start_child(loop, i);
        workers[i] = children[i].process.pid;
    }
    check(uv_fileno((uv_handle_t *)&listener, &fd), "uv_fileno");
    base_ready(fd, workers, n_children);
    return uv_run(loop, UV_RUN_DEFAULT);
}

/* child */

static void answer(void)
{
    uv_tcp_t *conn = allocate(sizeof *conn);
    char index = (char)child_index;
    uv_buf_t byte = uv_buf_init(&index, 1);

    uv_tcp_init(from_parent.loop, conn);
    conn->data = conn;
    check(uv_accept((uv_stream_t *)&from_parent, (uv_stream_t *)conn), "uv_accept");
    uv_try_write((uv_stream_t *)conn, &byte, 1);
    uv_close((uv_handle_t *)conn, free_handle);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char memory[64];

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(memory, sizeof memory);
}

static void on_packet(uv_stream_t *pipe, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n < 0)
        exit(0); /* the parent is gone */
    while (uv_pipe_pending_count((uv_pipe_t *)pipe) > 0)
        answer();
}

static int run_child(const char *index)
{
    uv_loop_t *loop = uv_default_loop();

    child_index = atoi(index);
    signal(SIGPIPE, SIG_IGN);
    uv_pipe_init(loop, &from_parent, 1);
    check(uv_pipe_open(&from_parent, CHILD_PIPE_FD), "uv_pipe_open");
    check(uv_read_start((uv_stream_t *)&from_parent, give_buffer, on_packet), "uv_read_start");
    return uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return run_child(argv[2]);
    return run_parent(argc, argv);
}
