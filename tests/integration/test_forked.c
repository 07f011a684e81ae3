/* A fork is noticed: the child is told, the parent goes on. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sockbroker/sockbroker.h"
#include "tests/support/kit.h"

/* In the child: every call says FORKED and touches nothing of the parent. 0 when all is as it should be. */
static int try_in_child(struct kit_broker *b, struct sockbroker_worker *w)
{
    struct sockbroker_worker_options options = SOCKBROKER_WORKER_OPTIONS_INIT;
    struct sockbroker_worker *another = NULL;
    struct sockbroker_error error = { .text = "" };
    struct sockbroker_conn conn;

    if (sockbroker_worker_next(w, 0, &conn) != SOCKBROKER_FORKED || sockbroker_worker_finished(w, 1) != SOCKBROKER_FORKED)
        return 1;
    sockbroker_worker_error(w, &error);
    if (!strstr(error.text, "fork"))
        return 2;
    sockbroker_worker_stop(w);
    sockbroker_worker_close(w);
    options.dir = b->dir;
    options.endpoints = "web";
    if (sockbroker_worker_open(&options, &another, &error) != SOCKBROKER_FORKED || !strstr(error.text, "fork"))
        return 3;
    return 0;
}

static void forked_child_is_told_and_the_parent_goes_on(void **state)
{
    struct kit_broker *b = kit_broker_start(&(struct kit_start){ .args = { "--endpoint", "web=[::]:0" } });
    struct sockbroker_worker *w = kit_worker_open(b, "parent", "web");
    struct sockbroker_conn conn;
    int status;

    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(try_in_child(b, w));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    kit_broker_wait_ready(b, 1);
    sockbroker_socket client = kit_connect(NULL, "::1", kit_broker_port(b, "web"));
    assert_int_equal(sockbroker_worker_next(w, 30000, &conn), SOCKBROKER_OK);
    assert_string_equal(conn.info.endpoint, "web");
    close(conn.sock);
    kit_close(&client);
    sockbroker_worker_close(w);
    kit_broker_stop(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forked_child_is_told_and_the_parent_goes_on, kit_setup, kit_teardown),
    };

    return kit_main(tests, argc, argv);
}
