#include "client-lib/pairs.h"
#include "proto/error.h"

static sockbroker_status check_number(const char *what, const void *list, size_t n, struct sockbroker_error *error)
{
    if (list && n >= 1 && n <= SOCKBROKER_PAIRS_MAX)
        return SOCKBROKER_OK;
    return sb_error_set(error, SOCKBROKER_INVALID, 0, "%ss: there are %zu; give 1 to %d", what, list ? n : 0,
                        SOCKBROKER_PAIRS_MAX);
}

static sockbroker_status refuse(const char *what, size_t i, const struct sockbroker_addr *addr, const char *why,
                                struct sockbroker_error *error)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    return sb_error_set(error, SOCKBROKER_INVALID, 0, "%s %zu (%s): %s", what, i + 1, sockbroker_addr_format_ip(addr, text),
                        why);
}

static enum sockbroker_addr_class class_of(const struct sockbroker_addr *addr)
{
    struct sockbroker_addr plain = *addr;

    sockbroker_addr_normalise(&plain);
    return sockbroker_addr_classify(&plain);
}

static sockbroker_status check_destinations(const struct sockbroker_addr *list, size_t n, struct sockbroker_error *error)
{
    sockbroker_status st = check_number("destination", list, n, error);

    for (size_t i = 0; i < n && !st; i++) {
        enum sockbroker_addr_class class_ = class_of(&list[i]);

        if (class_ == SOCKBROKER_CLASS_NONE)
            st = refuse("destination", i, &list[i], "its family is neither IPv4 nor IPv6; fill it in", error);
        else if (class_ == SOCKBROKER_CLASS_UNSPECIFIED)
            st = refuse("destination", i, &list[i], "it names no machine; for this one write 127.0.0.1 or ::1", error);
    }
    return st;
}

/* RFC 6724, section 4: neither multicast nor the unspecified address. */
static sockbroker_status check_sources(const struct sockbroker_addr *list, size_t n, struct sockbroker_error *error)
{
    sockbroker_status st = check_number("source", list, n, error);

    for (size_t i = 0; i < n && !st; i++) {
        enum sockbroker_addr_class class_ = class_of(&list[i]);

        if (class_ == SOCKBROKER_CLASS_NONE)
            st = refuse("source", i, &list[i], "its family is neither IPv4 nor IPv6; fill it in", error);
        else if (class_ == SOCKBROKER_CLASS_UNSPECIFIED)
            st = refuse("source", i, &list[i],
                        "it is no address of a machine; to leave the choice to the system, give no sources", error);
        else if (class_ == SOCKBROKER_CLASS_MULTICAST || class_ == SOCKBROKER_CLASS_BROADCAST)
            st = refuse("source", i, &list[i],
                        "nothing can be sent from a multicast or broadcast address; give an address of "
                        "this machine",
                        error);
    }
    return st;
}

sockbroker_status sb_pairs_check(const struct sockbroker_addr *destinations, size_t n_destinations,
                                 const struct sockbroker_select_options *options, struct sockbroker_error *error_out)
{
    sockbroker_status st = SOCKBROKER_OK;

    if (options->size != sizeof(*options))
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "options.size is %zu, not %zu: begin with SOCKBROKER_SELECT_OPTIONS_INIT", options->size,
                            sizeof(*options));
    st = check_destinations(destinations, n_destinations, error_out);
    if (!st && (options->sources || options->n_sources))
        st = check_sources(options->sources, options->n_sources, error_out);
    if (!st && (options->policies || options->n_policies))
        st = sockbroker_policy_check(options->policies, options->n_policies, error_out);
    return st;
}
