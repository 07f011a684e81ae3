#include "broker/serve_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "broker/command.h"

static const struct option long_options[] = {
    { "config", required_argument, NULL, 'c' },
    { "endpoint", required_argument, NULL, 'e' },
    { "dir", required_argument, NULL, 'd' },
    { "set", required_argument, NULL, 's' },
    { "help", no_argument, NULL, 'h' },
    { "spawn", required_argument, NULL, 'n' },
    { NULL, 0, NULL, 0 },
};

static bool add(const char *command, const char *option, const char **list, size_t *n, size_t max, const char *value)
{
    if (*n == max) {
        sb_command_misuse(command, "more than %zu %s", max, option);
        return false;
    }
    list[(*n)++] = value;
    return true;
}

static bool take(const char *command, int option, struct sb_serve_options *o)
{
    switch (option) {
    case 'c':
        o->config_path = optarg;
        return true;
    case 'd':
        o->dir = optarg;
        return true;
    case 'h':
        o->help = true;
        return true;
    case 'e':
        return add(command, "--endpoint", o->endpoints, &o->n_endpoints, SB_ENDPOINT_OPTIONS_MAX, optarg);
    case 's':
        return add(command, "--set", o->settings, &o->n_settings, SB_SET_OPTIONS_MAX, optarg);
    case 'n':
        o->spawn = optarg;
        return true;
    default: /* getopt_long has said what is wrong */
        sb_command_misuse(command, "wrong option");
        return false;
    }
}

/* What follows the options: nothing, or "--" and a command. */
static bool take_command(const char *command, int argc, char **argv, struct sb_serve_options *o)
{
    if (optind == argc)
        return true;
    if (strcmp(argv[optind - 1], "--")) {
        sb_command_misuse(command, "\"%s\" is not an option; a command for --spawn stands after --", argv[optind]);
        return false;
    }
    o->command = (const char *const *)&argv[optind];
    o->n_command = (size_t)(argc - optind);
    return true;
}

bool sb_serve_options_read(const char *command, int argc, char **argv, struct sb_serve_options *options_out)
{
    static const struct sb_serve_options none;
    int option;

    *options_out = none;
    while ((option = getopt_long(argc, argv, "+c:e:d:h", long_options, NULL)) != -1) {
        if (!take(command, option, options_out))
            return false;
    }
    if (!take_command(command, argc, argv, options_out))
        return false;
    if (!options_out->config_path && !options_out->n_endpoints && !options_out->help) {
        sb_command_misuse(command, "nothing to serve: give --endpoint NAME=ADDRESS or --config FILE");
        return false;
    }
    return true;
}

static sockbroker_status apply_command(struct sb_config *config, const struct sb_serve_options *o,
                                       struct sockbroker_error *error)
{
    sockbroker_status st = SOCKBROKER_OK;

    if (o->n_command)
        st = sb_config_set_global(config, "command", o->command, o->n_command, error);
    if (!st && o->spawn)
        st = sb_config_set_global(config, "spawn", &o->spawn, 1, error);
    return st;
}

sockbroker_status sb_serve_options_load(const struct sb_serve_options *options, struct sb_config *config_out,
                                        struct sockbroker_error *error_out)
{
    sockbroker_status st = SOCKBROKER_OK;

    sb_config_init(config_out);
    if (options->config_path)
        st = sb_config_read_file(config_out, options->config_path, error_out);
    for (size_t i = 0; i < options->n_settings && !st; i++)
        st = sb_config_add_setting(config_out, options->settings[i], error_out);
    for (size_t i = 0; i < options->n_endpoints && !st; i++)
        st = sb_config_add_endpoint(config_out, options->endpoints[i], error_out);
    if (!st)
        st = apply_command(config_out, options, error_out);
    if (!st && options->dir)
        st = sb_config_set_global(config_out, "dir", &options->dir, 1, error_out);
    if (!st)
        st = sb_config_complete(config_out, error_out);
    return st ? st : sb_config_check(config_out, error_out);
}
