#include <stdio.h>

#include "broker/broker.h"
#include "broker/command.h"
#include "broker/keeper.h"
#include "broker/log.h"
#include "broker/notify.h"
#include "broker/process.h"
#include "broker/serve_options.h"
#include "broker/takeover.h"

static const char serve_help[] =
    "usage: sockbroker serve [--config FILE] [--endpoint NAME=ADDRESS[+ADDRESS][,KEY=VALUE...]]... [--dir DIR]\n"
    "                        [--set KEY=VALUE]... [--spawn N] [-- COMMAND...]\n\n"
    "  --config FILE     read endpoints and settings; SIGHUP reads it again\n"
    "  --endpoint TEXT   an endpoint, for example web=[::]:8080,policy=least-connections,allow=10.0.0.0/8+::1/128\n"
    "  --dir DIR         runtime directory; default $SOCKBROKER_DIR, /run/sockbroker (root), $XDG_RUNTIME_DIR/sockbroker\n"
    "  --set KEY=VALUE   a setting of the whole broker, for example drain_ms=10000 or log_level=debug\n"
    "  --spawn N         start N workers (default 1) with COMMAND, watch them, start them again when they end\n\n"
    "SIGTERM, SIGINT and SIGQUIT: accept nothing new, wait for what is on its way, stop; a second one stops at once.\n"
    "This process keeps the sockets and starts the broker again if it crashes; --set keeper=no: it is the broker itself.\n";

static const char check_help[] =
    "usage: sockbroker check [--config FILE] [--endpoint NAME=ADDRESS[,KEY=VALUE...]]... [--dir DIR] [--set KEY=VALUE]...\n\n"
    "Reads and judges a configuration. Binds nothing and touches no running broker.\n";

static sockbroker_status read_again(void *arg, struct sb_config *config_out, struct sockbroker_error *error_out)
{
    return sb_serve_options_load(arg, config_out, error_out);
}

/* This process is the keeper, unless one has started it, or a broker that makes way for it. */
static bool wants_keeper(const struct sb_broker *b)
{
    return b->config.keeper == SB_KEEPING_KEEPER && !b->taking && !sb_keeper_is_ours();
}

static sockbroker_status run_broker(struct sb_broker *b, struct sb_serve_options *options, char **argv,
                                    struct sockbroker_error *error)
{
    sb_process_set_name("sockbroker"); /* a keeper starts it by another path */
    sb_process_ignore_upgrade();       /* until it listens for it */
    sb_log_open(b->config.log_level);
    b->args = argv;
    b->read_config = read_again;
    b->read_config_arg = options;
    sockbroker_status st = sb_broker_run(b, error);
    sb_log_close();
    return st;
}

/* argv[-1] is the program's name: the broker is the same command line. */
static int run_keeper(struct sb_config *config, char **argv)
{
    struct sb_keeper_options options = { argv - 1, config->keeper_restarts, config->keeper_window_ms, config->log_level };

    sb_log_set_level(config->log_level);
    sb_config_deinit(config);
    return sb_keeper_run(&options);
}

int sb_command_serve(int argc, char **argv)
{
    static struct sb_broker broker; /* zeroed */
    struct sb_serve_options options;
    struct sockbroker_error error;

    if (!sb_serve_options_read("serve", argc, argv, &options))
        return SB_EXIT_USAGE;
    if (options.help) {
        fputs(serve_help, stdout);
        return SB_EXIT_OK;
    }
    sockbroker_status st = sb_taking_open(&broker.taking, &error);
    if (!st)
        st = sb_serve_options_load(&options, &broker.config, &error);
    if (st && broker.taking)
        sb_taking_fail(broker.taking, &error);
    if (!st && wants_keeper(&broker))
        return run_keeper(&broker.config, argv);
    if (!st)
        st = run_broker(&broker, &options, argv, &error);
    sb_config_deinit(&broker.config);
    if (!st)
        return sb_keeper_exit_code(SB_EXIT_OK);
    sb_notify_failed(error.text);
    return sb_keeper_exit_code(sb_command_fail("serve", &error));
}

int sb_command_check(int argc, char **argv)
{
    struct sb_serve_options options;
    struct sb_config config;
    struct sockbroker_error error;

    if (!sb_serve_options_read("check", argc, argv, &options))
        return SB_EXIT_USAGE;
    if (options.help) {
        fputs(check_help, stdout);
        return SB_EXIT_OK;
    }
    sockbroker_status st = sb_serve_options_load(&options, &config, &error);
    if (!st)
        printf("good: %zu endpoint%s\n", config.n_endpoints, config.n_endpoints == 1 ? "" : "s");
    sb_config_deinit(&config);
    return st ? sb_command_fail("check", &error) : SB_EXIT_OK;
}
