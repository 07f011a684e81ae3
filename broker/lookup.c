#include "broker/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/sysnet.h"
#include "proto/error.h"
#include "proto/failpoint.h"
#include "sockbroker/addr.h"

struct sb_lookup {
    uv_getaddrinfo_t request;
    char host[SB_LOOKUP_HOST_MAX + 1];
    enum sockbroker_family family;
    sb_lookup_answered answered; /* NULL once cancelled */
    void *arg;
};

/* ---- names ---- */

#define LABEL_MAX 63

static const char digits[] = "0123456789";
static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

/* RFC 1035, section 2.3.4 */
static bool has_bad_label(const char *host)
{
    while (*host) {
        size_t len = strcspn(host, ".");

        if (len == 0 || len > LABEL_MAX)
            return true;
        host += len;
        host += *host == '.';
    }
    return false;
}

static bool ends_in_number(const char *host)
{
    char label[SB_LOOKUP_HOST_MAX + 1];
    size_t len = strlen(host);

    memcpy(label, host, len + 1);
    if (len && label[len - 1] == '.') /* the root */
        label[len - 1] = '\0';
    char *dot = strrchr(label, '.');
    const char *last = dot ? dot + 1 : label;
    if (last[0] == '0' && (last[1] == 'x' || last[1] == 'X'))
        return strspn(last + 2, "0123456789abcdefABCDEF") == strlen(last + 2);
    return strspn(last, digits) == strlen(last);
}

sockbroker_status sb_lookup_check_host(const char *host, struct sockbroker_error *error_out)
{
    size_t len = strlen(host);
    char quoted[SB_QUOTE_MAX];

    if (len == 0)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "host: it is empty. Give a name or an address");
    sb_quote(host, len, quoted, sizeof(quoted));
    if (len > SB_LOOKUP_HOST_MAX)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0, "host \"%s\": %zu bytes are too long. A name has at most %d",
                            quoted, len, SB_LOOKUP_HOST_MAX);
    if (strspn(host, allowed) != len)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "host \"%s\": neither an address nor a name. A name has letters, digits, \"-\", \"_\" and \".\"; "
                            "write other alphabets in their xn-- form",
                            quoted);
    if (has_bad_label(host))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "host \"%s\": a part between two dots is empty or too long. Each has 1 to %d bytes", quoted,
                            LABEL_MAX);
    if (ends_in_number(host))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "host \"%s\": a name does not end in a number. Write an IPv4 address as four decimal numbers "
                            "without leading zeros",
                            quoted);
    return SOCKBROKER_OK;
}

/* ---- the answer ---- */

static bool has(const struct sb_lookup_answer *answer, const struct sockbroker_addr *addr)
{
    for (size_t i = 0; i < answer->n_addresses; i++) {
        if (!sockbroker_addr_compare(&answer->addresses[i], addr))
            return true;
    }
    return false;
}

static void collect(const struct addrinfo *found, struct sb_lookup_answer *answer)
{
    for (; found && answer->n_addresses < SB_LOOKUP_MAX; found = found->ai_next) {
        struct sockbroker_addr addr;

        if (sockbroker_addr_from_sockaddr(found->ai_addr, found->ai_addrlen, &addr))
            continue;
        addr.port = 0;
        sockbroker_addr_normalise(&addr); /* /etc/hosts may have mapped ones */
        if (!has(answer, &addr))
            answer->addresses[answer->n_addresses++] = addr;
    }
}

static void explain(const struct sb_lookup *l, int code, struct sockbroker_error *error_out)
{
    const char *family = l->family == SOCKBROKER_IPV6 ? "IPv6" : "IPv4";

    switch (code) {
    case 0:
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_EAI_ADDRFAMILY:
        sb_error_set(error_out, SOCKBROKER_NOT_FOUND, 0,
                     "%s: it has no %s address. Check its spelling (getent ahosts asks the same)", l->host, family);
        break;
    case UV_EAI_MEMORY:
    case UV_ENOMEM:
        sb_error_set(error_out, SOCKBROKER_NO_MEMORY, 0, "%s: no memory to look up its %s addresses. Try again later", l->host,
                     family);
        break;
    default: /* the resolver's troubles: EAI_AGAIN, EAI_FAIL and what is ours to blame */
        sb_error_set(error_out, SOCKBROKER_SYSTEM, 0,
                     "%s: the resolver gave no %s address: %s (%s). Try again; else see /etc/resolv.conf and its servers",
                     l->host, family, uv_err_name(code), uv_strerror(code));
        break;
    }
}

static void on_answer(uv_getaddrinfo_t *request, int code, struct addrinfo *found)
{
    struct sb_lookup *l = request->data;
    struct sb_lookup_answer answer;

    if (l->answered) {
        memset(&answer, 0, sizeof(answer));
        answer.family = l->family;
        if (code == 0)
            collect(found, &answer);
        if (answer.n_addresses == 0)
            explain(l, code, &answer.error);
        l->answered(l->arg, &answer);
    }
    uv_freeaddrinfo(found);
    free(l);
}

/* ---- the question ---- */

sockbroker_status sb_lookup_start(uv_loop_t *loop, const char *host, enum sockbroker_family family, sb_lookup_answered answered,
                                  void *arg, struct sb_lookup **lookup_out)
{
    struct addrinfo hints = { .ai_family = family == SOCKBROKER_IPV6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM };
    struct sb_lookup *l = sb_failpoint("lookup_memory") ? NULL : calloc(1, sizeof(*l));

    if (!l)
        return SOCKBROKER_NO_MEMORY;
    snprintf(l->host, sizeof(l->host), "%s", host);
    l->family = family;
    l->answered = answered;
    l->arg = arg;
    l->request.data = l;
    int code = uv_getaddrinfo(loop, &l->request, on_answer, l->host, NULL, &hints);
    if (code) {
        free(l);
        return code == UV_ENOMEM ? SOCKBROKER_NO_MEMORY : SOCKBROKER_SYSTEM;
    }
    *lookup_out = l;
    return SOCKBROKER_OK;
}

void sb_lookup_cancel(struct sb_lookup *l)
{
    if (!l)
        return;
    l->answered = NULL;
    uv_cancel((uv_req_t *)&l->request); /* no use once it runs; on_answer() frees it either way */
}
