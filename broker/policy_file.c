#include "broker/policy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_keys.h"
#include "broker/config_load.h"
#include "proto/error.h"

/* line 0: the whole file. */
static void add_place(const char *path, unsigned line, struct sockbroker_error *error)
{
    char quoted[SB_QUOTE_MAX], place[SB_QUOTE_MAX + 16];

    sb_quote(path, strlen(path), quoted, sizeof(quoted));
    if (line)
        snprintf(place, sizeof(place), "%s:%u: ", quoted, line);
    else
        snprintf(place, sizeof(place), "%s: ", quoted);
    sb_config_error_at(error, place);
}

/* Ends the line at its comment, and without what an editor leaves at its end. False when nothing is left. */
static bool trim(char *line)
{
    size_t len = strcspn(line, "#");

    while (len && strchr(" \t\r", line[len - 1]))
        len--;
    line[len] = '\0';
    return len > 0;
}

static sockbroker_status take_line(char *line, struct sockbroker_policy *policies, size_t *n, struct sockbroker_error *error)
{
    sockbroker_status st;

    if (!trim(line))
        return SOCKBROKER_OK;
    if (*n == SOCKBROKER_POLICIES_MAX)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "more than %d entries; leave some out", SOCKBROKER_POLICIES_MAX);
    st = sockbroker_policy_parse(line, &policies[*n], error);
    return st ? st : sockbroker_policy_check(policies, ++*n, error);
}

static sockbroker_status take_text(const char *path, char *text, struct sockbroker_policy *policies, size_t *n_out,
                                   struct sockbroker_error *error)
{
    size_t n = 0;
    unsigned number = 1;

    for (char *line = text, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        sockbroker_status st = take_line(line, policies, &n, error);
        if (st) {
            add_place(path, number, error);
            return st;
        }
    }
    sockbroker_status st = sockbroker_policy_check(policies, n, error); /* an empty one, too */
    if (st)
        add_place(path, 0, error);
    else
        *n_out = n;
    return st;
}

static sockbroker_status refuse_nul(const char *path, struct sockbroker_error *error)
{
    sockbroker_status st = sb_error_set(error, SOCKBROKER_INVALID, 0, "it has a NUL in it; give a text file");

    add_place(path, 0, error);
    return st;
}

sockbroker_status sb_policy_file_read(const char *path, struct sockbroker_policy policies_out[SOCKBROKER_POLICIES_MAX],
                                      size_t *n_policies_out, struct sockbroker_error *error_out)
{
    char *text;
    size_t len;
    sockbroker_status st = sb_config_load(path, &text, &len, error_out);

    if (st)
        return st;
    if (strlen(text) != len)
        st = refuse_nul(path, error_out);
    else
        st = take_text(path, text, policies_out, n_policies_out, error_out);
    free(text);
    return st;
}
