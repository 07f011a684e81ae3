#include <getopt.h>
#include <stdio.h>

#include "broker/addresses_print.h"
#include "broker/command.h"
#include "broker/policy_file.h"
#include "broker/resolve.h"

static const char help[] = "usage: sockbroker addresses HOST [--policy FILE] [--json]\n\n"
                           "Resolves HOST and shows its addresses in the order in which they are best tried, each with the\n"
                           "source address it would have, and the rule that puts it before the next (RFC 6724, section 6).\n"
                           "Those that cannot be used now come last, with the reason. Sends nothing, but for the resolver.\n\n"
                           "  --policy FILE   policy table instead of the default one (section 2.1); each line has a prefix,\n"
                           "                  its precedence and its label: 2001:db8::/32 40 1\n"
                           "  --json          one JSON object; its shape is described in broker/README.md and carries a\n"
                           "                  \"schema\" number\n"
                           "  --dir DIR       has no effect: no broker is asked\n";

static const struct option long_options[] = {
    { "policy", required_argument, NULL, 'p' },
    { "json", no_argument, NULL, 'j' },
    { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

struct request {
    const char *host;
    const char *policy_path; /* NULL: the default table */
    bool json;
};

/* pairs has room for SOCKBROKER_PAIRS_MAX. */
static sockbroker_status make(const struct request *r, struct sockbroker_pair *pairs, size_t *n_pairs_out,
                              struct sockbroker_error *error)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_policy policies[SOCKBROKER_POLICIES_MAX];
    struct sockbroker_addr list[SOCKBROKER_PAIRS_MAX];
    sockbroker_status st = SOCKBROKER_OK;
    size_t n;

    options.keep_unusable = true;
    if (r->policy_path) {
        options.policies = policies;
        st = sb_policy_file_read(r->policy_path, policies, &options.n_policies, error);
    }
    if (!st)
        st = sb_resolve(r->host, list, SOCKBROKER_PAIRS_MAX, &n, error);
    return st ? st : sockbroker_select_pairs(list, n, &options, pairs, n_pairs_out, error);
}

static int print(const struct sb_addresses *addresses, bool json)
{
    bool printed = json ? sb_addresses_print_json(addresses, stdout) : sb_addresses_print_text(addresses, stdout);

    if (printed && !fflush(stdout))
        return SB_EXIT_OK;
    fprintf(stderr, "sockbroker addresses: standard output: could not be written\n");
    return SB_EXIT_FAILED;
}

static int show(const struct request *r)
{
    static struct sockbroker_pair pairs[SOCKBROKER_PAIRS_MAX]; /* too many for a stack */
    struct sb_addresses addresses = { r->host, pairs, 0 };
    struct sockbroker_error error;

    if (make(r, pairs, &addresses.n_pairs, &error))
        return sb_command_fail("addresses", &error);
    return print(&addresses, r->json);
}

int sb_command_addresses(int argc, char **argv)
{
    struct request r = { .host = NULL };
    int option;

    while ((option = getopt_long(argc, argv, "p:jd:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'p':
            r.policy_path = optarg;
            break;
        case 'j':
            r.json = true;
            break;
        case 'd': /* every command takes it */
            break;
        case 'h':
            fputs(help, stdout);
            return SB_EXIT_OK;
        default: /* getopt_long has said what is wrong */
            return sb_command_misuse("addresses", "wrong option");
        }
    }
    if (optind + 1 != argc)
        return sb_command_misuse("addresses", "name one host");
    r.host = argv[optind];
    return show(&r);
}
