#include "broker/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_keys.h"
#include "broker/ids.h"

#define ENDPOINTS_TEXT_MAX (SB_ENDPOINTS_PER_WORKER_MAX * (SOCKBROKER_NAME_MAX + 1))

static bool is_left_out(const char *variable)
{
    static const char *const begins[] = { "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "FDSTORE=" };

    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        if (!strncmp(variable, begins[i], strlen(begins[i])))
            return true;
    }
    return false;
}

static bool put(struct sb_text_list *list, const char *variable)
{
    size_t name_len = strcspn(variable, "=") + 1;

    for (size_t i = 0; i < list->n; i++) {
        if (strncmp(list->texts[i], variable, name_len))
            continue;
        char *copy = malloc(strlen(variable) + 1);

        if (!copy)
            return false;
        free(list->texts[i]);
        list->texts[i] = strcpy(copy, variable);
        return true;
    }
    return sb_text_list_add("environment", list, variable, NULL) == SOCKBROKER_OK;
}

static bool putf(struct sb_text_list *list, const char *format, ...)
{
    char text[ENDPOINTS_TEXT_MAX + 64];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return put(list, text);
}

static bool inherit(struct sb_text_list *list)
{
    uv_env_item_t *items = NULL;
    int n = 0;
    bool ok = uv_os_environ(&items, &n) == 0;

    for (int i = 0; ok && i < n; i++) {
        size_t size = strlen(items[i].name) + strlen(items[i].value) + 2;
        char *variable = malloc(size);

        if (variable)
            snprintf(variable, size, "%s=%s", items[i].name, items[i].value);
        ok = variable && (is_left_out(variable) || put(list, variable));
        free(variable);
    }
    if (items)
        uv_os_free_environ(items, n);
    return ok;
}

static bool add_user(const struct sb_account *user, struct sb_text_list *list)
{
    return !user ||
           (putf(list, "USER=%s", user->name) && putf(list, "LOGNAME=%s", user->name) && putf(list, "HOME=%s", user->home));
}

static bool add_group(const struct sb_text_list *env, struct sb_text_list *list)
{
    for (size_t i = 0; i < env->n; i++) {
        if (!put(list, env->texts[i]))
            return false;
    }
    return true;
}

static void append(char *text, const char *name)
{
    if (text[0])
        strcat(text, ",");
    strcat(text, name);
}

/* sb_config_check() has counted them. */
static void join_endpoints(const struct sb_broker *b, const struct sb_group_config *g, char text[ENDPOINTS_TEXT_MAX])
{
    text[0] = '\0';
    for (size_t i = 0; i < g->endpoints.n; i++)
        append(text, g->endpoints.texts[i]);
    for (size_t i = 0; !g->endpoints.n && i < b->config.n_endpoints && i < SB_ENDPOINTS_PER_WORKER_MAX; i++)
        append(text, b->config.endpoints[i].name);
}

static bool add_ours(const struct sb_broker *b, const struct sb_slot *slot, struct sb_text_list *list)
{
    char endpoints[ENDPOINTS_TEXT_MAX];

    join_endpoints(b, &slot->generation->config, endpoints);
    return putf(list, "SOCKBROKER_DIR=%s", b->rundir.dir) && putf(list, "SOCKBROKER_ENDPOINT=%s", endpoints) &&
           putf(list, "SOCKBROKER_NAME=%s", slot->name) &&
           putf(list, "SOCKBROKER_GENERATION=%llu", (unsigned long long)slot->generation->number);
}

sockbroker_status sb_environment_make(const struct sb_broker *b, const struct sb_slot *slot, struct sb_text_list *list_out)
{
    const struct sb_group_config *g = &slot->generation->config;
    struct sb_text_list list = { 0 };

    if (inherit(&list) && add_user(g->user, &list) && add_group(&g->env, &list) && add_ours(b, slot, &list)) {
        *list_out = list;
        return SOCKBROKER_OK;
    }
    sb_text_list_clear(&list);
    return SOCKBROKER_NO_MEMORY;
}
