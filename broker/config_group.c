/* config_group.c: the groups of workers in a configuration: copied, completed, checked. */
#include <stdlib.h>
#include <string.h>

#include "broker/config_group.h"
#include "broker/config_keys.h"
#include "broker/config_system.h"
#include "broker/ids.h"
#include "broker/process.h"
#include "proto/error.h"

#define TOP_LEVEL_GROUP "workers"

/* ---- one ---- */

void sb_group_config_init(struct sb_group_config *group)
{
    *group = (struct sb_group_config){
        .spawn = SB_KEY_UNSET,
        .ready_ms = SB_KEY_UNSET,
        .drain_ms = SB_KEY_UNSET,
        .term_ms = SB_KEY_UNSET,
        .restart_delay_ms = SB_KEY_UNSET,
        .restart_max = SB_KEY_UNSET,
        .restart_window_ms = SB_KEY_UNSET,
    };
}

void sb_group_config_deinit(struct sb_group_config *group)
{
    sb_text_list_clear(&group->command);
    sb_text_list_clear(&group->env);
    sb_text_list_clear(&group->endpoints);
    free(group->user);
    sb_group_config_init(group);
}

static sockbroker_status copy_texts(const struct sb_text_list *from, struct sb_text_list *to)
{
    sockbroker_status st = SOCKBROKER_OK;

    *to = (struct sb_text_list){ 0 };
    for (size_t i = 0; i < from->n && !st; i++)
        st = sb_text_list_add("", to, from->texts[i], NULL);
    return st;
}

sockbroker_status sb_group_config_copy(const struct sb_group_config *from, struct sb_group_config *to_out)
{
    struct sb_group_config copy = *from;
    sockbroker_status st = copy_texts(&from->command, &copy.command);
    sockbroker_status env = copy_texts(&from->env, &copy.env);
    sockbroker_status endpoints = copy_texts(&from->endpoints, &copy.endpoints);

    copy.user = from->user ? malloc(sizeof(*copy.user)) : NULL;
    if (copy.user)
        *copy.user = *from->user;
    if (st || env || endpoints || !copy.user != !from->user) {
        sb_group_config_deinit(&copy);
        return SOCKBROKER_NO_MEMORY;
    }
    *to_out = copy;
    return SOCKBROKER_OK;
}

sockbroker_status sb_group_config_set_name(struct sb_group_config *group, const char *name, size_t len,
                                           struct sockbroker_error *error_out)
{
    char quoted[SB_QUOTE_MAX];

    if (!sb_name_is_valid(name, len) || len > SB_GROUP_NAME_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "\"%s\" cannot be the name of a group; use 1 to %u of A-Z a-z 0-9 . _ -",
                            sb_quote(name, len, quoted, sizeof(quoted)), SB_GROUP_NAME_MAX);
    memcpy(group->name, name, len);
    group->name[len] = '\0';
    return SOCKBROKER_OK;
}

/* ---- all ---- */

const struct sb_group_config *sb_config_find_group(const struct sb_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_groups; i++) {
        if (!strcmp(config->groups[i].name, name))
            return &config->groups[i];
    }
    return NULL;
}

sockbroker_status sb_config_take_group(struct sb_config *config, struct sb_group_config *group,
                                       struct sockbroker_error *error_out)
{
    if (sb_config_find_group(config, group->name))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "group %s is there twice; give one of them another name",
                            group->name);
    if (config->n_groups >= SB_ENDPOINTS_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "more than %u groups; give one group several endpoints",
                            SB_ENDPOINTS_MAX);
    struct sb_group_config *grown = realloc(config->groups, (config->n_groups + 1) * sizeof(*grown));
    if (!grown)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "no memory for another group");
    config->groups = grown;
    grown[config->n_groups++] = *group;
    sb_group_config_init(group);
    return SOCKBROKER_OK;
}

/* ---- completed ---- */

static bool says_something(const struct sb_group_config *workers)
{
    return workers->spawn != SB_KEY_UNSET || workers->user || workers->env.n;
}

/* The command that stands at `place` becomes a group. The numbers stay where they are. */
static sockbroker_status add_shorthand(struct sb_config *config, struct sb_group_config *workers, const char *name,
                                       const char *place, struct sockbroker_error *error)
{
    struct sb_group_config group;
    struct sockbroker_error why;

    if (!workers->command.n && says_something(workers))
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "%s: spawn, user and env are for a command; write command = {\"/path/of/worker\"} beside them",
                            place);
    if (!workers->command.n)
        return SOCKBROKER_OK;
    sockbroker_status st = sb_group_config_copy(workers, &group);
    if (st)
        return sb_error_set(error, st, 0, "no memory for another group");
    st = sb_group_config_set_name(&group, name, strlen(name), &why);
    if (!st && workers != &config->workers)
        st = sb_text_list_add("endpoints", &group.endpoints, name, &why);
    if (!st)
        st = sb_config_take_group(config, &group, &why);
    sb_group_config_deinit(&group);
    return st ? sb_error_set(error, st, 0, "%s: %s", place, why.text) : SOCKBROKER_OK;
}

static void fill(uint32_t *number, uint32_t top_level, uint32_t otherwise)
{
    if (*number == SB_KEY_UNSET)
        *number = top_level != SB_KEY_UNSET ? top_level : otherwise;
}

static void inherit(struct sb_group_config *g, const struct sb_config *config)
{
    const struct sb_group_config *top = &config->workers;

    fill(&g->spawn, SB_KEY_UNSET, 1);
    fill(&g->ready_ms, top->ready_ms, 30000);
    fill(&g->drain_ms, config->drain_ms, 0);
    fill(&g->term_ms, top->term_ms, 10000);
    fill(&g->restart_delay_ms, top->restart_delay_ms, 200);
    fill(&g->restart_max, top->restart_max, 10);
    fill(&g->restart_window_ms, top->restart_window_ms, 60000);
}

sockbroker_status sb_config_complete(struct sb_config *config, struct sockbroker_error *error_out)
{
    sockbroker_status st = add_shorthand(config, &config->workers, TOP_LEVEL_GROUP, "the top level", error_out);

    for (size_t i = 0; i < config->n_endpoints && !st; i++) {
        struct sb_endpoint_config *e = &config->endpoints[i];
        char place[SOCKBROKER_NAME_MAX + 16] = "endpoint ";

        st = add_shorthand(config, &e->workers, e->name, strcat(place, e->name), error_out);
    }
    for (size_t i = 0; i < config->n_groups && !st; i++)
        inherit(&config->groups[i], config);
    return st;
}

/* ---- checked ---- */

static bool admits(const struct sb_endpoint_config *e, const struct sb_account *user)
{
    return !user || sb_endpoint_config_admits(e, user->uid, user->gid);
}

static sockbroker_status check_endpoint(const struct sb_group_config *g, const struct sb_endpoint_config *e,
                                        enum sb_carrier *carrier, struct sockbroker_error *error)
{
    if (!admits(e, g->user))
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "group %s: endpoint %s does not admit user %s; add allow_uid = %s to the endpoint", g->name,
                            e->name, g->user->name, g->user->name);
    if (*carrier && *carrier != e->carrier)
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "group %s: endpoint %s has another carrier than the ones before it; make a group for it", g->name,
                            e->name);
    *carrier = e->carrier;
    return SOCKBROKER_OK;
}

static sockbroker_status check_named(const struct sb_config *config, const struct sb_group_config *g,
                                     struct sockbroker_error *error)
{
    enum sb_carrier carrier = 0;
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < g->endpoints.n && !st; i++) {
        const struct sb_endpoint_config *e = sb_config_find(config, g->endpoints.texts[i]);

        st = e ? check_endpoint(g, e, &carrier, error)
               : sb_error_set(error, SOCKBROKER_INVALID, 0, "group %s: there is no endpoint %s; name one that is there",
                              g->name, g->endpoints.texts[i]);
        for (size_t k = 0; k < i && !st; k++) {
            if (!strcmp(g->endpoints.texts[k], g->endpoints.texts[i]))
                st = sb_error_set(error, SOCKBROKER_INVALID, 0, "group %s: endpoint %s is named twice; name it once", g->name,
                                  e->name);
        }
    }
    return st;
}

static sockbroker_status check_every(const struct sb_config *config, const struct sb_group_config *g,
                                     struct sockbroker_error *error)
{
    enum sb_carrier carrier = 0;
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < config->n_endpoints && !st; i++)
        st = check_endpoint(g, &config->endpoints[i], &carrier, error);
    return st;
}

static sockbroker_status check_group(const struct sb_config *config, const struct sb_group_config *g,
                                     struct sockbroker_error *error)
{
    size_t n_endpoints = g->endpoints.n ? g->endpoints.n : config->n_endpoints;
    const char *cause = sb_config_system_refuses_group(g);

    if (cause)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "group %s: %s", g->name, cause);
    if (!g->command.n)
        return sb_error_set(error, SOCKBROKER_INVALID, 0, "group %s has no command; write command = {\"/path/of/worker\"}",
                            g->name);
    if (n_endpoints > SB_ENDPOINTS_PER_WORKER_MAX)
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "group %s has %zu endpoints, a worker serves %u at most; make two groups", g->name, n_endpoints,
                            SB_ENDPOINTS_PER_WORKER_MAX);
    if (g->user && !sb_process_is_own_user(g->user->uid) && !(config->dir_mode & 0011u))
        return sb_error_set(error, SOCKBROKER_INVALID, 0,
                            "group %s: user %s may not enter the runtime directory; write dir_mode = 0711", g->name,
                            g->user->name);
    return g->endpoints.n ? check_named(config, g, error) : check_every(config, g, error);
}

sockbroker_status sb_config_check_groups(const struct sb_config *config, struct sockbroker_error *error_out)
{
    sockbroker_status st = SOCKBROKER_OK;

    for (size_t i = 0; i < config->n_groups && !st; i++)
        st = check_group(config, &config->groups[i], error_out);
    return st;
}
