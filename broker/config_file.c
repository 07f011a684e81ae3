/* libconfuse is the parser; what a key means, and every error text, is ours. */
#include "broker/config_file.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_keys.h"
#include "broker/config_load.h"
#include "broker/config_scan.h"
#include "broker/config_spelling.h"
#include "proto/error.h"

struct reader {
    struct sb_config *config;
    const char *path;
    char *text;
    sockbroker_status status; /* the first failure; its text is in *error_out */
    struct sockbroker_error *error_out;
    const cfg_t *block; /* the endpoint or group that is being read, NULL at the top level */
    size_t n_blocks;    /* begun */
    struct sb_endpoint_config endpoint;
    struct sb_group_config group;
    int first_line[SB_KEY_SCOPES][SB_KEYS_MAX]; /* where a key was set, 0 = not yet */
};

/* libconfuse hands no pointer of ours to its callbacks, and its lexer is a global too. */
static struct reader *reading;

/* ---- errors ---- */

/* Puts "web.conf:4: " before the text that is in *error_out. */
static void fail(struct reader *r, int line, sockbroker_status st)
{
    char quoted[SB_QUOTE_MAX * 2], place[SB_QUOTE_MAX * 2 + 16];

    if (r->status)
        return;
    r->status = st;
    snprintf(place, sizeof(place), "%s:%d: ", sb_quote(r->path, strlen(r->path), quoted, sizeof(quoted)), line);
    sb_config_error_at(r->error_out, place);
}

/* What libconfuse says, and how we say it. With `cure`, its first argument is a word of the file. */
static const struct {
    const char *begin;
    const char *cure;
} sayings[] = {
    { "unexpected token", "\"%s\" does not belong here; write one KEY = VALUE, a list as KEY = { A, B }" },
    { "missing equal sign after", "%s must be followed by = and a value" },
    { "missing opening brace", "%s NAME must be followed by {" },
    { "missing title for section", "%s needs a name, such as web, before {" },
    { "no sub-section", "\"%s\" is not a key; write endpoint NAME { ... }" },
};

static void say(struct reader *r, const char *format, const char *word)
{
    char quoted[SB_QUOTE_MAX];

    sb_error_set(r->error_out, SOCKBROKER_INVALID, 0, format, sb_quote(word, strlen(word), quoted, sizeof(quoted)));
}

static void translate(struct reader *r, const char *format, va_list args)
{
    char text[SB_QUOTE_MAX], quoted[SB_QUOTE_MAX];

    for (size_t i = 0; i < sizeof(sayings) / sizeof(sayings[0]); i++)
        if (strncmp(format, sayings[i].begin, strlen(sayings[i].begin)) == 0) {
            say(r, sayings[i].cure, va_arg(args, const char *));
            return;
        }
    vsnprintf(text, sizeof(text), format, args);
    sb_error_set(r->error_out, SOCKBROKER_INVALID, 0, "%s; write KEY = VALUE, or endpoint NAME { ... }",
                 sb_quote(text, strlen(text), quoted, sizeof(quoted)));
}

/* libconfuse does not say of which kind the block is. */
static void refuse_twice(struct reader *r, const char *title)
{
    bool is_group = sb_config_find_group(r->config, title) != NULL;
    bool is_endpoint = sb_config_find(r->config, title) != NULL;

    sb_error_set(r->error_out, SOCKBROKER_INVALID, 0, "%s %s is there twice; give one of them another name",
                 is_group && is_endpoint ? "an endpoint or group"
                 : is_group              ? "group"
                                         : "endpoint",
                 title);
}

static enum sb_key_scope scope_of(const cfg_t *block)
{
    if (!block->title)
        return SB_KEY_GLOBAL;
    return strcmp(block->name, "group") ? SB_KEY_ENDPOINT : SB_KEY_GROUP;
}

static void refuse_unknown(struct reader *r, enum sb_key_scope scope, const char *word)
{
    char quoted[SB_QUOTE_MAX];
    size_t apart = sb_letters_apart(word, "endpoint");

    if (apart == 0 || !strcmp(word, "group"))
        sb_error_set(r->error_out, SOCKBROKER_INVALID, 0,
                     "%s blocks do not stand inside each other; close the one before with }", word);
    else if (apart <= 2 && scope == SB_KEY_GLOBAL)
        sb_error_set(r->error_out, SOCKBROKER_INVALID, 0, "%s is not a known key; did you mean endpoint?",
                     sb_quote(word, strlen(word), quoted, sizeof(quoted)));
    else
        sb_key_find(scope, word, r->error_out);
}

static void on_error(cfg_t *block, const char *format, va_list args)
{
    struct reader *r = reading;

    if (r->status)
        return;
    if (strcmp(format, "no such option '%s'") == 0)
        refuse_unknown(r, scope_of(block), va_arg(args, const char *));
    else if (strncmp(format, "found duplicate title", 21) == 0)
        refuse_twice(r, va_arg(args, const char *));
    else
        translate(r, format, args);
    fail(r, block->line, SOCKBROKER_INVALID);
}

/* ---- keys and blocks ---- */

/* Does nothing when the block was entered before. */
static sockbroker_status enter(struct reader *r, cfg_t *block)
{
    sockbroker_status st;

    if (!block->title || block == r->block)
        return SOCKBROKER_OK;
    r->block = block;
    r->n_blocks++;
    memset(r->first_line[scope_of(block)], 0, sizeof(r->first_line[scope_of(block)]));
    if (scope_of(block) == SB_KEY_GROUP)
        st = sb_group_config_set_name(&r->group, block->title, strlen(block->title), r->error_out);
    else
        st = sb_endpoint_config_set_name(&r->endpoint, block->title, strlen(block->title), r->error_out);
    if (st)
        fail(r, sb_config_scan_block_line(r->text, r->n_blocks - 1), st);
    return st;
}

static sockbroker_status check_first(struct reader *r, enum sb_key_scope scope, const struct sb_key *key, int line)
{
    int *first_line = &r->first_line[scope][sb_key_index(scope, key)];

    if (*first_line)
        return sb_error_set(r->error_out, SOCKBROKER_INVALID, 0, "%s is set twice, first on line %d; %s", sb_key_name(key),
                            *first_line, sb_key_is_list(key) ? "join them as { A, B }" : "keep one of them");
    *first_line = line;
    return SOCKBROKER_OK;
}

static sockbroker_status put(struct reader *r, const cfg_t *block, const char *name, const char *value, bool first)
{
    enum sb_key_scope scope = scope_of(block);
    void *const targets[SB_KEY_SCOPES] = { r->config, &r->endpoint, &r->group };
    const struct sb_key *key = sb_key_find(scope, name, r->error_out);
    sockbroker_status st = key ? SOCKBROKER_OK : SOCKBROKER_INVALID;

    if (!st && first)
        st = check_first(r, scope, key, block->line);
    if (!st)
        st = sb_key_put(key, targets[scope], value, first, r->error_out);
    return st;
}

/* Called with each value. The list of values was emptied at "=", and has this one as its newest. */
static int on_value(cfg_t *block, cfg_opt_t *opt, const char *value, void *result)
{
    struct reader *r = reading;
    sockbroker_status st = enter(r, block);

    if (!st)
        st = put(r, block, opt->name, value, opt->nvalues == 1);
    if (st) {
        fail(r, block->line, st);
        return -1;
    }
    *(const char **)result = value; /* libconfuse keeps a copy */
    return 0;
}

/* Called after the last brace of each block. */
static int on_block(cfg_t *top, cfg_opt_t *opt)
{
    struct reader *r = reading;
    cfg_t *block = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
    sockbroker_status st = enter(r, block);

    if (!st && scope_of(block) == SB_KEY_GROUP)
        st = sb_config_take_group(r->config, &r->group, r->error_out);
    else if (!st)
        st = sb_config_take_endpoint(r->config, &r->endpoint, r->error_out);
    if (st)
        fail(r, top->line, st);
    r->block = NULL;
    return st ? -1 : 0;
}

/* ---- libconfuse ---- */

_Static_assert(CFGT_NONE == 0, "a zeroed option ends a list");

/* Everything is a list of strings to libconfuse. `opts` has SB_KEYS_MAX + 3 places, zeroed. */
static size_t fill_options(cfg_opt_t *opts, enum sb_key_scope scope)
{
    size_t n = sb_key_count(scope);

    for (size_t i = 0; i < n; i++)
        opts[i] = (cfg_opt_t)CFG_STR_LIST_CB(sb_key_name(sb_key_at(scope, i)), NULL, CFGF_NONE, on_value);
    return n;
}

static cfg_t *make_parser(void)
{
    cfg_opt_t top[SB_KEYS_MAX + 3] = { { 0 } }, endpoint[SB_KEYS_MAX + 3] = { { 0 } }, group[SB_KEYS_MAX + 3] = { { 0 } };
    size_t n = fill_options(top, SB_KEY_GLOBAL);
    cfg_t *parser;

    fill_options(endpoint, SB_KEY_ENDPOINT);
    top[n] = (cfg_opt_t)CFG_SEC("endpoint", endpoint, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    top[n].validcb = on_block;
    fill_options(group, SB_KEY_GROUP);
    top[n + 1] = (cfg_opt_t)CFG_SEC("group", group, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    top[n + 1].validcb = on_block;
    parser = cfg_init(top, CFGF_NONE); /* copies the options */
    if (parser)
        cfg_set_error_function(parser, on_error);
    return parser;
}

static void parse(struct reader *r)
{
    cfg_t *parser = make_parser();

    reading = r;
    if ((!parser || cfg_parse_buf(parser, r->text) != CFG_SUCCESS) && !r->status)
        r->status = sb_error_set(r->error_out, SOCKBROKER_NO_MEMORY, 0, "no memory to read the configuration");
    reading = NULL;
    if (parser)
        cfg_free(parser);
}

sockbroker_status sb_config_read_text(struct sb_config *config, const char *path, char *text, size_t len,
                                      struct sockbroker_error *error_out)
{
    struct reader r = { .config = config, .path = path, .text = text, .error_out = error_out };
    int line = 0;
    sockbroker_status st = sb_config_scan(text, len, &line, error_out);

    if (st) {
        fail(&r, line, st);
        return st;
    }
    sb_endpoint_config_init(&r.endpoint);
    sb_group_config_init(&r.group);
    parse(&r);
    sb_endpoint_config_deinit(&r.endpoint);
    sb_group_config_deinit(&r.group);
    return r.status;
}

sockbroker_status sb_config_read_file(struct sb_config *config, const char *path, struct sockbroker_error *error_out)
{
    char *text;
    size_t len;
    sockbroker_status st = sb_config_load(path, &text, &len, error_out);

    if (st)
        return st;
    st = sb_config_read_text(config, path, text, len, error_out);
    free(text);
    return st;
}
