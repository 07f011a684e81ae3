#include "broker/connector_inside.h"

#include "proto/error.h"
#include "sockbroker/addr.h"

/* A list of destinations while it is put together: the old ones wait in the race already, the others are new. */
struct list {
    struct sockbroker_addr at[SB_RACE_MAX];
    size_t n;
    size_t n_old;
};

static bool is_nowhere(const struct sockbroker_addr *addr)
{
    enum sockbroker_addr_class class_ = sockbroker_addr_classify(addr);

    return class_ == SOCKBROKER_CLASS_NONE || class_ == SOCKBROKER_CLASS_UNSPECIFIED;
}

static sockbroker_status judge(const struct sb_connect *c, const struct sockbroker_addr *destination,
                               struct sockbroker_error *error_out)
{
    enum sockbroker_family from = c->request.source.family;
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    sockbroker_addr_format(destination, text);
    if (is_nowhere(destination)) /* the system would take it for this machine, past any rule about that */
        return sb_error_set(
            error_out, SOCKBROKER_INVALID, 0,
            "%s: it is no destination (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2). Write 127.0.0.1 or ::1 for this machine", text);
    if (from != SOCKBROKER_FAMILY_NONE && from != destination->family)
        return sb_error_set(error_out, SOCKBROKER_INVALID, 0,
                            "%s: the source is an %s address. Give one of the same family, or none", text,
                            from == SOCKBROKER_IPV4 ? "IPv4" : "IPv6");
    return c->calls.permit(c->calls.arg, destination, error_out);
}

static bool contains(const struct list *list, const struct sockbroker_addr *addr)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!sockbroker_addr_compare(&list->at[i], addr))
            return true;
    }
    return false;
}

static void list_waiting(const struct sb_race *r, struct list *list)
{
    list->n = 0;
    for (size_t i = r->n_begun; i < r->n_attempts; i++)
        list->at[list->n++] = r->attempts[i].pair.destination;
    list->n_old = list->n;
}

static void turn_away(struct sb_connect *c, const struct sockbroker_addr *destination, sockbroker_status status,
                      struct sockbroker_error *error)
{
    error->status = status;
    sb_race_turn_away(&c->race, destination, sb_connect_now_ms(c), error);
}

/* Puts the allowed ones into the list, and the reasons for the others into the race. */
static void admit(struct sb_connect *c, const struct sockbroker_addr *addresses, size_t n, struct list *list)
{
    for (size_t i = 0; i < n && list->n < SB_RACE_MAX; i++) {
        struct sockbroker_addr destination = addresses[i];
        struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };

        sockbroker_addr_normalise(&destination);
        destination.port = c->request.port;
        if (sb_race_knows(&c->race, &destination) || contains(list, &destination))
            continue;
        sockbroker_status st = judge(c, &destination, &error);
        if (st)
            turn_away(c, &destination, st, &error);
        else
            list->at[list->n++] = destination;
    }
}

/* `sort` may have added a zone. */
static bool is_among(const struct sockbroker_addr *wanted, const struct sb_race_pair *pairs, size_t n_pairs)
{
    for (size_t i = 0; i < n_pairs; i++) {
        struct sockbroker_addr addr = pairs[i].destination;

        if (wanted->scope_id == 0)
            addr.scope_id = 0;
        if (!sockbroker_addr_compare(&addr, wanted))
            return true;
    }
    return false;
}

static void turn_away_unreachable(struct sb_connect *c, const struct list *list, const struct sb_race_pair *pairs,
                                  size_t n_pairs)
{
    struct sockbroker_error error;
    char text[SOCKBROKER_ADDR_TEXT_MAX], ip[SOCKBROKER_ADDR_TEXT_MAX];

    for (size_t i = 0; i < list->n; i++) {
        if (is_among(&list->at[i], pairs, n_pairs))
            continue;
        sb_error_set(&error, SOCKBROKER_ADDRESS_NOT_AVAILABLE, 0,
                     "%s: this machine has no route there, or no address to come from. See ip route get %s",
                     sockbroker_addr_format(&list->at[i], text), sockbroker_addr_format_ip(&list->at[i], ip));
        sb_race_turn_away(&c->race, &list->at[i], sb_connect_now_ms(c), &error);
    }
}

static void offer(struct sb_connect *c, const struct list *list)
{
    const struct sb_connector *o = c->connector;
    struct sb_race_pair pairs[SB_RACE_MAX];
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
    size_t n_pairs = 0;

    sockbroker_status st = o->sort(o->sort_arg, list->at, list->n, pairs, &n_pairs, &error);

    for (size_t i = list->n_old; st && i < list->n; i++)
        turn_away(c, &list->at[i], st, &error);
    if (st)
        return;
    for (size_t i = 0; i < n_pairs; i++) {
        if (c->request.source.family != SOCKBROKER_FAMILY_NONE)
            pairs[i].source = c->request.source;
    }
    sb_race_offer(&c->race, pairs, n_pairs);
    turn_away_unreachable(c, list, pairs, n_pairs);
}

void sb_connect_take_in(struct sb_connect *c, const struct sockbroker_addr *addresses, size_t n)
{
    struct list list;

    list_waiting(&c->race, &list);
    admit(c, addresses, n, &list);
    if (list.n > list.n_old)
        offer(c, &list);
}
