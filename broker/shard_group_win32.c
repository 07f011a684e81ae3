/* Windows has no groups of sockets on one address between which a program divides clients, so none is ever opened, and nothing
 * below is asked about one. The configuration says so before (config_system_win32.c). */
#include "broker/shard_group.h"

#include "proto/error.h"

static sockbroker_status refuse(struct sockbroker_error *error_out)
{
    return sb_error_set(error_out, SOCKBROKER_UNSUPPORTED, 0,
                        "this system has no groups of sockets on one address; use mode = share or mode = handoff");
}

sockbroker_status sb_shard_group_open(const struct sb_shard_request *request, struct sb_shard_group *group_out,
                                      enum sb_listen_note *note_out, struct sockbroker_error *error_out)
{
    (void)request;
    (void)group_out;
    (void)note_out;
    return refuse(error_out);
}

void sb_shard_group_adopt(const struct sb_shard_request *request, const sockbroker_socket *socks, const struct sb_steering *how,
                          struct sb_shard_group *group_out)
{
    static const struct sb_shard_group none;

    (void)request;
    (void)socks;
    (void)how;
    *group_out = none;
}

void sb_shard_group_close(struct sb_shard_group *g)
{
    (void)g;
}

sockbroker_status sb_shard_group_grow(struct sb_shard_group *g, size_t n_slots, struct sockbroker_error *error_out)
{
    (void)g;
    (void)n_slots;
    return refuse(error_out);
}

sockbroker_status sb_shard_group_steer(struct sb_shard_group *g, const struct sb_steering *how,
                                       struct sockbroker_error *error_out)
{
    (void)g;
    (void)how;
    return refuse(error_out);
}

sockbroker_socket sb_shard_group_socket(const struct sb_shard_group *g, size_t slot)
{
    (void)g;
    (void)slot;
    return SOCKBROKER_SOCKET_NONE;
}

bool sb_shard_group_is_on(const struct sb_shard_group *g, size_t slot)
{
    (void)g;
    (void)slot;
    return false;
}

sockbroker_status sb_shard_group_repair(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out,
                                        struct sockbroker_error *error_out)
{
    (void)g;
    (void)repaired_out;
    return refuse(error_out);
}

sockbroker_status sb_shard_group_audit(struct sb_shard_group *g, enum sb_shard_repaired *repaired_out,
                                       struct sockbroker_error *error_out)
{
    (void)g;
    (void)repaired_out;
    return refuse(error_out);
}

enum sb_accept_result sb_shard_group_take_queue(struct sb_shard_group *g, size_t slot, bool blocking,
                                                struct sb_shard_taken *taken_out, size_t room, size_t *n_out, int *os_code_out)
{
    (void)g;
    (void)slot;
    (void)blocking;
    (void)taken_out;
    (void)room;
    (void)os_code_out;
    *n_out = 0;
    return SB_ACCEPT_EMPTY;
}

void sb_shard_group_join(const struct sb_shard_request *as, sockbroker_socket *socks, struct sb_shard_group *group_out)
{
    (void)as;
    (void)socks;
    *group_out = (struct sb_shard_group){ 0 };
}
