/* What connector.h promises, on real sockets: who is connected to, who is not and why, and that nothing is left behind however
 * it ends. The clock stands still unless a test moves it, and names are answered when the test says so: getaddrinfo() below is
 * the one that libuv calls. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/connector.h"
#include "proto/clock.h"
#include "proto/socket.h"
#include "sockbroker/addr.h"
#include "tests/support/format.h"

/* ---- a resolver that answers when it may ---- */

struct reply {
    const char *addresses; /* "::1 ::2"; NULL: code */
    int code;
    bool may_go;
    unsigned n_asked, n_given;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct reply replies[2]; /* IPv6, IPv4 */

static struct reply *reply_of(enum sockbroker_family family)
{
    return &replies[family == SOCKBROKER_IPV4];
}

struct found {
    struct addrinfo info;
    struct sockaddr_storage sa;
};

static struct addrinfo *make_list(const char *addresses)
{
    struct addrinfo *first = NULL, **end = &first;
    char copy[512], *save = NULL;

    format_text(copy, sizeof(copy), "%s", addresses);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct found *f = calloc(1, sizeof(*f));
        struct sockbroker_addr addr;

        if (!f || sockbroker_addr_parse_ip(word, &addr, NULL))
            abort(); /* on a thread of the pool: cmocka cannot be told */
        f->info.ai_addrlen = (socklen_t)sockbroker_addr_to_sockaddr(&addr, &f->sa);
        f->info.ai_addr = (struct sockaddr *)&f->sa;
        f->info.ai_family = f->sa.ss_family;
        *end = &f->info;
        end = &f->info.ai_next;
    }
    return first;
}

SOCKBROKER_API int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found_out)
{
    struct reply *r = reply_of(hints->ai_family == AF_INET6 ? SOCKBROKER_IPV6 : SOCKBROKER_IPV4);

    (void)node;
    (void)service;
    pthread_mutex_lock(&lock);
    r->n_asked++;
    pthread_cond_broadcast(&changed);
    while (!r->may_go)
        pthread_cond_wait(&changed, &lock);
    r->n_given++;
    int code = r->addresses ? 0 : r->code;
    *found_out = r->addresses ? make_list(r->addresses) : NULL;
    pthread_mutex_unlock(&lock);
    return code;
}

SOCKBROKER_API void freeaddrinfo(struct addrinfo *found)
{
    while (found) {
        struct addrinfo *next = found->ai_next;

        free(found);
        found = next;
    }
}

static void forget_replies(void)
{
    memset(replies, 0, sizeof(replies));
}

/* From now on; addresses NULL: the code. */
static void let_go(enum sockbroker_family family, const char *addresses, int code)
{
    pthread_mutex_lock(&lock);
    reply_of(family)->addresses = addresses;
    reply_of(family)->code = code;
    reply_of(family)->may_go = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Until a thread of the pool is inside and waits. */
static void await_question(enum sockbroker_family family)
{
    pthread_mutex_lock(&lock);
    while (reply_of(family)->n_asked == 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static unsigned count_questions(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = replies[0].n_asked + replies[1].n_asked;
    pthread_mutex_unlock(&lock);
    return n;
}

/* ---- places to connect to: one port at several addresses ---- */

enum how {
    LISTENS,
    REFUSES, /* the port is taken, so that nobody else can listen there */
    HANGS,   /* its queue is full, so that the system drops each SYN */
};

struct place {
    const char *ip;
    enum how how;
    int sock, filler;
};

static socklen_t to_sockaddr(const char *ip, uint16_t port, struct sockaddr_storage *sa_out)
{
    struct sockbroker_addr addr;

    assert_status(SOCKBROKER_OK, sockbroker_addr_parse_ip(ip, &addr, NULL));
    addr.port = port;
    return (socklen_t)sockbroker_addr_to_sockaddr(&addr, sa_out);
}

/* Where it is bound; FAMILY_NONE when the port is taken. */
static struct sockbroker_addr bind_place(struct place *p, uint16_t port)
{
    struct sockbroker_addr at = { SOCKBROKER_FAMILY_NONE, 0, 0, { 0 } };
    struct sockaddr_storage sa;
    socklen_t len = to_sockaddr(p->ip, port, &sa);
    int on = 1;

    p->filler = -1;
    p->sock = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(p->sock >= 0);
    if (sa.ss_family == AF_INET6)
        assert_int_equal(setsockopt(p->sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
    if (p->how == REFUSES)
        assert_int_equal(setsockopt(p->sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    if (bind(p->sock, (struct sockaddr *)&sa, len))
        return at;
    len = sizeof(sa);
    assert_int_equal(getsockname(p->sock, (struct sockaddr *)&sa, &len), 0);
    sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &at);
    return at;
}

static void make_ready(struct place *p, uint16_t port)
{
    if (p->how != REFUSES)
        assert_int_equal(listen(p->sock, p->how == HANGS ? 0 : 16), 0);
    if (p->how == HANGS)
        p->filler = unit_tcp_connect(p->ip, port);
}

static void close_places(struct place *places, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sb_socket_close(&places[i].sock);
        sb_socket_close(&places[i].filler);
    }
}

static uint16_t open_places(struct place *places, size_t n)
{
    for (int tries = 0; tries < 100; tries++) {
        uint16_t port = 0;
        size_t n_bound = 0;

        for (bool is_free = true; is_free && n_bound < n; n_bound++) {
            struct sockbroker_addr at = bind_place(&places[n_bound], port);

            is_free = at.family != SOCKBROKER_FAMILY_NONE;
            port = is_free ? at.port : 0;
        }
        for (size_t i = 0; port && i < n; i++)
            make_ready(&places[i], port);
        if (port)
            return port;
        close_places(places, n_bound);
    }
    fail_msg("no port is free at all of these addresses");
    return 0;
}

/* The server's end; -1: nobody has come. */
static int accept_at(const struct place *p)
{
    return accept4(p->sock, NULL, NULL, SOCK_CLOEXEC);
}

/* ---- a scene: one loop, one connector, one request ---- */

static uint64_t clock_ms;   /* what the connector takes for the time */
static uint64_t clock_step; /* how far it goes each time somebody looks */

static uint64_t fake_now_ms(void)
{
    clock_ms += clock_step;
    return clock_ms;
}

struct scene {
    uv_loop_t loop;
    struct sb_connector connector;
    struct sb_connect_request request;
    struct sb_connect *connect;

    const char *forbidden; /* what permit refuses */
    unsigned n_permit;
    const char *unreachable; /* what sort leaves out */
    const char *source;      /* what sort chooses for IPv4 */
    bool sort_fails, sort_reverses;
    bool leaves_socket;

    unsigned n_done;
    sockbroker_socket sock;
    struct sb_connect_result result; /* its pointers are void but for what is copied below */
    struct sb_race race;
    bool has_answer[2];
};

static bool is_ip(const struct sockbroker_addr *addr, const char *ip)
{
    char text[SOCKBROKER_ADDR_TEXT_MAX];

    return ip && !strcmp(sockbroker_addr_format_ip(addr, text), ip);
}

static sockbroker_status permit(void *arg, const struct sockbroker_addr *destination, struct sockbroker_error *error_out)
{
    struct scene *s = arg;

    s->n_permit++;
    assert_int_equal(destination->port, s->request.port);
    assert_false(sockbroker_addr_is_mapped(destination));
    if (!is_ip(destination, s->forbidden))
        return SOCKBROKER_OK;
    format_text(error_out->text, sizeof(error_out->text), "rule %s", s->forbidden);
    return SOCKBROKER_REFUSED;
}

static void add_pair(const struct scene *s, const struct sockbroker_addr *destination, struct sb_race_pair *pairs, size_t *n)
{
    static const struct sb_race_pair none;
    struct sb_race_pair *pair = &pairs[*n];

    if (is_ip(destination, s->unreachable))
        return;
    *pair = none;
    pair->destination = *destination;
    if (s->source && destination->family == SOCKBROKER_IPV4)
        sockbroker_addr_parse_ip(s->source, &pair->source, NULL);
    ++*n;
}

/* IPv6 first, else as given. */
static sockbroker_status sort(void *arg, const struct sockbroker_addr *destinations, size_t n, struct sb_race_pair *pairs_out,
                              size_t *n_pairs_out, struct sockbroker_error *error_out)
{
    static const enum sockbroker_family families[] = { SOCKBROKER_IPV6, SOCKBROKER_IPV4 };
    struct scene *s = arg;

    assert_true(n > 0);
    format_text(error_out->text, sizeof(error_out->text), "sorting failed");
    if (s->sort_fails)
        return SOCKBROKER_NO_MEMORY;
    *n_pairs_out = 0;
    for (size_t f = 0; f < UNIT_COUNT(families); f++) {
        for (size_t i = 0; i < n; i++) {
            const struct sockbroker_addr *d = &destinations[s->sort_reverses ? n - 1 - i : i];

            if (d->family == families[f])
                add_pair(s, d, pairs_out, n_pairs_out);
        }
    }
    return SOCKBROKER_OK;
}

static void done(void *arg, const struct sb_connect_result *result)
{
    struct scene *s = arg;

    s->n_done++;
    s->connect = NULL;
    s->result = *result;
    s->race = *result->race;
    for (size_t i = 0; i < 2; i++)
        s->has_answer[i] = result->answers[i] != NULL;
    if (!s->leaves_socket)
        s->sock = sb_socket_take(result->sock);
}

static void open_scene(struct scene *s)
{
    static const struct sb_connect_request request = SB_CONNECT_REQUEST_INIT;

    memset(s, 0, sizeof(*s));
    assert_int_equal(uv_loop_init(&s->loop), 0);
    sb_connector_init(&s->connector, &s->loop, sort, s);
    s->connector.now_ms = fake_now_ms;
    s->request = request;
    s->request.race.deadline_ms = 10000;
    s->sock = SOCKBROKER_SOCKET_NONE;
    clock_ms = 5000;
    clock_step = 0;
    forget_replies();
}

/* The loop has nothing left, or this would not end. */
static void close_scene(struct scene *s)
{
    sb_connector_deinit(&s->connector);
    assert_int_equal(uv_run(&s->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&s->loop), 0);
    sb_socket_close(&s->sock);
}

static void start(struct scene *s)
{
    struct sb_connect_calls calls = { permit, done, s };
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };

    assert_status(SOCKBROKER_OK, sb_connect_start(&s->connector, &s->request, &calls, &s->connect, &error));
    assert_int_equal(s->n_done, 0); /* never from inside */
}

static void start_host(struct scene *s, const char *host, uint16_t port)
{
    format_text(s->request.host, sizeof(s->request.host), "%s", host);
    s->request.port = port;
    start(s);
}

static void start_places(struct scene *s, const struct place *places, size_t n, uint16_t port)
{
    s->request.port = port;
    s->request.n_addresses = n;
    for (size_t i = 0; i < n; i++)
        assert_status(SOCKBROKER_OK, sockbroker_addr_parse_ip(places[i].ip, &s->request.addresses[i], NULL));
    start(s);
}

/* Those that need no more than a turn of the loop. */
static void run_until_begun(struct scene *s, size_t n)
{
    while (!s->n_done && sb_connect_race(s->connect)->n_begun < n)
        uv_run(&s->loop, UV_RUN_NOWAIT);
    assert_false(s->n_done);
}

/* The resolver's answer is on its way. */
static void run_until_known(struct scene *s, size_t n)
{
    while (!s->n_done && sb_connect_race(s->connect)->n_attempts < n)
        uv_run(&s->loop, UV_RUN_ONCE);
    assert_false(s->n_done);
}

static void run_until_done(struct scene *s)
{
    while (!s->n_done)
        uv_run(&s->loop, UV_RUN_ONCE);
    assert_int_equal(s->n_done, 1);
}

static void pass(struct scene *s, uint64_t ms)
{
    clock_ms += ms;
    sb_connect_tick(s->connect);
}

static void assert_attempt(const struct scene *s, size_t i, const char *ip, enum sb_attempt_state expected)
{
    assert_true(i < s->race.n_attempts);
    if (!is_ip(&s->race.attempts[i].pair.destination, ip) || s->race.attempts[i].state != expected)
        print_error("attempt %zu: %s\n", i, sb_attempt_state_name(s->race.attempts[i].state));
    assert_true(is_ip(&s->race.attempts[i].pair.destination, ip));
    assert_int_equal(s->race.attempts[i].state, expected);
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        print_error("\"%s\" lacks \"%s\"\n", text, part);
    assert_non_null(strstr(text, part));
}

/* Its socket is connected to that place, and each end knows the other's address. */
static void assert_connected(struct scene *s, const struct place *place)
{
    struct sockbroker_addr seen;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    char byte = 0;

    assert_status(SOCKBROKER_OK, s->result.error.status);
    int server = accept_at(place);
    assert_true(server >= 0);
    assert_true(is_ip(&s->result.peer, place->ip));
    assert_int_equal(s->result.peer.port, s->request.port);
    assert_int_equal(getpeername(server, (struct sockaddr *)&sa, &len), 0);
    assert_status(SOCKBROKER_OK, sockbroker_addr_from_sockaddr((struct sockaddr *)&sa, len, &seen));
    assert_int_equal(sockbroker_addr_compare(&seen, &s->result.local), 0);
    assert_int_equal(send(s->sock, "x", 1, MSG_NOSIGNAL), 1);
    assert_true(unit_wait_readable(server));
    assert_int_equal(recv(server, &byte, 1, 0), 1);
    close(server);
}

static void assert_failed(const struct scene *s, sockbroker_status expected)
{
    assert_status(expected, s->result.error.status);
    assert_int_equal(s->sock, SOCKBROKER_SOCKET_NONE);
    assert_true(strlen(s->result.error.text) > 0);
}

#define NEEDS_IPV6()                                                                                                           \
    do {                                                                                                                       \
        if (!unit_has_ipv6())                                                                                                  \
            skip();                                                                                                            \
    } while (0)

/* ---- one destination ---- */

static void connect_to_literal(const char *host, const char *ip)
{
    struct place place = { .ip = ip, .how = LISTENS };
    uint16_t port = open_places(&place, 1);
    struct scene s;
    int no_delay = 1;
    socklen_t len = sizeof(no_delay);

    open_scene(&s);
    start_host(&s, host, port);
    run_until_done(&s);
    assert_attempt(&s, 0, ip, SB_ATTEMPT_WON);
    assert_int_equal(s.race.n_attempts, 1);
    assert_false(s.has_answer[0] || s.has_answer[1]);
    assert_int_equal(count_questions(), 0);
    assert_true(fcntl(s.sock, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(s.sock, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getsockopt(s.sock, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
    assert_int_equal(no_delay, 0);
    assert_connected(&s, &place);
    close_scene(&s);
    close_places(&place, 1);
}

static void an_address_is_connected_to_without_a_resolver(void **state)
{
    (void)state;
    connect_to_literal("127.0.0.1", "127.0.0.1");
    connect_to_literal("::ffff:127.0.0.1", "127.0.0.1");
    if (unit_has_ipv6())
        connect_to_literal("::1", "::1");
}

static void a_socket_that_nobody_takes_is_reset(void **state)
{
    struct place place = { .ip = "127.0.0.1", .how = LISTENS };
    uint16_t port = open_places(&place, 1);
    struct scene s;
    char byte;

    (void)state;
    open_scene(&s);
    s.leaves_socket = true;
    start_host(&s, "127.0.0.1", port);
    run_until_done(&s);
    assert_status(SOCKBROKER_OK, s.result.error.status);
    int server = accept_at(&place);
    assert_true(server >= 0);
    assert_int_equal(recv(server, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(server);
    close_scene(&s);
    close_places(&place, 1);
}

static void a_refused_connection_names_address_cause_and_cure(void **state)
{
    struct place place = { .ip = "127.0.0.1", .how = REFUSES };
    uint16_t port = open_places(&place, 1);
    struct scene s;
    char where[64];

    (void)state;
    open_scene(&s);
    start_host(&s, "127.0.0.1", port);
    run_until_done(&s);
    assert_failed(&s, SOCKBROKER_SYSTEM);
    assert_int_equal(s.result.error.os_code, ECONNREFUSED);
    format_text(where, sizeof(where), "127.0.0.1, port %u: connect to 127.0.0.1:%u: ECONNREFUSED", port, port);
    assert_says(s.result.error.text, where);
    assert_says(s.result.error.text, "start the server");
    close_scene(&s);
    close_places(&place, 1);
}

static void no_way_there_is_told(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    start_host(&s, "255.255.255.255", 9); /* no TCP to broadcast, with or without a route */
    run_until_done(&s);
    assert_failed(&s, SOCKBROKER_SYSTEM);
    assert_attempt(&s, 0, "255.255.255.255", SB_ATTEMPT_FAILED);
    assert_true(s.result.error.os_code != 0);
    close_scene(&s);
}

/* ---- several ---- */

static void a_refused_port_passes_the_turn_at_once(void **state)
{
    struct place places[] = { { .ip = "::1", .how = REFUSES }, { .ip = "127.0.0.1", .how = LISTENS } };
    struct scene s;

    (void)state;
    NEEDS_IPV6();
    uint16_t port = open_places(places, 2);
    open_scene(&s);
    start_places(&s, places, 2, port);
    run_until_done(&s); /* the clock stands still: no delay was waited for */
    assert_attempt(&s, 0, "::1", SB_ATTEMPT_FAILED);
    assert_attempt(&s, 1, "127.0.0.1", SB_ATTEMPT_WON);
    assert_int_equal(s.race.attempts[0].error.os_code, ECONNREFUSED);
    assert_connected(&s, &places[1]);
    close_scene(&s);
    close_places(places, 2);
}

static void a_black_hole_is_overtaken_by_the_other_family(void **state)
{
    struct place places[] = { { .ip = "::1", .how = HANGS }, { .ip = "127.0.0.1", .how = LISTENS } };
    struct scene s;

    (void)state;
    NEEDS_IPV6();
    uint16_t port = open_places(places, 2);
    open_scene(&s);
    start_places(&s, places, 2, port);
    run_until_begun(&s, 1);
    pass(&s, 249);
    assert_int_equal(sb_connect_race(s.connect)->n_begun, 1);
    pass(&s, 1);
    assert_int_equal(sb_connect_race(s.connect)->n_begun, 2);
    run_until_done(&s);
    assert_attempt(&s, 0, "::1", SB_ATTEMPT_LOST);
    assert_attempt(&s, 1, "127.0.0.1", SB_ATTEMPT_WON);
    assert_int_equal(s.race.attempts[1].started_ms - s.race.attempts[0].started_ms, 250);
    assert_int_equal(s.result.ended_ms - s.result.started_ms, 250);
    assert_connected(&s, &places[1]);
    close_scene(&s);
    close_places(places, 2);
}

static void the_loop_wakes_by_itself_when_the_delay_is_over(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = HANGS }, { .ip = "127.0.0.2", .how = LISTENS } };
    uint16_t port = open_places(places, 2);
    struct scene s;

    (void)state;
    open_scene(&s);
    s.connector.now_ms = sb_clock_ms;
    s.request.race.attempt_delay_ms = 10;
    s.request.race.deadline_ms = UINT32_MAX;
    start_places(&s, places, 2, port);
    run_until_done(&s);
    assert_attempt(&s, 0, "127.0.0.1", SB_ATTEMPT_LOST);
    assert_true(s.race.attempts[1].started_ms - s.race.attempts[0].started_ms >= 10);
    assert_connected(&s, &places[1]);
    close_scene(&s);
    close_places(places, 2);
}

static void who_connects_second_is_reset(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = LISTENS }, { .ip = "127.0.0.2", .how = LISTENS } };
    uint16_t port = open_places(places, 2);
    struct scene s;
    char byte;

    (void)state;
    open_scene(&s);
    s.request.race.attempt_delay_ms = 10;
    clock_step = 20; /* both begin before the loop can see either connected */
    start_places(&s, places, 2, port);
    run_until_done(&s);
    size_t winner = s.race.attempts[0].state == SB_ATTEMPT_WON ? 0 : 1;
    assert_attempt(&s, winner, places[winner].ip, SB_ATTEMPT_WON);
    assert_attempt(&s, 1 - winner, places[1 - winner].ip, SB_ATTEMPT_LOST);
    assert_connected(&s, &places[winner]);
    int loser = accept_at(&places[1 - winner]);
    assert_true(loser >= 0);
    assert_int_equal(recv(loser, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(loser);
    close_scene(&s);
    close_places(places, 2);
}

static void sixteen_that_fail_are_all_told(void **state)
{
    struct place places[SB_RACE_MAX];
    char ips[SB_RACE_MAX][16];
    struct scene s;

    (void)state;
    for (size_t i = 0; i < SB_RACE_MAX; i++) {
        format_text(ips[i], sizeof(ips[i]), "127.0.0.%zu", i + 1);
        places[i] = (struct place){ .ip = ips[i], .how = REFUSES };
    }
    uint16_t port = open_places(places, SB_RACE_MAX);
    open_scene(&s);
    start_places(&s, places, SB_RACE_MAX, port);
    run_until_done(&s);
    assert_failed(&s, SOCKBROKER_SYSTEM);
    assert_says(s.result.error.text, "the addresses given, port ");
    assert_says(s.result.error.text, "any of 16 destinations");
    for (size_t i = 0; i < SB_RACE_MAX; i++)
        assert_attempt(&s, i, ips[i], SB_ATTEMPT_FAILED);
    close_scene(&s);
    close_places(places, SB_RACE_MAX);
}

static void the_deadline_ends_it(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = HANGS }, { .ip = "127.0.0.2", .how = HANGS } };
    uint16_t port = open_places(places, 2);
    struct scene s;

    (void)state;
    open_scene(&s);
    s.request.race.deadline_ms = 400;
    start_places(&s, places, 2, port);
    run_until_begun(&s, 1);
    pass(&s, 250);
    pass(&s, 149);
    assert_false(s.n_done);
    pass(&s, 1);
    assert_int_equal(s.n_done, 1);
    assert_failed(&s, SOCKBROKER_TIMEOUT);
    assert_int_equal(s.race.attempts[1].error.status, SOCKBROKER_TIMEOUT);
    assert_int_equal(s.result.ended_ms - s.result.started_ms, 400);
    close_scene(&s);
    close_places(places, 2);
}

/* ---- names ---- */

static void ipv6_is_first_when_both_are_known(void **state)
{
    struct place places[] = { { .ip = "::1", .how = LISTENS }, { .ip = "127.0.0.1", .how = LISTENS } };
    struct scene s;

    (void)state;
    NEEDS_IPV6();
    uint16_t port = open_places(places, 2);
    open_scene(&s);
    start_host(&s, "both.test", port);
    let_go(SOCKBROKER_IPV4, "127.0.0.1", 0);
    run_until_known(&s, 1);
    assert_int_equal(sb_connect_race(s.connect)->n_begun, 0); /* within the resolution delay */
    let_go(SOCKBROKER_IPV6, "::1", 0);
    run_until_done(&s);
    assert_attempt(&s, 0, "::1", SB_ATTEMPT_WON);
    assert_attempt(&s, 1, "127.0.0.1", SB_ATTEMPT_WAITING);
    assert_true(s.has_answer[0] && s.has_answer[1]);
    assert_connected(&s, &places[0]);
    close_scene(&s);
    close_places(places, 2);
}

static void ipv4_goes_on_without_ipv6_after_the_resolution_delay(void **state)
{
    struct place place = { .ip = "127.0.0.1", .how = LISTENS };
    uint16_t port = open_places(&place, 1);
    struct scene s;

    (void)state;
    open_scene(&s);
    start_host(&s, "late.test", port);
    let_go(SOCKBROKER_IPV4, "127.0.0.1", 0);
    run_until_known(&s, 1);
    pass(&s, 49);
    assert_int_equal(sb_connect_race(s.connect)->n_begun, 0);
    pass(&s, 1);
    assert_int_equal(sb_connect_race(s.connect)->n_begun, 1);
    await_question(SOCKBROKER_IPV6);
    run_until_done(&s);
    assert_false(s.has_answer[0]);
    assert_connected(&s, &place);
    let_go(SOCKBROKER_IPV6, "::1", 0); /* dropped: the loop waits for it, nobody else */
    close_scene(&s);
    assert_int_equal(s.n_done, 1);
    close_places(&place, 1);
}

static void late_ipv6_joins_the_race(void **state)
{
    struct place places[] = { { .ip = "::1", .how = LISTENS },
                              { .ip = "127.0.0.1", .how = HANGS },
                              { .ip = "127.0.0.2", .how = HANGS } };
    struct scene s;

    (void)state;
    NEEDS_IPV6();
    uint16_t port = open_places(places, 3);
    open_scene(&s);
    start_host(&s, "late.test", port);
    let_go(SOCKBROKER_IPV4, "127.0.0.1 127.0.0.2", 0);
    run_until_known(&s, 2);
    pass(&s, 50);
    let_go(SOCKBROKER_IPV6, "::1", 0);
    run_until_known(&s, 3);
    assert_int_equal(sb_connect_race(s.connect)->n_begun, 1);
    pass(&s, 250);
    run_until_done(&s);
    assert_attempt(&s, 0, "127.0.0.1", SB_ATTEMPT_LOST);
    assert_attempt(&s, 1, "::1", SB_ATTEMPT_WON); /* before the other IPv4 address */
    assert_attempt(&s, 2, "127.0.0.2", SB_ATTEMPT_WAITING);
    assert_connected(&s, &places[0]);
    close_scene(&s);
    close_places(places, 3);
}

static void a_name_that_cannot_be_resolved_tells_why(void **state)
{
    static const struct {
        int codes[2]; /* IPv6, IPv4 */
        sockbroker_status expected;
        const char *says;
    } rows[] = {
        { { EAI_NONAME, EAI_NONAME }, SOCKBROKER_NOT_FOUND, "gone.test, port 80: it has no address" },
        { { EAI_NODATA, EAI_NONAME }, SOCKBROKER_NOT_FOUND, "getent ahosts" },
        { { EAI_AGAIN, EAI_NONAME }, SOCKBROKER_SYSTEM, "gone.test: the resolver gave no IPv6 address" },
        { { EAI_NONAME, EAI_FAIL }, SOCKBROKER_SYSTEM, "no IPv4 address: EAI_FAIL" },
        { { EAI_NONAME, EAI_MEMORY }, SOCKBROKER_NO_MEMORY, "gone.test: no memory" },
        { { 0, 0 }, SOCKBROKER_NOT_FOUND, "gone.test" }, /* an empty list */
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct scene s;

        open_scene(&s);
        let_go(SOCKBROKER_IPV6, NULL, rows[i].codes[0]);
        let_go(SOCKBROKER_IPV4, NULL, rows[i].codes[1]);
        start_host(&s, "gone.test", 80);
        run_until_done(&s);
        assert_failed(&s, rows[i].expected);
        assert_says(s.result.error.text, rows[i].says);
        assert_int_equal(s.race.n_attempts, 0);
        close_scene(&s);
    }
}

static void one_family_is_enough(void **state)
{
    struct place place = { .ip = "127.0.0.1", .how = LISTENS };
    uint16_t port = open_places(&place, 1);
    struct scene s;

    (void)state;
    open_scene(&s);
    let_go(SOCKBROKER_IPV6, NULL, EAI_AGAIN);
    let_go(SOCKBROKER_IPV4, "127.0.0.1", 0);
    start_host(&s, "one.test", port);
    run_until_done(&s);
    assert_connected(&s, &place);
    close_scene(&s);
    close_places(&place, 1);
}

static void the_deadline_does_not_wait_for_the_resolver(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    start_host(&s, "stuck.test", 80);
    await_question(SOCKBROKER_IPV6);
    await_question(SOCKBROKER_IPV4);
    pass(&s, 10000);
    assert_int_equal(s.n_done, 1);
    assert_failed(&s, SOCKBROKER_TIMEOUT);
    assert_says(s.result.error.text, "stuck.test, port 80: no connection in 10000 ms");
    let_go(SOCKBROKER_IPV6, "::1", 0);
    let_go(SOCKBROKER_IPV4, "127.0.0.1", 0);
    close_scene(&s);
    assert_int_equal(s.n_done, 1);
}

static void what_comes_twice_or_mapped_is_judged_and_tried_once(void **state)
{
    struct place place = { .ip = "127.0.0.1", .how = REFUSES };
    struct place listed[] = { { .ip = "127.0.0.1" }, { .ip = "::ffff:127.0.0.1" }, { .ip = "127.0.0.1" } };
    uint16_t port = open_places(&place, 1);

    (void)state;
    for (int by_name = 0; by_name <= 1; by_name++) {
        struct scene s;

        open_scene(&s);
        let_go(SOCKBROKER_IPV6, "::ffff:127.0.0.1", 0);
        let_go(SOCKBROKER_IPV4, "127.0.0.1 127.0.0.1", 0);
        if (by_name)
            start_host(&s, "twice.test", port);
        else
            start_places(&s, listed, UNIT_COUNT(listed), port);
        run_until_done(&s);
        assert_int_equal(s.race.n_attempts, 1);
        assert_int_equal(s.n_permit, 1);
        assert_attempt(&s, 0, "127.0.0.1", SB_ATTEMPT_FAILED);
        close_scene(&s);
    }
    close_places(&place, 1);
}

static void eight_addresses_of_each_family_are_the_most(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    let_go(SOCKBROKER_IPV6,
           "2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4 2001:db8::5 2001:db8::6 2001:db8::7 2001:db8::8 2001:db8::9", 0);
    let_go(SOCKBROKER_IPV4,
           "192.0.2.1 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8 192.0.2.9", 0);
    s.sort_fails = true; /* nobody is to be called there */
    start_host(&s, "many.test", 80);
    run_until_done(&s);
    assert_int_equal(s.race.n_attempts, SB_RACE_MAX);
    assert_int_equal(s.result.error.status, SOCKBROKER_NO_MEMORY);
    assert_says(s.result.error.text, "sorting failed");
    close_scene(&s);
}

/* ---- who may be connected to ---- */

static void a_forbidden_destination_is_told_and_never_touched(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = LISTENS }, { .ip = "127.0.0.2", .how = LISTENS } };
    uint16_t port = open_places(places, 2);
    struct scene s;

    (void)state;
    open_scene(&s);
    s.forbidden = "127.0.0.1";
    start_places(&s, places, 2, port);
    run_until_done(&s);
    assert_attempt(&s, 0, "127.0.0.1", SB_ATTEMPT_TURNED_AWAY);
    assert_int_equal(s.race.attempts[0].error.status, SOCKBROKER_REFUSED);
    assert_string_equal(s.race.attempts[0].error.text, "rule 127.0.0.1");
    assert_int_equal(s.n_permit, 2);
    assert_connected(&s, &places[1]);
    assert_int_equal(accept_at(&places[0]), -1);
    close_scene(&s);
    close_places(places, 2);
}

static void no_spelling_gets_around_a_rule(void **state)
{
    static const struct {
        const char *host, *forbidden;
        sockbroker_status expected;
    } rows[] = {
        { "127.0.0.1", "127.0.0.1", SOCKBROKER_REFUSED },
        { "::ffff:127.0.0.1", "127.0.0.1", SOCKBROKER_REFUSED },
        { "::ffff:7f00:1", "127.0.0.1", SOCKBROKER_REFUSED },
        { "0.0.0.0", "127.0.0.1", SOCKBROKER_INVALID }, /* the system would connect to this machine */
        { "::", "::1", SOCKBROKER_INVALID },
        { "::ffff:0.0.0.0", "127.0.0.1", SOCKBROKER_INVALID },
    };
    struct place place = { .ip = "127.0.0.1", .how = LISTENS };
    uint16_t port = open_places(&place, 1);

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct scene s;

        open_scene(&s);
        s.forbidden = rows[i].forbidden;
        start_host(&s, rows[i].host, port);
        run_until_done(&s);
        assert_failed(&s, rows[i].expected);
        assert_int_equal(accept_at(&place), -1);
        close_scene(&s);
    }
    close_places(&place, 1);
}

/* ---- sorting ---- */

static void sort_decides_the_order_and_what_cannot_be_reached(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = LISTENS },
                              { .ip = "127.0.0.2", .how = LISTENS },
                              { .ip = "127.0.0.3", .how = REFUSES } };
    uint16_t port = open_places(places, 3);
    struct scene s;

    (void)state;
    open_scene(&s);
    s.sort_reverses = true;
    s.unreachable = "127.0.0.2";
    start_places(&s, places, 3, port);
    run_until_done(&s);
    assert_attempt(&s, 0, "127.0.0.2", SB_ATTEMPT_TURNED_AWAY);
    assert_int_equal(s.race.attempts[0].error.status, SOCKBROKER_ADDRESS_NOT_AVAILABLE);
    assert_says(s.race.attempts[0].error.text, "ip route get 127.0.0.2");
    assert_attempt(&s, 1, "127.0.0.3", SB_ATTEMPT_FAILED);
    assert_attempt(&s, 2, "127.0.0.1", SB_ATTEMPT_WON);
    assert_connected(&s, &places[0]);
    close_scene(&s);
    close_places(places, 3);
}

static void when_nothing_can_be_reached_that_is_told(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    s.unreachable = "192.0.2.1";
    start_host(&s, "192.0.2.1", 80);
    run_until_done(&s);
    assert_failed(&s, SOCKBROKER_ADDRESS_NOT_AVAILABLE);
    close_scene(&s);
}

static void late_addresses_that_cannot_be_sorted_leave_the_others_alone(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = REFUSES }, { .ip = "127.0.0.2", .how = LISTENS } };
    uint16_t port = open_places(places, 2);
    struct scene s;

    (void)state;
    open_scene(&s);
    start_host(&s, "late.test", port);
    let_go(SOCKBROKER_IPV4, "127.0.0.1 127.0.0.2", 0);
    run_until_known(&s, 2);
    s.sort_fails = true;
    let_go(SOCKBROKER_IPV6, "2001:db8::1", 0);
    run_until_done(&s);
    assert_attempt(&s, 0, "2001:db8::1", SB_ATTEMPT_TURNED_AWAY);
    assert_attempt(&s, 2, "127.0.0.2", SB_ATTEMPT_WON);
    assert_connected(&s, &places[1]);
    close_scene(&s);
    close_places(places, 2);
}

/* ---- sources ---- */

static void the_source_asked_for_is_used(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = LISTENS }, { .ip = "::1", .how = LISTENS } };
    struct scene s;

    (void)state;
    NEEDS_IPV6();
    uint16_t port = open_places(places, 2);
    open_scene(&s);
    sockbroker_addr_parse_ip("::ffff:127.0.0.5", &s.request.source, NULL);
    start_places(&s, places, 2, port);
    run_until_done(&s);
    assert_attempt(&s, 0, "::1", SB_ATTEMPT_TURNED_AWAY);
    assert_says(s.race.attempts[0].error.text, "the source is an IPv4 address");
    assert_true(is_ip(&s.race.attempts[1].pair.source, "127.0.0.5"));
    assert_true(is_ip(&s.result.local, "127.0.0.5"));
    assert_int_not_equal(s.result.local.port, 0);
    assert_connected(&s, &places[0]);
    close_scene(&s);
    close_places(places, 2);
}

static void the_source_that_sort_chose_is_bound_when_asked(void **state)
{
    struct place place = { .ip = "127.0.0.1", .how = LISTENS };
    uint16_t port = open_places(&place, 1);

    (void)state;
    for (int bind_source = 0; bind_source <= 1; bind_source++) {
        struct scene s;

        open_scene(&s);
        s.source = "127.0.0.7";
        s.request.bind_source = bind_source;
        start_host(&s, "127.0.0.1", port);
        run_until_done(&s);
        assert_true(is_ip(&s.result.local, bind_source ? "127.0.0.7" : "127.0.0.1"));
        assert_connected(&s, &place);
        close_scene(&s);
    }
    close_places(&place, 1);
}

static void the_source_may_be_of_ipv6(void **state)
{
    struct place place = { .ip = "::1", .how = LISTENS };
    struct scene s;

    (void)state;
    NEEDS_IPV6();
    uint16_t port = open_places(&place, 1);
    open_scene(&s);
    sockbroker_addr_parse_ip("::1", &s.request.source, NULL);
    start_host(&s, "::1", port);
    run_until_done(&s);
    assert_connected(&s, &place);
    close_scene(&s);
    close_places(&place, 1);
}

static void attempts_share_a_source_port(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = HANGS }, { .ip = "127.0.0.2", .how = LISTENS } };
    struct place own = { .ip = "127.0.0.5", .how = REFUSES }; /* keeps the port for this test */
    uint16_t port = open_places(places, 2);
    uint16_t own_port = open_places(&own, 1);
    struct scene s;

    (void)state;
    open_scene(&s);
    sockbroker_addr_parse_ip("127.0.0.5", &s.request.source, NULL);
    s.request.source.port = own_port;
    start_places(&s, places, 2, port);
    run_until_begun(&s, 1);
    pass(&s, 250);
    run_until_done(&s);
    assert_attempt(&s, 0, "127.0.0.1", SB_ATTEMPT_LOST);
    assert_int_equal(s.result.local.port, own_port);
    assert_connected(&s, &places[1]);
    close_scene(&s);
    close_places(places, 2);
    close_places(&own, 1);
}

static void a_source_that_cannot_be_used_is_told(void **state)
{
    struct place place = { .ip = "127.0.0.1", .how = LISTENS };
    uint16_t port = open_places(&place, 1);
    struct scene s;

    (void)state;
    open_scene(&s); /* not of this machine */
    sockbroker_addr_parse_ip("192.0.2.1", &s.request.source, NULL);
    start_host(&s, "127.0.0.1", port);
    run_until_done(&s);
    assert_failed(&s, SOCKBROKER_ADDRESS_NOT_AVAILABLE);
    assert_says(s.result.error.text, "bind to the source 192.0.2.1:0: EADDRNOTAVAIL");
    close_scene(&s);

    open_scene(&s); /* somebody listens there */
    sockbroker_addr_parse_ip("127.0.0.1", &s.request.source, NULL);
    s.request.source.port = port;
    start_host(&s, "127.0.0.1", port);
    run_until_done(&s);
    assert_failed(&s, SOCKBROKER_ADDRESS_IN_USE);
    assert_says(s.result.error.text, "Use source port 0");
    close_scene(&s);
    close_places(&place, 1);
}

static void a_connection_to_itself_is_none(void **state)
{
    struct place own = { .ip = "127.0.0.1", .how = REFUSES };
    uint16_t port = open_places(&own, 1);
    struct scene s;

    (void)state;
    open_scene(&s);
    sockbroker_addr_parse_ip("127.0.0.1", &s.request.source, NULL);
    s.request.source.port = port;
    start_host(&s, "127.0.0.1", port);
    run_until_done(&s);
    assert_failed(&s, SOCKBROKER_SYSTEM);
    assert_says(s.result.error.text, "it met itself");
    assert_int_equal(s.result.error.os_code, ECONNREFUSED);
    close_scene(&s);
    close_places(&own, 1);
}

/* ---- requests that are refused ---- */

struct bad_request {
    const char *host;
    size_t n_addresses;
    unsigned port;
    uint32_t deadline_ms;
    uint32_t attempt_delay_ms;
    const char *says;
};

#define FILL_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct bad_request bad_requests[] = {
    { "", 0, 80, 1000, 250, "host: it is empty" },
    { "a.test", 0, 0, 1000, 250, "port: it is 0" },
    { "a.test", 1, 80, 1000, 250, "1 addresses and a host" },
    { "", SB_RACE_MAX + 1, 80, 1000, 250, "17 addresses" },
    { "a.test", 0, 80, 0, 250, "deadline: 0 ms" },
    { "a.test", 0, 80, 1000, 9, "attempt delay: 9 ms" },
    { "a b", 0, 80, 1000, 250, "neither an address nor a name" },
    { "a/b", 0, 80, 1000, 250, "neither an address nor a name" },
    { "\xc3\xa4.test", 0, 80, 1000, 250, "xn--" },
    { "[::1]", 0, 80, 1000, 250, "[::1]" },
    { "::1%nosuchinterface", 0, 80, 1000, 250, "::1%nosuchinterface" },
    { "127.1", 0, 80, 1000, 250, "four decimal numbers" },
    { "127.0.0.01", 0, 80, 1000, 250, "four decimal numbers" },
    { "2130706433", 0, 80, 1000, 250, "four decimal numbers" },
    { "0x7f000001", 0, 80, 1000, 250, "four decimal numbers" },
    { "a.0X7F", 0, 80, 1000, 250, "four decimal numbers" },
    { "127.0.0.1.", 0, 80, 1000, 250, "four decimal numbers" },
    { "a..test", 0, 80, 1000, 250, "between two dots" },
    { ".test", 0, 80, 1000, 250, "between two dots" },
    { ".", 0, 80, 1000, 250, "between two dots" },
    { FILL_64 ".test", 0, 80, 1000, 250, "between two dots" },
    { NULL, 0, 80, 1000, 250, "host: it is too long" }, /* no NUL in it */
};

static void wrong_requests_are_refused_before_anything_is_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(bad_requests); i++) {
        const struct bad_request *row = &bad_requests[i];
        struct sb_connect_calls calls = { permit, done, NULL };
        struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
        struct scene s;

        open_scene(&s);
        memset(s.request.host, 'a', sizeof(s.request.host));
        if (row->host)
            format_text(s.request.host, sizeof(s.request.host), "%s", row->host);
        s.request.n_addresses = row->n_addresses;
        s.request.port = (uint16_t)row->port;
        s.request.race.deadline_ms = row->deadline_ms;
        s.request.race.attempt_delay_ms = row->attempt_delay_ms;
        assert_status(SOCKBROKER_INVALID, sb_connect_start(&s.connector, &s.request, &calls, &s.connect, &error));
        assert_status(SOCKBROKER_INVALID, error.status);
        assert_says(error.text, row->says);
        assert_null(s.connect);
        assert_int_equal(count_questions(), 0);
        close_scene(&s);
    }
}

static void names_are_taken_as_they_are_written(void **state)
{
    static const char *const good[] = { "localhost", "a.test", "a.test.", "xn--4ca.test", "_x.a-b.test", "4.a", "0x7g", "1a" };
    struct sockbroker_error error;

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(good); i++)
        assert_status(SOCKBROKER_OK, sb_lookup_check_host(good[i], &error));
}

/* ---- shortages ---- */

static void without_descriptors_it_fails_with_the_cure(void **state)
{
    struct place places[] = { { .ip = "127.0.0.1", .how = LISTENS }, { .ip = "127.0.0.2", .how = LISTENS } };
    uint16_t port = open_places(places, 2);
    struct rlimit limit, low;
    struct scene s;

    (void)state;
    open_scene(&s);
    start_places(&s, places, 2, port);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &low);
    run_until_done(&s);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_failed(&s, SOCKBROKER_NO_DESCRIPTORS);
    assert_int_equal(s.result.error.os_code, EMFILE);
    assert_says(s.result.error.text, "ulimit -n");
    assert_attempt(&s, 1, "127.0.0.2", SB_ATTEMPT_FAILED);
    close_scene(&s);
    close_places(places, 2);
}

#ifdef SB_FAILPOINTS
struct shortage {
    const char *rule;
    sockbroker_status at_start, at_end;
    const char *says;
};

static void run_short(void *arg)
{
    const struct shortage *row = arg;
    struct sb_connect_calls calls;
    struct sockbroker_error error = { SOCKBROKER_OK, 0, "" };
    struct scene s;

    setenv("SOCKBROKER_FAILPOINTS", row->rule, 1);
    open_scene(&s);
    calls = (struct sb_connect_calls){ permit, done, &s };
    let_go(SOCKBROKER_IPV6, NULL, EAI_NONAME);
    let_go(SOCKBROKER_IPV4, "127.0.0.1", 0);
    format_text(s.request.host, sizeof(s.request.host), "a.test");
    s.request.port = 9;
    UNIT_REQUIRE(sb_connect_start(&s.connector, &s.request, &calls, &s.connect, &error) == row->at_start);
    while (!row->at_start && !s.n_done)
        uv_run(&s.loop, UV_RUN_ONCE);
    if (!row->at_start)
        error = s.result.error;
    UNIT_REQUIRE(error.status == (row->at_start ? row->at_start : row->at_end));
    UNIT_REQUIRE(strstr(error.text, row->says) != NULL);
    sb_connector_deinit(&s.connector);
    UNIT_REQUIRE(uv_run(&s.loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&s.loop) == 0);
}

static void every_shortage_ends_in_an_error(void **state)
{
    static const struct shortage rows[] = {
        { "connect_memory=ENOMEM", SOCKBROKER_NO_MEMORY, SOCKBROKER_OK, "no memory" },
        { "lookup_memory=ENOMEM", SOCKBROKER_NO_MEMORY, SOCKBROKER_OK, "a.test" },
        { "lookup_memory=ENOMEM@1", SOCKBROKER_NO_MEMORY, SOCKBROKER_OK, "a.test" }, /* the first is asked already */
        { "dial_socket=ENFILE", SOCKBROKER_OK, SOCKBROKER_NO_DESCRIPTORS, "ENFILE" },
        { "dial_socket=ENOBUFS", SOCKBROKER_OK, SOCKBROKER_NO_MEMORY, "ENOBUFS" },
        { "dial_socket=EAFNOSUPPORT", SOCKBROKER_OK, SOCKBROKER_UNSUPPORTED, "use the other one" },
        { "dial_socket=EPERM", SOCKBROKER_OK, SOCKBROKER_PERMISSION, "firewall" },
    };

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++)
        assert_child_succeeds(run_short, (void *)(uintptr_t)&rows[i]);
}
#else
static void every_shortage_ends_in_an_error(void **state)
{
    (void)state;
    skip();
}
#endif

/* ---- who asked is gone ---- */

static struct place hanging[] = { { .ip = "127.0.0.1", .how = HANGS }, { .ip = "127.0.0.2", .how = HANGS } };

static void before_the_loop_ran(struct scene *s, uint16_t port)
{
    start_places(s, hanging, 2, port);
}

static void before_the_loop_ran_for_a_name(struct scene *s, uint16_t port)
{
    start_host(s, "a.test", port);
}

static void while_the_resolver_works(struct scene *s, uint16_t port)
{
    start_host(s, "a.test", port);
    await_question(SOCKBROKER_IPV6);
    await_question(SOCKBROKER_IPV4);
    uv_run(&s->loop, UV_RUN_NOWAIT);
}

static void within_the_resolution_delay(struct scene *s, uint16_t port)
{
    start_host(s, "a.test", port);
    let_go(SOCKBROKER_IPV4, "127.0.0.1", 0);
    run_until_known(s, 1);
}

static void while_ipv6_is_still_looked_up(struct scene *s, uint16_t port)
{
    within_the_resolution_delay(s, port);
    pass(s, 50);
    run_until_begun(s, 1);
}

static void while_one_attempt_runs(struct scene *s, uint16_t port)
{
    start_places(s, hanging, 2, port);
    run_until_begun(s, 1);
}

static void while_two_attempts_run(struct scene *s, uint16_t port)
{
    while_one_attempt_runs(s, port);
    pass(s, 250);
    run_until_begun(s, 2);
}

static void when_it_is_lost_and_nobody_was_told(struct scene *s, uint16_t port)
{
    s->forbidden = "127.0.0.1";
    start_host(s, "127.0.0.1", port);
}

static void a_request_can_be_cancelled_at_any_step(void **state)
{
    static void (*const steps[])(struct scene *, uint16_t) = {
        before_the_loop_ran,         before_the_loop_ran_for_a_name,      while_the_resolver_works,
        within_the_resolution_delay, while_ipv6_is_still_looked_up,       while_one_attempt_runs,
        while_two_attempts_run,      when_it_is_lost_and_nobody_was_told,
    };
    uint16_t port = open_places(hanging, 2);

    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(steps); i++) {
        for (int all = 0; all <= 1; all++) { /* by itself, or because the broker ends */
            struct scene s;
            int n_before;

            open_scene(&s);
            n_before = unit_count_descriptors();
            steps[i](&s, port);
            if (all)
                sb_connector_deinit(&s.connector);
            else
                sb_connect_cancel(s.connect);
            assert_int_equal(unit_count_descriptors(), n_before); /* at once, not when the loop runs */
            let_go(SOCKBROKER_IPV6, "::1", 0);
            let_go(SOCKBROKER_IPV4, "127.0.0.1", 0);
            close_scene(&s);
            assert_int_equal(s.n_done, 0);
        }
    }
    close_places(hanging, 2);
}

static void a_question_that_still_queues_is_never_asked(void **state)
{
    struct scene first, second;

    (void)state;
    open_scene(&first);
    open_scene(&second); /* libuv lets two of its four threads ask */
    start_host(&first, "a.test", 80);
    await_question(SOCKBROKER_IPV6);
    await_question(SOCKBROKER_IPV4);
    start_host(&second, "b.test", 80);
    sb_connect_cancel(second.connect);
    close_scene(&second); /* ends although nobody has answered */
    assert_int_equal(count_questions(), 2);
    let_go(SOCKBROKER_IPV6, NULL, EAI_NONAME);
    let_go(SOCKBROKER_IPV4, NULL, EAI_NONAME);
    run_until_done(&first);
    assert_failed(&first, SOCKBROKER_NOT_FOUND);
    assert_int_equal(count_questions(), 2);
    close_scene(&first);
}

static void requests_do_not_touch_each_other(void **state)
{
    enum { N = 8 };
    struct place places[] = { { .ip = "127.0.0.1", .how = LISTENS }, { .ip = "127.0.0.2", .how = REFUSES } };
    uint16_t port = open_places(places, 2);
    struct scene s, others[N];

    (void)state;
    open_scene(&s);
    for (size_t i = 0; i < N; i++) {
        others[i] = s; /* the same loop and connector, by calls of their own */
        format_text(others[i].request.host, sizeof(others[i].request.host), "%s", places[i % 2].ip);
        others[i].request.port = port;
        struct sb_connect_calls calls = { permit, done, &others[i] };
        assert_status(SOCKBROKER_OK, sb_connect_start(&s.connector, &others[i].request, &calls, &others[i].connect, NULL));
    }
    sb_connect_cancel(others[2].connect);
    sb_connect_cancel(others[3].connect);
    assert_int_equal(uv_run(&s.loop, UV_RUN_DEFAULT), 0); /* ends when all have */
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(others[i].n_done, i != 2 && i != 3);
        assert_int_equal(others[i].sock >= 0, i % 2 == 0 && i != 2);
        sb_socket_close(&others[i].sock);
    }
    close_scene(&s);
    close_places(places, 2);
}

/* libuv keeps a few descriptors for itself from its first loop on. */
static void warm_up(void)
{
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static int prepare(void **state)
{
    (void)state;
    setenv("UV_THREADPOOL_SIZE", "4", 1); /* half of them may ask the resolver */
    warm_up();
    return 0;
}

/* Shortages first: their children must not be born with threads of the pool, nor with rules that were read already. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_shortage_ends_in_an_error),
        UNIT_TEST(an_address_is_connected_to_without_a_resolver),
        UNIT_TEST(a_socket_that_nobody_takes_is_reset),
        UNIT_TEST(a_refused_connection_names_address_cause_and_cure),
        UNIT_TEST(no_way_there_is_told),
        UNIT_TEST(a_refused_port_passes_the_turn_at_once),
        UNIT_TEST(a_black_hole_is_overtaken_by_the_other_family),
        UNIT_TEST(the_loop_wakes_by_itself_when_the_delay_is_over),
        UNIT_TEST(who_connects_second_is_reset),
        UNIT_TEST(sixteen_that_fail_are_all_told),
        UNIT_TEST(the_deadline_ends_it),
        UNIT_TEST(ipv6_is_first_when_both_are_known),
        UNIT_TEST(ipv4_goes_on_without_ipv6_after_the_resolution_delay),
        UNIT_TEST(late_ipv6_joins_the_race),
        UNIT_TEST(a_name_that_cannot_be_resolved_tells_why),
        UNIT_TEST(one_family_is_enough),
        UNIT_TEST(the_deadline_does_not_wait_for_the_resolver),
        UNIT_TEST(what_comes_twice_or_mapped_is_judged_and_tried_once),
        UNIT_TEST(eight_addresses_of_each_family_are_the_most),
        UNIT_TEST(a_forbidden_destination_is_told_and_never_touched),
        UNIT_TEST(no_spelling_gets_around_a_rule),
        UNIT_TEST(sort_decides_the_order_and_what_cannot_be_reached),
        UNIT_TEST(when_nothing_can_be_reached_that_is_told),
        UNIT_TEST(late_addresses_that_cannot_be_sorted_leave_the_others_alone),
        UNIT_TEST(the_source_asked_for_is_used),
        UNIT_TEST(the_source_that_sort_chose_is_bound_when_asked),
        UNIT_TEST(the_source_may_be_of_ipv6),
        UNIT_TEST(attempts_share_a_source_port),
        UNIT_TEST(a_source_that_cannot_be_used_is_told),
        UNIT_TEST(a_connection_to_itself_is_none),
        UNIT_TEST(wrong_requests_are_refused_before_anything_is_asked),
        UNIT_TEST(names_are_taken_as_they_are_written),
        UNIT_TEST(without_descriptors_it_fails_with_the_cure),
        UNIT_TEST(a_request_can_be_cancelled_at_any_step),
        UNIT_TEST(a_question_that_still_queues_is_never_asked),
        UNIT_TEST(requests_do_not_touch_each_other),
    };

    return cmocka_run_group_tests_name("connector", tests, prepare, NULL);
}
