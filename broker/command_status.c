#include <getopt.h>
#include <stdio.h>

#include "broker/ask.h"
#include "broker/command.h"
#include "broker/status_print.h"

#define ASKED_MOST 5u /* another broker may take the place of the one that is asked */

static const char help[] =
    "usage: sockbroker status [--json] [--dir DIR]\n\n"
    "  --json      one JSON object; its shape is described in broker/README.md and carries a \"schema\" number\n"
    "  --dir DIR   runtime directory of the broker\n";

static const struct option long_options[] = {
    { "json", no_argument, NULL, 'j' },
    { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static sockbroker_status ask(const char *dir, struct sb_status_report *report, struct sockbroker_error *error)
{
    struct sb_client *client;
    sockbroker_status st = sb_ask_open(dir, &client, error);

    if (st)
        return st;
    st = sb_ask_status(client, report, error);
    sb_client_close(client);
    return st;
}

static int show(const char *dir, bool json)
{
    struct sb_status_report report;
    struct sockbroker_error error;
    sockbroker_status st;
    unsigned n_asked = 0;

    do
        st = ask(dir, &report, &error);
    while (st == SOCKBROKER_CLOSED && ++n_asked < ASKED_MOST);
    if (st)
        return sb_command_fail("status", &error);
    bool printed = json ? sb_status_print_json(&report, stdout) : sb_status_print_text(&report, stdout);
    sb_status_report_deinit(&report);
    if (!printed || fflush(stdout)) {
        fprintf(stderr, "sockbroker status: standard output: could not be written\n");
        return SB_EXIT_FAILED;
    }
    return SB_EXIT_OK;
}

int sb_command_status(int argc, char **argv)
{
    const char *dir = NULL;
    bool json = false;
    int option;

    while ((option = getopt_long(argc, argv, "jd:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'j':
            json = true;
            break;
        case 'd':
            dir = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return SB_EXIT_OK;
        default: /* getopt_long has said what is wrong */
            return sb_command_misuse("status", "wrong option");
        }
    }
    if (optind < argc)
        return sb_command_misuse("status", "\"%s\" is not an option", argv[optind]);
    return show(dir, json);
}
