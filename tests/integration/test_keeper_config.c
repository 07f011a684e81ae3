/* The next broker has another configuration than the one that crashed (F58). */
#include <signal.h>
#include <unistd.h>

#include "tests/integration/keeper_kit.h"
#include "tests/support/fault.h"
#include "tests/support/format.h"

static struct kit_broker *start_with(struct kit_config *f, const char *text)
{
    kit_config_open(f, text);
    return kit_broker_start(&(struct kit_start){ .keeper = true, .args = { KIT_KEEPER_AT_ONCE, "--config", f->path } });
}

static void stop_with(struct kit_broker *b, struct kit_config *f)
{
    kit_broker_stop(b);
    kit_config_close(f);
}

/* stays: with its queue. goes: nobody listens any more. moves: at the same port, where another address of it was taken. TCP and
 * UDP at one port are two endpoints. */
static void changed_configuration_gets_just_what_it_asks_for(void **state)
{
    static const char before[] = "endpoint stays { address = [::]:0 \n hold_max = 0 }\n"
                                 "endpoint goes { address = [::]:0 }\n"
                                 "endpoint moves { address = 127.0.0.1:0 }\n";
    char after[512];
    struct kit_config f;
    struct kit_broker *b = start_with(&f, before);
    uint16_t stays = kit_broker_port(b, "stays"), goes = kit_broker_port(b, "goes"), moves = kit_broker_port(b, "moves");
    int socks[2];

    (void)state;
    keeper_connect_many(stays, socks, 2);
    format_text(after, sizeof(after),
                "endpoint stays { address = [::]:%u \n hold_max = 0 }\n"
                "endpoint same { address = [::]:%u \n protocol = udp \n mode = share }\n"
                "endpoint moves { address = [::]:%u }\n"
                "endpoint comes { address = 127.0.0.1:0 }\n",
                stays, stays, moves);
    kit_config_write(&f, after);
    kit_keeper_crash(b);
    assert_true(kit_is_refused("::1", goes));
    struct kit_process *w =
        kit_worker_start(b, "w", "hello", &(struct kit_start){ .args = { "--endpoint", "stays,moves,comes" } });
    assert_int_equal(fault_answers_by(socks, 2, "w"), 2);
    socks[0] = kit_connect(NULL, "::1", moves);
    socks[1] = kit_connect(NULL, "127.0.0.1", kit_broker_port(b, "comes"));
    assert_int_equal(fault_answers_by(socks, 2, "w"), 2);
    kit_worker_stop(w);
    keeper_send_datagram("127.0.0.1", stays);
    kit_keeper_crash(b);
    struct sockbroker_worker *u = kit_worker_open(b, "u", "same");
    int sock = keeper_fetch(u, "same");
    assert_int_equal(keeper_receive_all(sock), 1);
    close(sock);
    sockbroker_worker_close(u);
    stop_with(b, &f);
}

/* Fewer slots: the first ones go on, and so do those that a reload has opened. */
static void removed_and_added_endpoints_are_kept_as_they_are(void **state)
{
    char text[256];
    struct kit_config f;
    struct kit_broker *b = start_with(&f, "endpoint one { address = [::]:0 }\n");
    uint16_t one = kit_broker_port(b, "one");

    (void)state;
    format_text(text, sizeof(text), "endpoint two { address = [::]:0 \n mode = shard \n slots = 4 }\n");
    kit_config_write(&f, text);
    kit_process_signal(b->process, SIGHUP);
    kit_process_wait_log(b->process, "event=reloaded");
    keeper_wait_kept(b, 4);
    assert_true(kit_is_refused("127.0.0.1", one));
    uint16_t two = kit_broker_port(b, "two");
    format_text(text, sizeof(text), "endpoint two { address = [::]:%u \n mode = shard \n slots = 2 }\n", two);
    kit_config_write(&f, text);
    kit_keeper_crash(b);
    keeper_wait_kept(b, 2);
    struct kit_process *w = kit_worker_start(b, "w", "hello", &(struct kit_start){ .args = { "--endpoint", "two" } });
    struct kit_load_result r;
    kit_load_run(&(struct kit_load_options){ .port = two, .total = 50 }, &r);
    kit_load_check_all_answered(&r, 50);
    kit_worker_stop(w);
    stop_with(b, &f);
}

/* A file that is broken just then is no reason to let the sockets go. */
static void broken_configuration_is_tried_again(void **state)
{
    static const char good[] = "endpoint web { address = [::]:0 \n hold_max = 0 }\n";
    struct kit_config f;
    struct kit_broker *b = start_with(&f, good);
    uint16_t port = kit_broker_port(b, "web");
    sockbroker_socket sock = kit_connect(NULL, "::1", port);

    (void)state;
    kit_config_write(&f, "endpoint web {");
    unsigned before = kit_keeper_count_ready(b);
    kit_keeper_kill_broker(b);
    kit_process_wait_log(b->process, "cause=\"it ended with code 2\"");
    kit_config_write(&f, good);
    kit_until(kit_keeper_count_ready(b) > before);
    struct kit_process *w = kit_worker_start(b, "w", "hello", NULL);
    assert_int_equal(fault_answers_by(&sock, 1, "w"), 1);
    kit_worker_stop(w);
    stop_with(b, &f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(changed_configuration_gets_just_what_it_asks_for),
        TEST(removed_and_added_endpoints_are_kept_as_they_are),
        TEST(broken_configuration_is_tried_again),
    };

    return kit_main(tests, argc, argv);
}
