#include "broker/inherit.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/inherit_look.h"
#include "broker/log.h"
#include "proto/error.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"

sockbroker_status sb_inherit_add(struct sb_inherited **list, const char *endpoint, uint32_t slot, sockbroker_socket *sock,
                                 struct sockbroker_error *error_out)
{
    struct sb_inherited *s = calloc(1, sizeof(*s));

    if (!s)
        return sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "out of memory for an inherited socket");
    const char *cause = sb_inherit_look(*sock, s);
    if (cause) {
        free(s);
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "the socket for \"%s\" cannot be used: %s", endpoint, cause);
    }
    memcpy(s->endpoint, endpoint, strnlen(endpoint, SOCKBROKER_NAME_MAX));
    s->slot = slot;
    sb_socket_set_nonblocking(*sock, true); /* all who hold it share that; a broker never waits on it */
    s->sock = sb_socket_take(sock);
    DL_APPEND(*list, s);
    return SOCKBROKER_OK;
}

static bool is_unspecified(const struct sockbroker_addr *a)
{
    return sockbroker_addr_classify(a) == SOCKBROKER_CLASS_UNSPECIFIED;
}

static bool is_at(const struct sb_inherited *s, const struct sb_listen_request *r)
{
    struct sockbroker_addr asked = r->addr;

    if (!asked.port)
        asked.port = s->addr.port;
    if (r->dual && s->addr.family == SOCKBROKER_IPV4)
        return is_unspecified(&r->addr) && is_unspecified(&s->addr) && asked.port == s->addr.port && !sb_listen_has_ipv6();
    return s->dual == r->dual && !sockbroker_addr_compare(&asked, &s->addr);
}

bool sb_inherit_fits(const struct sb_inherited *s, const char *endpoint, enum sb_protocol protocol, uint32_t slot,
                     const struct sb_listen_request *request)
{
    return (!s->endpoint[0] || !strcmp(s->endpoint, endpoint)) && s->protocol == protocol && s->slot == slot &&
           is_at(s, request);
}

bool sb_inherit_take(struct sb_inherited **list, const char *endpoint, enum sb_protocol protocol, uint32_t slot,
                     const struct sb_listen_request *request, sockbroker_socket *sock_out, struct sockbroker_addr *addr_out)
{
    struct sb_inherited *s;

    DL_FOREACH(*list, s) {
        if (!sb_inherit_fits(s, endpoint, protocol, slot, request))
            continue;
        *sock_out = s->sock;
        *addr_out = s->addr;
        DL_DELETE(*list, s);
        free(s);
        return true;
    }
    return false;
}

void sb_inherit_close(struct sb_inherited **list)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    while (*list) {
        struct sb_inherited *s = *list;

        sb_log(SB_LOG_WARNING, "inherited_unused", "endpoint=%s address=%s protocol=%s effect=\"closed\"", s->endpoint,
               sockbroker_addr_format(&s->addr, text), sb_protocol_name(s->protocol));
        DL_DELETE(*list, s);
        sb_socket_close(&s->sock);
        free(s);
    }
}
