/* Any text as a configuration file, and as --endpoint: read or refused with a printable sentence, nothing lost.
 * A first byte "!" makes the rest a text of --endpoint, so the files of tests/data/config are seeds as they are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config.h"
#include "broker/config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
    if (!truth)
        abort();
}

static void check_error(const struct sockbroker_error *error, sockbroker_status st)
{
    require(error->status == st && error->text[0]);
    require(memchr(error->text, '\0', sizeof(error->text)) != NULL);
    for (const char *c = error->text; *c; c++)
        require(*c >= 0x20 && *c <= 0x7e);
}

/* What was read must survive a copy, and ask for the same sockets as itself. */
static void check_endpoint(const struct sb_endpoint_config *endpoint)
{
    struct sb_endpoint_config copy;

    require(endpoint->n_addresses <= SB_ADDRESSES_PER_ENDPOINT_MAX);
    require(sb_name_is_valid(endpoint->name, strlen(endpoint->name)));
    require(sb_endpoint_config_copy(endpoint, &copy) == SOCKBROKER_OK);
    require(sb_endpoint_config_same_sockets(endpoint, &copy));
    sb_endpoint_config_deinit(&copy);
}

static void check_config(const struct sb_config *config)
{
    struct sockbroker_error error;
    sockbroker_status st = sb_config_check(config, &error);

    if (st)
        check_error(&error, st);
    for (size_t i = 0; i < config->n_endpoints; i++)
        check_endpoint(&config->endpoints[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockbroker_error error;
    struct sb_config config;
    sockbroker_status st;
    char *text = malloc(size + 1); /* exactly, so that one byte too far is seen */

    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    sb_config_init(&config);
    st = text[0] == '!' ? sb_config_add_endpoint(&config, text + 1, &error)
                        : sb_config_read_text(&config, "f", text, size, &error);
    if (st)
        check_error(&error, st);
    else
        check_config(&config);
    sb_config_deinit(&config);
    free(text);
    return 0;
}
