#include "broker/resolve.h"

#include <string.h>
#include <uv.h>

#include "client-lib/sysnet.h"
#include "proto/error.h"
#include "sockbroker/addr.h"

static sockbroker_status fail(const char *host, int code, struct sockbroker_error *error)
{
    char quoted[SB_QUOTE_MAX];

    sb_quote(host, strlen(host), quoted, sizeof(quoted));
    switch (code) {
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_EAI_ADDRFAMILY:
        return sb_error_set(error, SOCKBROKER_NOT_FOUND, 0, "host \"%s\": it has no address; check the spelling", quoted);
    case UV_EAI_AGAIN:
        return sb_error_set(error, SOCKBROKER_TIMEOUT, 0,
                            "host \"%s\": the resolver got no answer; check the network and its name servers, try again",
                            quoted);
    case UV_EAI_MEMORY:
    case UV_ENOMEM:
        return sb_error_set(error, SOCKBROKER_NO_MEMORY, 0, "host \"%s\": no memory to resolve it", quoted);
    default: /* the others explain themselves */
        return sb_error_set(error, SOCKBROKER_SYSTEM, 0, "host \"%s\": the resolver fails: %s (%s); try again", quoted,
                            uv_err_name(code), uv_strerror(code));
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
        return fail(host, UV_EAI_NONAME, error);
    *n_out = n;
    return SOCKBROKER_OK;
}

/* Without a callback it waits, and only counts its request in the loop. */
static int ask(uv_loop_t *loop, const char *host, uv_getaddrinfo_t *request)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    return uv_getaddrinfo(loop, request, NULL, host, NULL, &hints);
}

sockbroker_status sb_resolve(const char *host, struct sockbroker_addr *list_out, size_t max, size_t *n_out,
                             struct sockbroker_error *error_out)
{
    uv_getaddrinfo_t request;
    uv_loop_t loop;
    int code = uv_loop_init(&loop);

    if (code)
        return fail(host, code, error_out);
    code = ask(&loop, host, &request);
    sockbroker_status st = code ? fail(host, code, error_out) : take(host, request.addrinfo, list_out, max, n_out, error_out);
    if (!code)
        uv_freeaddrinfo(request.addrinfo);
    uv_loop_close(&loop);
    return st;
}
