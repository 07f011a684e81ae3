/* config.h: what the operator asked for, checked.
 *
 * The file and the command line say the same things: both go through sb_config_set_global() and sb_config_set_endpoint()
 * with the same keys, listed once in config_keys.c. Reading binds nothing and touches no running socket.
 */
#ifndef SB_BROKER_CONFIG_H
#define SB_BROKER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"
#include "sockbroker/select.h"

enum sb_family_choice {
    SB_FAMILY_DUAL = 1, /* [::] takes both families; any other address is its own family */
    SB_FAMILY_SPLIT,    /* one socket for each family behind one name */
    SB_FAMILY_IPV4,
    SB_FAMILY_IPV6, /* IPV6_V6ONLY = 1 */
};

enum sb_mode {
    SB_MODE_HANDOFF = 1, /* the broker accepts */
    SB_MODE_SHARE,       /* workers do, on one socket that all of them have */
    SB_MODE_SHARD,       /* workers do, each on its own of a group */
};

enum sb_protocol {
    SB_PROTOCOL_TCP = 1,
    SB_PROTOCOL_UDP, /* share and shard only */
};

enum sb_policy {
    SB_POLICY_ROUND_ROBIN = 1,
    SB_POLICY_LEAST_CONNECTIONS,
    SB_POLICY_LEAST_PENDING,
    SB_POLICY_SOURCE_HASH,
};

enum sb_overload {
    SB_OVERLOAD_HOLD = 1, /* leave them in the kernel's queue */
    SB_OVERLOAD_REFUSE,   /* take and reset them */
};

/* Who holds the sockets when the broker is gone. */
enum sb_keeping {
    SB_KEEPING_NONE = 1,
    SB_KEEPING_KEEPER,  /* a parent process, which starts the next broker too */
    SB_KEEPING_SYSTEMD, /* the descriptor store of the service manager */
};

/* The numbers of syslog(3). */
enum sb_log_level {
    SB_LOG_ERROR = 3,
    SB_LOG_WARNING = 4,
    SB_LOG_NOTICE = 5,
    SB_LOG_INFO = 6,
    SB_LOG_DEBUG = 7,
};

#define SB_ENDPOINTS_MAX 1024u  /* in one configuration */
#define SB_LIST_ITEMS_MAX 4096u /* in one list of ids or prefixes: each is looked at in turn */

/* A list of uids or gids that may attach. Empty uid and gid lists: the broker's own uid, and root. */
struct sb_id_list {
    uint32_t *ids;
    size_t n;
};

struct sb_prefix_list {
    struct sockbroker_prefix *prefixes;
    size_t n;
};

/* Destinations of outbound connections: a prefix and ports. */
struct sb_destination_rule {
    struct sockbroker_prefix prefix;
    uint16_t first_port, last_port;
};

struct sb_destination_list {
    struct sb_destination_rule *rules;
    size_t n;
};

struct sb_policy_list {
    struct sockbroker_policy *policies; /* of address selection, RFC 6724 */
    size_t n;
};

/* Texts as they were given. */
struct sb_text_list {
    char **texts;
    size_t n;
};

#define SB_SLOTS_MAX SB_GROUP_WORKERS_MAX /* of one group and generation */
#define SB_GROUP_NAME_MAX 40u             /* a worker is called GROUP-GENERATION-SLOT, which must be a name too */
#define SB_KEY_UNSET UINT32_MAX

/* Workers that the broker starts itself. A number that was not set is that of the top level. */
struct sb_group_config {
    char name[SOCKBROKER_NAME_MAX + 1];
    struct sb_text_list command;   /* the program, looked for in PATH, and its arguments */
    struct sb_text_list env;       /* NAME=VALUE, on top of the broker's environment */
    struct sb_text_list endpoints; /* what they serve; none: every endpoint */
    struct sb_account *user;       /* NULL: the broker's own */
    uint32_t spawn;                /* 0..1024, default 1: how many */
    uint32_t ready_ms;             /* 100..3600000, default 30000: from the start until attached and ready */
    uint32_t drain_ms;         /* 0..3600000, default the broker's: how long those that shall leave may finish what they have */
    uint32_t term_ms;          /* 0..3600000, default 10000: from TERM to KILL */
    uint32_t restart_delay_ms; /* 10..60000, default 200: the first; doubled up to 32 times that, each jittered */
    uint32_t restart_max;      /* 0..100, default 10: so many restarts of one worker ... */
    uint32_t restart_window_ms; /* 1000..3600000, default 60000: ... within that time; then it is given up */
};

struct sb_endpoint_config {
    char name[SOCKBROKER_NAME_MAX + 1];
    struct sockbroker_addr addresses[SB_ADDRESSES_PER_ENDPOINT_MAX]; /* as written; "[::]:80" is IPv6 also when dual */
    size_t n_addresses;
    enum sb_family_choice family; /* default dual */
    enum sb_protocol protocol;    /* default tcp */
    enum sb_mode mode;            /* default handoff */
    uint32_t slots;               /* 1..256, default 16: of a shard, most workers that have a socket at once */
    uint32_t receive_buffer;      /* 0..67108864, default 0: of a UDP socket in bytes; 0: the system's default */
    enum sb_policy policy;        /* default round-robin */
    enum sb_carrier carrier;      /* default direct, on Windows message */
    uint32_t window;              /* 1..1024, default 16: unacked leases for each worker */
    uint32_t backlog;             /* 1..65535, default 4096: length of the kernel's queue */
    bool blocking;                /* default true: sockets are handed over in blocking mode */
    enum sb_overload overload;    /* default hold */
    uint32_t hold_ms;             /* 0..3600000, default 30000: how long without any worker before overload acts */
    uint32_t hold_max;            /* 0..100000, default 1024: most connections held in the broker */
    uint32_t withdraw_after_ms;   /* 10..3600000, default 1000: unread that long, a connection goes to another worker */
    uint32_t ack_timeout_ms;      /* 100..3600000, default 10000 (Windows: 15000): taken and not acked that long, the worker is
                                     drained,      and killed after as long again (see kill_stuck) */
    bool kill_stuck;              /* default true */
    bool drain_older;             /* default false: a worker that the broker did not start itself and that becomes ready
                                     drains those of a lower generation */
    struct sb_id_list allow_uid;
    struct sb_id_list allow_gid;
    struct sb_prefix_list allow;    /* clients; empty: everybody who is not denied */
    struct sb_prefix_list deny;     /* clients; looked at first */
    struct sb_group_config workers; /* a group of the endpoint's own, called as it is; command, env, user, spawn only */
};

struct sb_config {
    char dir[256];                 /* runtime directory; "" = the system's default */
    uint32_t dir_mode;             /* 0700, 0710, 0750, 0711, 0755; default 0700 */
    uint32_t drain_ms;             /* 0..3600000, default 30000: how long SIGTERM waits for leases to end */
    uint32_t attach_ms;            /* 100..60000, default 5000: a caller that has not attached by then is dropped */
    uint32_t heartbeat_ms;         /* 100..3600000, default 5000: a worker silent for three of these gets nothing new */
    uint32_t max_sessions;         /* 1..100000, default 4096 */
    uint32_t max_sessions_per_uid; /* 1..100000, default 4096; root and the broker's own uid are not limited */
    uint32_t max_deposits;         /* 0..100000, default 1024: sockets that workers leave here */
    uint32_t max_connections;      /* 0..10000000; 0 (default) = from the descriptor limit; most connections held at once */
    enum sb_keeping keeper;        /* default yes, on Windows no */
    uint32_t keeper_restarts;      /* 0..100, default 10: a broker that dies more often within the next is not started again */
    uint32_t keeper_window_ms;     /* 100..3600000, default 60000 */
    uint32_t messages_per_second;  /* 10..1000000, default 1000: control messages of one caller; more are delayed/refused */
    struct sb_destination_list connect_allow; /* where workers may have connections made; empty: everywhere for the broker's own
                                                 user and root, nowhere for others */
    struct sb_destination_list connect_deny;  /* looked at first */
    struct sb_id_list connect_uid;            /* other users whose workers may ask, within connect_allow; default none */
    struct sb_policy_list address_policy;     /* "PREFIX PRECEDENCE LABEL" each; empty: the default table of RFC 6724 */
    enum sb_log_level log_level;              /* default info */
    struct sb_endpoint_config *endpoints;
    size_t n_endpoints;
    struct sb_group_config workers; /* a group for every endpoint, called "workers"; and the numbers of all groups */
    struct sb_group_config *groups;
    size_t n_groups;
};

/* All defaults, no endpoint. */
void sb_config_init(struct sb_config *config);
void sb_config_deinit(struct sb_config *config);

/* Reads a file (syntax: libconfuse; keys as above, `endpoint NAME { ... }` blocks) on top of `config`.
 * OK; INVALID with "FILE:LINE: ..." in error; NOT_FOUND, PERMISSION, NO_MEMORY, SYSTEM. On failure `config` may hold a part:
 * deinit it. A directory, a fifo, a file of more than 1 MiB or one with a missing last brace is INVALID. Nothing is
 * included or expanded: no include(), no ${VARIABLE}, no ~. For one thread at a time (libconfuse has global state). */
sockbroker_status sb_config_read_file(struct sb_config *config, const char *path, struct sockbroker_error *error_out);

/* "web=[::]:8080+192.0.2.1:80,policy=least-connections,allow=10.0.0.0/8+::1/128" from the command line. Replaces an
 * endpoint of the same name that came from the file. */
sockbroker_status sb_config_add_endpoint(struct sb_config *config, const char *text, struct sockbroker_error *error_out);

/* "connect_allow=10.0.0.0/8:443+[2001:db8::/32]:443" from the command line: one key of the whole broker; "+" joins the items of
 * a list. OK, INVALID, NO_MEMORY. */
sockbroker_status sb_config_add_setting(struct sb_config *config, const char *text, struct sockbroker_error *error_out);
/* After all has been read: makes groups of the commands at the top level and in endpoints, and gives each group the numbers
 * that it does not set. OK, INVALID (spawn without a command), NO_MEMORY. */
sockbroker_status sb_config_complete(struct sb_config *config, struct sockbroker_error *error_out);

/* One key. values are the items of a list; a scalar has exactly one. OK, INVALID, NO_MEMORY. The error text begins with the
 * key. */
sockbroker_status sb_config_set_global(struct sb_config *config, const char *key, const char *const *values, size_t n_values,
                                       struct sockbroker_error *error_out);
sockbroker_status sb_config_set_endpoint(struct sb_endpoint_config *endpoint, const char *key, const char *const *values,
                                         size_t n_values, struct sockbroker_error *error_out);

/* Rules between keys and endpoints: at least one endpoint, each with an address; names unique; the same address and port
 * not twice (a wildcard takes every address of its family, a dual or split one of both families); an IPv4 address with
 * family=ipv6 and the reverse, a mapped address anywhere, and addresses no listener can have (multicast, link-local
 * without a zone, ...) are refused with what to write instead. Groups: a command, endpoints that are there and admit its user,
 * names unique and short enough. */
sockbroker_status sb_config_check(const struct sb_config *config, struct sockbroker_error *error_out);

/* address_policy alone: empty, or a table that sockbroker_policy_check() takes. sb_config_check() looks at it too. */
sockbroker_status sb_config_check_policy(const struct sb_config *config, struct sockbroker_error *error_out);

const struct sb_endpoint_config *sb_config_find(const struct sb_config *config, const char *name);

/* All defaults, no name, no address. */
void sb_endpoint_config_init(struct sb_endpoint_config *endpoint);

/* A copy that shares nothing. OK, NO_MEMORY. */
sockbroker_status sb_endpoint_config_copy(const struct sb_endpoint_config *from, struct sb_endpoint_config *to_out);
void sb_endpoint_config_deinit(struct sb_endpoint_config *endpoint);

/* All unset, no name. */
void sb_group_config_init(struct sb_group_config *group);
void sb_group_config_deinit(struct sb_group_config *group);

/* A copy that shares nothing. OK, NO_MEMORY. */
sockbroker_status sb_group_config_copy(const struct sb_group_config *from, struct sb_group_config *to_out);

const struct sb_group_config *sb_config_find_group(const struct sb_config *config, const char *name);

bool sb_id_list_has(const struct sb_id_list *list, uint32_t id);

/* May this user's processes serve it? */
bool sb_endpoint_config_admits(const struct sb_endpoint_config *endpoint, uint32_t uid, uint32_t gid);

/* All users that are admitted anywhere, some of them oftener than once; ids for free(). OK, NO_MEMORY. */
sockbroker_status sb_config_list_users(const struct sb_config *config, struct sb_id_list *users_out);

/* Do both ask for the same listening sockets (addresses, family, backlog aside)? Everything else can change in place. */
bool sb_endpoint_config_same_sockets(const struct sb_endpoint_config *a, const struct sb_endpoint_config *b);

/* The words used in files and in status: "dual", "handoff", "least-connections", "direct", "hold", "info". */
const char *sb_family_choice_name(enum sb_family_choice family);
const char *sb_mode_name(enum sb_mode mode);
const char *sb_protocol_name(enum sb_protocol protocol);
const char *sb_policy_name(enum sb_policy policy);
const char *sb_carrier_name(enum sb_carrier carrier);
const char *sb_overload_name(enum sb_overload overload);
const char *sb_keeping_name(enum sb_keeping keeping);
const char *sb_log_level_name(enum sb_log_level level);

#endif
