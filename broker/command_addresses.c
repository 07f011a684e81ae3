#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "broker/addresses_print.h"
#include "broker/command.h"
#include "broker/config.h"
#include "broker/policies_print.h"
#include "broker/policy_file.h"
#include "broker/resolve.h"

static const char help[] = "usage: sockbroker addresses HOST [--config FILE | --policy FILE] [--json]\n"
                           "       sockbroker addresses --show-policy [--config FILE | --policy FILE] [--json]\n\n"
                           "Resolves HOST and shows its addresses in the order in which they are best tried, each with the\n"
                           "source address it would have, and the rule that puts it before the next (RFC 6724, section 6).\n"
                           "Those that cannot be used now come last, with the reason. Sends nothing, but for the resolver.\n\n"
                           "  --show-policy   print the policy table instead, one entry on each line, as --policy reads it\n"
                           "  --config FILE   the table of a broker's configuration (address_policy), if there is one\n"
                           "  --policy FILE   policy table instead of the default one (section 2.1); each line has a prefix,\n"
                           "                  its precedence and its label: 2001:db8::/32 40 1\n"
                           "  --json          one JSON object; its shape is described in broker/README.md and carries a\n"
                           "                  \"schema\" number\n"
                           "  --dir DIR       has no effect: no broker is asked\n";

static const struct option long_options[] = {
    { "show-policy", no_argument, NULL, 's' },
    { "config", required_argument, NULL, 'c' },
    { "policy", required_argument, NULL, 'p' },
    { "json", no_argument, NULL, 'j' },
    { "dir", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

struct request {
    const char *host;
    const char *config_path;
    const char *policy_path; /* neither: the default table */
    bool shows_policy;
    bool json;
};

struct table {
    struct sockbroker_policy policies[SOCKBROKER_POLICIES_MAX];
    size_t n;
};

/* ---- the table ---- */

static void copy_table(const struct sockbroker_policy *policies, size_t n, struct table *out)
{
    memcpy(out->policies, policies, n * sizeof(*policies));
    out->n = n;
}

static void take_default(struct table *out)
{
    size_t n;
    const struct sockbroker_policy *policies = sockbroker_policy_default(&n);

    copy_table(policies, n, out);
}

static sockbroker_status take_configured(const char *path, struct table *out, struct sockbroker_error *error)
{
    struct sb_config config;

    sb_config_init(&config);
    sockbroker_status st = sb_config_read_file(&config, path, error);
    if (!st)
        st = sb_config_check_policy(&config, error);
    if (!st && config.address_policy.n)
        copy_table(config.address_policy.policies, config.address_policy.n, out);
    else if (!st)
        take_default(out);
    sb_config_deinit(&config);
    return st;
}

static sockbroker_status take_table(const struct request *r, struct table *out, struct sockbroker_error *error)
{
    if (r->config_path)
        return take_configured(r->config_path, out, error);
    if (r->policy_path)
        return sb_policy_file_read(r->policy_path, out->policies, &out->n, error);
    take_default(out);
    return SOCKBROKER_OK;
}

/* ---- what is shown ---- */

/* pairs has room for SOCKBROKER_PAIRS_MAX. */
static sockbroker_status make(const struct request *r, const struct table *table, struct sockbroker_pair *pairs,
                              size_t *n_pairs_out, struct sockbroker_error *error)
{
    struct sockbroker_select_options options = SOCKBROKER_SELECT_OPTIONS_INIT;
    struct sockbroker_addr list[SOCKBROKER_PAIRS_MAX];
    size_t n;

    options.keep_unusable = true;
    options.policies = table->policies;
    options.n_policies = table->n;
    sockbroker_status st = sb_resolve(r->host, list, SOCKBROKER_PAIRS_MAX, &n, error);
    return st ? st : sockbroker_select_pairs(list, n, &options, pairs, n_pairs_out, error);
}

static int end(bool printed)
{
    if (printed && !fflush(stdout))
        return SB_EXIT_OK;
    fprintf(stderr, "sockbroker addresses: standard output: could not be written\n");
    return SB_EXIT_FAILED;
}

static int show_addresses(const struct request *r, const struct table *table)
{
    static struct sockbroker_pair pairs[SOCKBROKER_PAIRS_MAX]; /* too many for a stack */
    struct sb_addresses addresses = { r->host, pairs, 0 };
    struct sockbroker_error error;

    if (make(r, table, pairs, &addresses.n_pairs, &error))
        return sb_command_fail("addresses", &error);
    return end(r->json ? sb_addresses_print_json(&addresses, stdout) : sb_addresses_print_text(&addresses, stdout));
}

static int show(const struct request *r)
{
    struct table table;
    struct sockbroker_error error;

    if (take_table(r, &table, &error))
        return sb_command_fail("addresses", &error);
    if (!r->shows_policy)
        return show_addresses(r, &table);
    return end(r->json ? sb_policies_print_json(table.policies, table.n, stdout)
                       : sb_policies_print_text(table.policies, table.n, stdout));
}

/* ---- the command line ---- */

static int judge(struct request *r, char **rest, int n_rest)
{
    if (r->config_path && r->policy_path)
        return sb_command_misuse("addresses", "give --config or --policy, not both");
    if (n_rest != (r->shows_policy ? 0 : 1))
        return sb_command_misuse("addresses", r->shows_policy ? "--show-policy takes no host" : "name one host");
    r->host = rest[0];
    return show(r);
}

int sb_command_addresses(int argc, char **argv)
{
    struct request r = { .host = NULL };
    int option;

    while ((option = getopt_long(argc, argv, "sc:p:jd:h", long_options, NULL)) != -1) {
        switch (option) {
        case 's':
            r.shows_policy = true;
            break;
        case 'c':
            r.config_path = optarg;
            break;
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
    return judge(&r, argv + optind, argc - optind);
}
