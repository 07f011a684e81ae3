/* serve_options.h: the command line of `serve` and `check`, and the configuration it leads to. */
#ifndef SB_BROKER_SERVE_OPTIONS_H
#define SB_BROKER_SERVE_OPTIONS_H

#include "broker/config.h"

#define SB_ENDPOINT_OPTIONS_MAX 64
#define SB_SET_OPTIONS_MAX 32

struct sb_serve_options {
    const char *config_path;                        /* --config */
    const char *dir;                                /* --dir */
    const char *endpoints[SB_ENDPOINT_OPTIONS_MAX]; /* --endpoint, in order */
    size_t n_endpoints;
    const char *settings[SB_SET_OPTIONS_MAX]; /* --set KEY=VALUE, in order */
    size_t n_settings;
    const char *spawn;          /* --spawn */
    const char *const *command; /* what follows "--" */
    size_t n_command;
    bool help;
};

/* Prints what is wrong and returns false. command: "serve" or "check". */
bool sb_serve_options_read(const char *command, int argc, char **argv, struct sb_serve_options *options_out);

/* The file, then --set, then --endpoint, --spawn with its command, and --dir; completed and checked. config_out needs
 * sb_config_deinit() also on failure. */
sockbroker_status sb_serve_options_load(const struct sb_serve_options *options, struct sb_config *config_out,
                                        struct sockbroker_error *error_out);

#endif
