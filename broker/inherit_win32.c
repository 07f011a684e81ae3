/* Nobody gives sockets to a broker that starts here (custody_link_win32.c), so the list stays empty. */
#include "broker/inherit.h"

#include "proto/error.h"

sockbroker_status sb_inherit_add(struct sb_inherited **list, const char *endpoint, uint32_t slot, sockbroker_socket *sock,
                                 struct sockbroker_error *error_out)
{
    (void)list;
    (void)endpoint;
    (void)slot;
    (void)sock;
    return sb_error_set(error_out, SOCKBROKER_UNSUPPORTED, 0, "sockets of another broker cannot be taken over on this system");
}

bool sb_inherit_fits(const struct sb_inherited *s, const char *endpoint, enum sb_protocol protocol, uint32_t slot,
                     const struct sb_listen_request *request)
{
    (void)s;
    (void)endpoint;
    (void)protocol;
    (void)slot;
    (void)request;
    return false;
}

bool sb_inherit_take(struct sb_inherited **list, const char *endpoint, enum sb_protocol protocol, uint32_t slot,
                     const struct sb_listen_request *request, sockbroker_socket *sock_out, struct sockbroker_addr *addr_out)
{
    (void)list;
    (void)endpoint;
    (void)protocol;
    (void)slot;
    (void)request;
    (void)sock_out;
    (void)addr_out;
    return false;
}

void sb_inherit_close(struct sb_inherited **list)
{
    *list = NULL;
}
