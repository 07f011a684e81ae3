#include "broker/config_values.h"

#include <stdio.h>
#include <string.h>

#include "client-lib/decimal.h"
#include "proto/error.h"
#include "proto/oserr.h"

#define ID_MAX 4294967294u

static const struct sb_word dir_modes[] = {
    { "0700", 0700 },
    { "0710", 0710 },
    { "0750", 0750 },
    { "0711", 0711 },
    { "0755", 0755 },
    { "700", 0700 },
    { "710", 0710 },
    { "750", 0750 },
    { "711", 0711 },
    { "755", 0755 },
    { 0 },
};

static const char *quoted(const char *value, char out[SB_QUOTE_MAX])
{
    return sb_quote(value, strlen(value), out, SB_QUOTE_MAX);
}

static bool is_milliseconds(const char *key)
{
    size_t len = strlen(key);

    return len > 3 && strcmp(key + len - 3, "_ms") == 0;
}

sockbroker_status sb_value_number(const char *key, const char *value, uint32_t min, uint32_t max, uint32_t *number_out,
                                  struct sockbroker_error *error_out)
{
    const char *unit = is_milliseconds(key) ? "milliseconds, " : "";
    char text[SB_QUOTE_MAX];
    uint32_t number;

    if (sb_decimal_read(value, strlen(value), max, &number) && number >= min) {
        *number_out = number;
        return SOCKBROKER_OK;
    }
    if (sb_decimal_is_digits(value, strlen(value)) && (value[0] != '0' || !value[1]))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s %s is out of range; use %s%u to %u", key, quoted(value, text),
                            unit, min, max);
    return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                        "%s \"%s\" is not a plain decimal number; use %s%u to %u, digits only, no leading zero", key,
                        quoted(value, text), unit, min, max);
}

/* "round-robin, least-connections or source-hash", of those that can be used. */
static void list_words(const struct sb_word *words, char *out, size_t out_size)
{
    size_t at = 0;

    out[0] = '\0';
    for (const struct sb_word *next, *word = words; word->word && at < out_size; word = next) {
        next = word + 1;
        while (next->word && next->value == SB_WORD_ANNOUNCED)
            next++;
        if (word->value != SB_WORD_ANNOUNCED)
            at += (size_t)snprintf(out + at, out_size - at, "%s%s", at == 0 ? "" : next->word ? ", " : " or ", word->word);
    }
}

sockbroker_status sb_value_word(const char *key, const char *value, const struct sb_word *words, int *number_out,
                                struct sockbroker_error *error_out)
{
    char text[SB_QUOTE_MAX], choices[160];
    const struct sb_word *word = words;

    while (word->word && strcmp(word->word, value) != 0)
        word++;
    if (word->word && word->value != SB_WORD_ANNOUNCED) {
        *number_out = word->value;
        return SOCKBROKER_OK;
    }
    list_words(words, choices, sizeof(choices));
    if (word->word)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s %s is not available in this version; use %s", key, value,
                            choices);
    return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s \"%s\" is not known; use %s", key, quoted(value, text), choices);
}

sockbroker_status sb_value_dir_mode(const char *key, const char *value, uint32_t *mode_out, struct sockbroker_error *error_out)
{
    char text[SB_QUOTE_MAX];

    for (const struct sb_word *mode = dir_modes; mode->word; mode++) {
        if (strcmp(mode->word, value) != 0)
            continue;
        *mode_out = (uint32_t)mode->value;
        return SOCKBROKER_OK;
    }
    return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                        "%s \"%s\" is not possible: only the owner may write there; use 0700, 0710, 0750, 0711 or 0755", key,
                        quoted(value, text));
}

static const char *wrong_with_path(const char *path, size_t path_size)
{
    if (!path[0])
        return "is empty; leave the key out to get the system's own place";
    if (path[0] == '~')
        return "begins with ~, which only shells replace; write the whole path";
    if (strlen(path) >= path_size)
        return "is too long; use a shorter path";
    for (; *path; path++)
        if ((unsigned char)*path < 0x20 || *path == 0x7f)
            return "has a control character in it; use another path";
    return NULL;
}

sockbroker_status sb_value_path(const char *key, const char *value, char *path_out, size_t path_size,
                                struct sockbroker_error *error_out)
{
    const char *wrong = wrong_with_path(value, path_size);
    char text[SB_QUOTE_MAX];

    if (wrong)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s \"%s\" %s", key, quoted(value, text), wrong);
    memcpy(path_out, value, strlen(value) + 1);
    return SOCKBROKER_OK;
}

static bool looks_like_number(const char *value)
{
    const char *digits = value + (value[0] == '-' || value[0] == '+');

    return sb_decimal_is_digits(digits, strlen(digits));
}

static sockbroker_status id_by_name(const char *key, const char *value, const char *what, sb_id_lookup *lookup,
                                    uint32_t *id_out, struct sockbroker_error *error_out)
{
    char text[SB_QUOTE_MAX], why[96];
    int os_code = 0;
    sockbroker_status st = value[0] ? lookup(value, id_out, &os_code) : SOCKBROKER_NOT_FOUND;

    if (st == SOCKBROKER_OK)
        return SOCKBROKER_OK;
    if (st == SOCKBROKER_NOT_FOUND)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "%s \"%s\" is not a %s of this system; use a name that is there, or a number", key,
                            quoted(value, text), what);
    return sb_error_set(error_out, st == SOCKBROKER_NO_MEMORY ? st : SOCKBROKER_INVALID, os_code,
                        "%s \"%s\" cannot be looked up: the %s database does not answer (%s); use a number", key,
                        quoted(value, text), what, sb_oserr_text(os_code, why, sizeof(why)));
}

sockbroker_status sb_value_id(const char *key, const char *value, const char *what, sb_id_lookup *lookup, uint32_t *id_out,
                              struct sockbroker_error *error_out)
{
    char text[SB_QUOTE_MAX];

    if (!looks_like_number(value))
        return id_by_name(key, value, what, lookup, id_out, error_out);
    if (!sb_ids_has_numbers())
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s %s: accounts have no numbers here; use a name, or an S-1-...",
                            key, quoted(value, text));
    if (sb_decimal_read(value, strlen(value), ID_MAX, id_out))
        return SOCKBROKER_OK;
    return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s %s is not the number of a %s; use 0 to %u, or a name", key,
                        quoted(value, text), what, ID_MAX);
}

static bool is_ours(const char *value, size_t name_len)
{
    static const char *const names[] = { "SOCKBROKER_DIR", "SOCKBROKER_ENDPOINT", "SOCKBROKER_NAME", "SOCKBROKER_GENERATION" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == name_len && !memcmp(names[i], value, name_len))
            return true;
    }
    return false;
}

sockbroker_status sb_value_variable(const char *key, const char *value, struct sockbroker_error *error_out)
{
    size_t name_len = strcspn(value, "=");
    char text[SB_QUOTE_MAX];

    if (!name_len || !value[name_len])
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s \"%s\" is not NAME=VALUE; write it so, in quotes", key,
                            quoted(value, text));
    if (is_ours(value, name_len))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "%s \"%s\" is set by the broker for each worker; leave it out",
                            key, quoted(value, text));
    return SOCKBROKER_OK;
}

sockbroker_status sb_value_account(const char *key, const char *value, struct sb_account *account_out,
                                   struct sockbroker_error *error_out)
{
    char text[SB_QUOTE_MAX], why[96];
    int os_code = 0;
    sockbroker_status st = value[0] ? sb_ids_account(value, account_out, &os_code) : SOCKBROKER_NOT_FOUND;

    if (st == SOCKBROKER_NOT_FOUND)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "%s \"%s\" has no account on this system; use a name or number that is in its user database", key,
                            quoted(value, text));
    if (st == SOCKBROKER_UNSUPPORTED)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "%s \"%s\" is in more than %u groups, or its name or home is too long; use another account", key,
                            quoted(value, text), SB_ACCOUNT_GROUPS_MAX);
    if (st)
        return sb_error_set(error_out, st == SOCKBROKER_NO_MEMORY ? st : SOCKBROKER_INVALID, os_code,
                            "%s \"%s\" cannot be looked up: the user database does not answer (%s); try again", key,
                            quoted(value, text), sb_oserr_text(os_code, why, sizeof(why)));
    return SOCKBROKER_OK;
}
