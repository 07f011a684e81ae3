/* Each library that the program stands on does one thing that it is there for. On a system for which we build them
 * ourselves this tells a wrong build from a fault of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <confuse.h>
#include <jansson.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <protobuf-c/protobuf-c.h>
#include <uthash.h>
#include <uv.h>

#include "tests/support/format.h"

static void nng_carries_a_request_and_its_reply_over_ipc(void **state)
{
    nng_socket server, client;
    char url[64], text[16];
    size_t len = sizeof(text);

    (void)state;
    format_text(url, sizeof(url), "ipc:///tmp/sockbroker-libraries-%d", (int)uv_os_getpid());
    assert_int_equal(nng_rep0_open(&server), 0);
    assert_int_equal(nng_req0_open(&client), 0);
    assert_int_equal(nng_listen(server, url, NULL, 0), 0);
    assert_int_equal(nng_dial(client, url, NULL, 0), 0);

    assert_int_equal(nng_send(client, "question", 9, 0), 0);
    assert_int_equal(nng_recv(server, text, &len, 0), 0);
    assert_string_equal(text, "question");
    assert_int_equal(nng_send(server, "answer", 7, 0), 0);
    len = sizeof(text);
    assert_int_equal(nng_recv(client, text, &len, 0), 0);
    assert_string_equal(text, "answer");

    nng_close(client);
    nng_close(server);
}

static void count(uv_timer_t *timer)
{
    int *n = timer->data;

    if (++*n == 3)
        uv_close((uv_handle_t *)timer, NULL);
}

static void libuv_keeps_time(void **state)
{
    uv_loop_t loop;
    uv_timer_t timer;
    int n = 0;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    timer.data = &n;
    assert_int_equal(uv_timer_start(&timer, count, 1, 1), 0);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(n, 3);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void libconfuse_reads_a_section(void **state)
{
    cfg_opt_t endpoint[] = { CFG_STR("address", NULL, CFGF_NONE), CFG_END() };
    cfg_opt_t all[] = { CFG_SEC("endpoint", endpoint, CFGF_MULTI | CFGF_TITLE), CFG_END() };
    cfg_t *cfg = cfg_init(all, CFGF_NONE);

    (void)state;
    assert_non_null(cfg);
    assert_int_equal(cfg_parse_buf(cfg, "endpoint web {\n    address = [::]:8080\n}\n"), CFG_SUCCESS);
    assert_string_equal(cfg_getstr(cfg_getnsec(cfg, "endpoint", 0), "address"), "[::]:8080");
    cfg_free(cfg);
}

static void jansson_writes_what_it_read(void **state)
{
    json_t *value = json_loads("{\"pid\": 9007199254740993}", 0, NULL);
    char *text = json_dumps(value, JSON_COMPACT);

    (void)state;
    assert_string_equal(text, "{\"pid\":9007199254740993}");
    free(text);
    json_decref(value);
}

static void protobuf_c_runs_in_the_version_that_was_compiled_against(void **state)
{
    (void)state;
    assert_true(protobuf_c_version_number() >= PROTOBUF_C_VERSION_NUMBER);
}

struct item {
    int key;
    UT_hash_handle hh;
};

static void uthash_finds_what_was_put_there(void **state)
{
    struct item one = { .key = 1 }, *all = NULL, *found = NULL;
    int key = 1;

    (void)state;
    HASH_ADD_INT(all, key, &one);
    HASH_FIND_INT(all, &key, found);
    assert_ptr_equal(found, &one);
    HASH_DEL(all, found);
    assert_null(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nng_carries_a_request_and_its_reply_over_ipc),
        cmocka_unit_test(libuv_keeps_time),
        cmocka_unit_test(libconfuse_reads_a_section),
        cmocka_unit_test(jansson_writes_what_it_read),
        cmocka_unit_test(protobuf_c_runs_in_the_version_that_was_compiled_against),
        cmocka_unit_test(uthash_finds_what_was_put_there),
    };

    return cmocka_run_group_tests_name("libraries", tests, NULL, NULL);
}
