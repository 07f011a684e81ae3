#include "broker/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/error.h"
#include "proto/oserr.h"
#include "sockbroker/addr.h"

static sockbroker_status fail(const char *host, int code, int os_code, struct sockbroker_error *error)
{
    char quoted[SB_QUOTE_MAX], text[128];

    sb_quote(host, strlen(host), quoted, sizeof(quoted));
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return sb_error_set(error, SOCKBROKER_NOT_FOUND, 0, "host \"%s\": it has no address; check the spelling", quoted);
    case EAI_AGAIN:
        return sb_error_set(error, SOCKBROKER_TIMEOUT, 0,
                            "host \"%s\": the resolver got no answer; check the network and /etc/resolv.conf, try again",
                            quoted);
    case EAI_MEMORY:
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "host \"%s\": no memory to resolve it", quoted);
    case EAI_SYSTEM:
        return sb_error_set(error, SOCKBROKER_SYSTEM, os_code, "host \"%s\": the resolver fails: %s; try again", quoted,
                            sb_oserr_text(os_code, text, sizeof(text)));
    default: /* EAI_FAIL and others explain themselves */
        return sb_error_set(error, SOCKBROKER_SYSTEM, 0, "host \"%s\": the resolver fails: %s", quoted, gai_strerror(code));
    }
}

static bool is_listed(const struct sockbroker_addr *list, size_t n, const struct sockbroker_addr *addr)
{
    for (size_t i = 0; i < n; i++) {
        if (sockbroker_addr_compare(&list[i], addr) == 0)
            return true;
    }
    return false;
}

static sockbroker_status take(const char *host, const struct addrinfo *found, struct sockbroker_addr *list, size_t max,
                              size_t *n_out, struct sockbroker_error *error)
{
    char quoted[SB_QUOTE_MAX];
    size_t n = 0;

    for (const struct addrinfo *i = found; i; i = i->ai_next) {
        struct sockbroker_addr addr;

        if (sockbroker_addr_from_sockaddr(i->ai_addr, i->ai_addrlen, &addr) || is_listed(list, n, &addr))
            continue;
        if (n == max)
            return sb_error_set(error, SOCKBROKER_UNSUPPORTED, 0,
                                "host \"%s\": it has more than %zu addresses; name one of them",
                                sb_quote(host, strlen(host), quoted, sizeof(quoted)), max);
        list[n++] = addr;
    }
    if (!n)
        return fail(host, EAI_NONAME, 0, error);
    *n_out = n;
    return SOCKBROKER_OK;
}

sockbroker_status sb_resolve(const char *host, struct sockbroker_addr *list_out, size_t max, size_t *n_out,
                             struct sockbroker_error *error_out)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);

    if (code)
        return fail(host, code, errno, error_out);
    sockbroker_status st = take(host, found, list_out, max, n_out, error_out);
    freeaddrinfo(found);
    return st;
}
