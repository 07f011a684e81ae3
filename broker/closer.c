#include "broker/closer.h"

#include <stdlib.h>

#include "proto/socket.h"

struct job {
    struct sb_broker *broker;
    sockbroker_socket sock;
    uv_work_t work;
};

/* On a thread of the pool. */
static void close_slowly(uv_work_t *work)
{
    struct job *job = work->data;

    sb_socket_close(&job->sock);
}

static void done(uv_work_t *work, int status)
{
    struct job *job = work->data;

    (void)status;
    job->broker->n_closing--;
    free(job);
}

/* False when there is no memory or no thread: then it is closed here, as slowly as it wants. */
static bool hand_over(struct sb_broker *b, sockbroker_socket sock)
{
    struct job *job = malloc(sizeof(*job));

    if (!job)
        return false;
    job->broker = b;
    job->sock = sock;
    job->work.data = job;
    if (uv_queue_work(&b->loop, &job->work, close_slowly, done)) {
        free(job);
        return false;
    }
    b->n_closing++;
    return true;
}

void sb_closer_close(struct sb_broker *b, sockbroker_socket *sock)
{
    if (sb_socket_lingers(*sock) && hand_over(b, *sock))
        *sock = SOCKBROKER_SOCKET_NONE;
    else
        sb_socket_close(sock);
}
