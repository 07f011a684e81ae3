#include "sockbroker/select.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/decimal.h"
#include "proto/error.h"

#define EXAMPLE "write prefix, precedence and label, like 2001:db8::/32 40 1"

struct word {
    const char *text;
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Counts all words, keeps the first `max`. */
static size_t split(const char *text, struct word *words, size_t max)
{
    size_t n = 0;

    for (;;) {
        while (is_blank(*text))
            text++;
        if (!*text)
            return n;
        size_t len = strcspn(text, " \t");
        if (n < max)
            words[n] = (struct word){ text, len };
        n++;
        text += len;
    }
}

static sockbroker_status refuse(const char *text, const char *why, struct sockbroker_error *error)
{
    char quoted[SB_QUOTE_MAX];

    return sb_error_set(error, SOCKBROKER_INVALID, 0, "policy \"%s\": %s", sb_quote(text, strlen(text), quoted, sizeof(quoted)),
                        why);
}

static sockbroker_status read_prefix(const char *text, const struct word *word, struct sockbroker_prefix *prefix_out,
                                     struct sockbroker_error *error)
{
    struct sockbroker_error inner;
    char copy[2 * SOCKBROKER_ADDR_TEXT_MAX];

    if (word->len >= sizeof(copy))
        return refuse(text, "its first word is too long for a prefix; " EXAMPLE, error);
    memcpy(copy, word->text, word->len);
    copy[word->len] = '\0';
    return sockbroker_prefix_parse(copy, prefix_out, &inner) ? refuse(text, inner.text, error) : SOCKBROKER_OK;
}

sockbroker_status sockbroker_policy_parse(const char *text, struct sockbroker_policy *policy_out,
                                          struct sockbroker_error *error_out)
{
    struct sockbroker_policy policy;
    struct word words[3];
    sockbroker_status st;

    if (!text)
        return refuse("", "no text was given; " EXAMPLE, error_out);
    if (split(text, words, 3) != 3)
        return refuse(text, "it does not have three words; " EXAMPLE, error_out);
    st = read_prefix(text, &words[0], &policy.prefix, error_out);
    if (st)
        return st;
    if (!sb_decimal_read(words[1].text, words[1].len, UINT32_MAX, &policy.precedence))
        return refuse(text, "the precedence must be a number from 0 to 4294967295 without leading zeros; " EXAMPLE, error_out);
    if (!sb_decimal_read(words[2].text, words[2].len, UINT32_MAX, &policy.label))
        return refuse(text, "the label must be a number from 0 to 4294967295 without leading zeros; " EXAMPLE, error_out);
    *policy_out = policy;
    return SOCKBROKER_OK;
}

const char *sockbroker_policy_format(const struct sockbroker_policy *policy, char text_out[SOCKBROKER_POLICY_TEXT_MAX])
{
    char prefix[SOCKBROKER_ADDR_TEXT_MAX];

    snprintf(text_out, SOCKBROKER_POLICY_TEXT_MAX, "%s %lu %lu", sockbroker_prefix_format(&policy->prefix, prefix),
             (unsigned long)policy->precedence, (unsigned long)policy->label);
    return text_out;
}
