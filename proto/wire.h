/* wire.h: the messages as plain C structs, packed and unpacked with every rule of sockbroker.proto checked.
 *
 * wire_*.c know protobuf-c; nobody else does. Nothing here does I/O or allocates from the heap: packing writes into the
 * caller's buffer, unpacking works in a bounded arena, so a hostile message can cost no more memory than that.
 * Unpacking gives OK or BAD_MESSAGE (error says which field and why; outputs untouched). Packing gives OK, or INVALID
 * when a struct breaks its own rules (a bug of ours, found by tests) or the buffer is too small.
 * Foreign bytes: unknown fields are ignored and of two values the last counts, as protobuf says; refused beyond its
 * rules are a second member of a oneof, a NUL in a text and a number cut to 32 bits.
 * What a struct does not say (text after its NUL, protocol_info after its length, lists after their count, the other
 * members of a union) is neither read nor written.
 */
#ifndef SB_PROTO_WIRE_H
#define SB_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockbroker/socket.h"

#define SB_PROTOCOL_VERSION 1u

#define SB_MESSAGE_MAX 16384u     /* control message, packed */
#define SB_PACKET_MAX 2048u       /* packet of the pair or the handoff socket, packed */
#define SB_SECRET_LEN 32u         /* 256 bits: secrets and tokens */
#define SB_PROTOCOL_INFO_MAX 628u /* sizeof(WSAPROTOCOL_INFOW) */
#define SB_ENDPOINTS_PER_WORKER_MAX 32u
#define SB_ADDRESSES_PER_ENDPOINT_MAX 16u
#define SB_WEIGHT_MAX 1000u
#define SB_WINDOW_MAX 1024u
#define SB_RESULTS_MAX 64u
#define SB_HANDOFFS_MAX 12u
#define SB_HISTOGRAM_BUCKETS 8u
#define SB_PAGE_ENDPOINTS 4u /* with every field at its longest a page stays below SB_MESSAGE_MAX */
#define SB_PAGE_SESSIONS 4u
#define SB_FAILURE_TEXT_MAX 383u
#define SB_HOST_MAX 255u
#define SB_DESTINATIONS_MAX 16u
#define SB_STATE_MAX 65536u /* state blob of a deposit */
#define SB_CHUNK_MAX 8192u  /* of it in one message */
#define SB_ALLOW_UIDS_MAX 8u
#define SB_LIFETIME_MS_MAX 86400000u
#define SB_CONNECT_MS_MAX 600000u
#define SB_ATTEMPT_TEXT_MAX 95u
#define SB_PAGE_DEPOSITS 4u
#define SB_GROUP_WORKERS_MAX 1024u
#define SB_COMMAND_TEXT_MAX 255u
#define SB_OUTCOME_TEXT_MAX 1023u
#define SB_PAGE_GROUPS 4u
#define SB_PAGE_GENERATIONS 8u
#define SB_PAGE_SLOTS 16u
#define SB_BINARY_MAX 1023u
#define SB_UPGRADE_MS_MIN 100u
#define SB_UPGRADE_MS_MAX 600000u
#define SB_WORD_MAX 23u /* states, modes, policies in status messages */

enum sb_verdict {
    SB_VERDICT_ACK = 1,
    SB_VERDICT_NACK_DESCRIPTORS = 2,
    SB_VERDICT_NACK_MISSING = 3,
    SB_VERDICT_NACK_UNUSABLE = 4,
    SB_VERDICT_FINISHED = 5,
};

enum sb_carrier {
    SB_CARRIER_DIRECT = 1,
    SB_CARRIER_MESSAGE = 2,
};

/* A public socket_info and what only the transfer needs. */
struct sb_record {
    struct sockbroker_socket_info info;
    uint32_t protocol_info_layout; /* 0 on POSIX */
    uint32_t protocol_info_len;    /* 0 on POSIX */
    uint8_t protocol_info[SB_PROTOCOL_INFO_MAX];
};

struct sb_session_key {
    uint64_t id; /* not 0 */
    uint8_t secret[SB_SECRET_LEN];
};

struct sb_result {
    uint64_t lease_id;
    enum sb_verdict verdict;
};

/* ---- control: requests ---- */

struct sb_attach {
    uint32_t version_min;
    uint32_t version_max;
    char name[SOCKBROKER_NAME_MAX + 1];
    uint64_t generation;
    uint32_t weight;
    uint32_t window; /* 0 = the endpoint's own */
    uint32_t n_endpoints;
    char endpoints[SB_ENDPOINTS_PER_WORKER_MAX][SOCKBROKER_NAME_MAX + 1];
    uint64_t n_open;
    bool has_resume;
    struct sb_session_key resume;
};

struct sb_next {
    struct sb_session_key session;
    uint64_t n_told;
};

struct sb_settle {
    struct sb_session_key session;
    uint32_t n_results;
    struct sb_result results[SB_RESULTS_MAX];
};

struct sb_status_request {
    uint32_t first_endpoint;
    uint32_t first_session;
    uint32_t first_deposit;
};

struct sb_share {
    struct sb_session_key session;
    char endpoint[SOCKBROKER_NAME_MAX + 1];
    uint32_t index;
};

struct sb_connect_message {
    struct sb_session_key session;
    char host[SB_HOST_MAX + 1]; /* "": addresses */
    uint32_t n_addresses;
    struct sockbroker_addr addresses[SB_DESTINATIONS_MAX];
    uint32_t port;
    uint32_t deadline_ms;
    struct sockbroker_addr source; /* FAMILY_NONE: the system chooses */
};

struct sb_deposit {
    struct sb_session_key session;
    char name[SOCKBROKER_NAME_MAX + 1];
    uint32_t lifetime_ms;
    uint32_t state_len;
    uint32_t n_allow_uids;
    uint32_t allow_uids[SB_ALLOW_UIDS_MAX];
};

struct sb_deposit_state {
    struct sb_session_key session;
    uint64_t grant_id;
    uint32_t offset;
    uint32_t chunk_len;
    uint8_t chunk[SB_CHUNK_MAX];
};

struct sb_withdraw {
    struct sb_session_key session;
    char name[SOCKBROKER_NAME_MAX + 1];
};

struct sb_read_state {
    struct sb_session_key session;
    uint64_t grant_id;
    uint32_t offset;
};

struct sb_hello {
    uint64_t session_id;
    uint8_t token[SB_SECRET_LEN];
    bool ring;
    uint64_t grant_id; /* 0: the token is that of the Attached */
};

struct sb_hand {
    struct sb_hello hello;
    uint32_t protocol_info_layout;
    uint32_t protocol_info_len; /* 0: nothing is left here */
    uint8_t protocol_info[SB_PROTOCOL_INFO_MAX];
};

struct sb_drain {
    char worker[SOCKBROKER_NAME_MAX + 1]; /* "" with by_generation */
    bool by_generation;
    uint64_t generation;
    bool wait;
};

struct sb_reload {
    char group[SOCKBROKER_NAME_MAX + 1]; /* "": every group */
};

struct sb_scale {
    char group[SOCKBROKER_NAME_MAX + 1];
    uint32_t wanted;
};

struct sb_pause {
    char endpoint[SOCKBROKER_NAME_MAX + 1];
    bool paused;
};

struct sb_groups_request {
    uint32_t first_group;
    uint32_t first_generation;
    uint32_t first_slot;
};

/* The numbers of the fields in Request. */
struct sb_upgrade {
    char binary[SB_BINARY_MAX + 1]; /* "": the file that the broker was started from */
    uint32_t timeout_ms;            /* 0: the default */
};

enum sb_request_kind {
    SB_REQUEST_ATTACH = 1,
    SB_REQUEST_NEXT,
    SB_REQUEST_SETTLE,
    SB_REQUEST_DETACH,
    SB_REQUEST_STATUS,
    SB_REQUEST_DRAIN,
    SB_REQUEST_SHARE,
    SB_REQUEST_CONNECT,
    SB_REQUEST_DEPOSIT,
    SB_REQUEST_DEPOSIT_STATE,
    SB_REQUEST_WITHDRAW,
    SB_REQUEST_READ_STATE,
    SB_REQUEST_HAND,
    SB_REQUEST_RELOAD = 20,
    SB_REQUEST_SCALE,
    SB_REQUEST_PAUSE,
    SB_REQUEST_GROUPS,
    SB_REQUEST_UPGRADE = 30,
};

struct sb_request {
    enum sb_request_kind kind;
    union {
        struct sb_attach attach;
        struct sb_next next;
        struct sb_settle settle;
        struct sb_session_key detach;
        struct sb_status_request status;
        struct sb_drain drain;
        struct sb_share share;
        struct sb_connect_message connect;
        struct sb_deposit deposit;
        struct sb_deposit_state deposit_state;
        struct sb_withdraw withdraw;
        struct sb_read_state read_state;
        struct sb_hand hand;
        struct sb_reload reload;
        struct sb_scale scale;
        struct sb_pause pause;
        struct sb_groups_request groups;
        struct sb_upgrade upgrade;
    } as;
};

/* ---- control: replies ---- */

struct sb_failure {
    sockbroker_status status; /* not OK */
    char text[SB_FAILURE_TEXT_MAX + 1];
};

struct sb_attached {
    uint32_t version;
    struct sb_session_key session;
    uint8_t token[SB_SECRET_LEN];
    enum sb_carrier carrier;
    uint32_t heartbeat_ms;     /* 100..3600000 */
    uint32_t finish_within_ms; /* 0..1000 */
};

struct sb_told {
    bool drain;
    bool stopping;
    uint32_t n_handoffs;
    struct sb_record handoffs[SB_HANDOFFS_MAX];
};

struct sb_settled {
    uint32_t n_kept;
    bool kept[SB_RESULTS_MAX];
};

struct sb_attempt_message {
    struct sockbroker_addr destination;
    struct sockbroker_addr source; /* FAMILY_NONE: there is none */
    bool started;
    uint32_t started_ms; /* since the Connect */
    uint32_t ended_ms;
    sockbroker_status status;
    char text[SB_ATTEMPT_TEXT_MAX + 1];
};

struct sb_granted {
    sockbroker_status status;
    char text[SB_FAILURE_TEXT_MAX + 1];
    uint64_t grant_id; /* 0 with a failure */
    uint8_t token[SB_SECRET_LEN];
    bool has_record;
    struct sb_record record;
    uint32_t n_sockets;
    uint32_t state_len;
    uint32_t n_attempts;
    struct sb_attempt_message attempts[SB_DESTINATIONS_MAX];
};

struct sb_state {
    uint32_t chunk_len;
    uint8_t chunk[SB_CHUNK_MAX];
};

struct sb_upgraded {
    char text[SB_FAILURE_TEXT_MAX + 1];
};

struct sb_handed {
    sockbroker_status status;
    char text[SB_FAILURE_TEXT_MAX + 1];
    bool has_record;
    struct sb_record record;
};

struct sb_histogram {
    uint64_t buckets[SB_HISTOGRAM_BUCKETS];
    uint64_t sum_us;
};

struct sb_endpoint_counters {
    uint64_t accepted;
    uint64_t leased;
    uint64_t acked;
    uint64_t nacked;
    uint64_t withdrawn;
    uint64_t released;
    uint64_t in_doubt;
    uint64_t refused;
    uint64_t denied;
    uint64_t accept_errors;
    uint64_t held;
    uint64_t held_max;
    uint64_t granted;
    uint64_t repaired;
    struct sb_histogram accept_to_lease;
    struct sb_histogram lease_to_ack;
};

struct sb_endpoint_status {
    char name[SOCKBROKER_NAME_MAX + 1];
    uint32_t n_addresses;
    struct sockbroker_addr addresses[SB_ADDRESSES_PER_ENDPOINT_MAX];
    char mode[SB_WORD_MAX + 1];
    char policy[SB_WORD_MAX + 1];
    char family[SB_WORD_MAX + 1];
    char carrier[SB_WORD_MAX + 1];
    char state[SB_WORD_MAX + 1];
    struct sb_endpoint_counters counters;
    char protocol[SB_WORD_MAX + 1];
    uint32_t slots;
};

struct sb_session_status {
    uint64_t id;
    char name[SOCKBROKER_NAME_MAX + 1];
    uint64_t generation;
    uint32_t pid;
    uint32_t uid;
    uint32_t gid;
    char state[SB_WORD_MAX + 1];
    uint64_t open;
    uint64_t unacked;
    uint64_t served;
    uint32_t weight;
    uint32_t window;
    uint32_t n_endpoints;
    char endpoints[SB_ENDPOINTS_PER_WORKER_MAX][SOCKBROKER_NAME_MAX + 1];
    uint64_t attached_ms;
};

struct sb_deposit_status {
    char name[SOCKBROKER_NAME_MAX + 1];
    char owner[SOCKBROKER_NAME_MAX + 1];
    uint32_t uid;
    char kind[SB_WORD_MAX + 1];
    struct sockbroker_addr local; /* FAMILY_NONE: not said */
    struct sockbroker_addr peer;
    uint32_t state_len;
    uint64_t age_ms;
    uint64_t expires_ms;
    char taken_by[SOCKBROKER_NAME_MAX + 1]; /* "": nobody */
};

struct sb_broker_status {
    char version[SB_WORD_MAX + 1];
    uint32_t pid;
    uint64_t uptime_ms;
    char state[SB_WORD_MAX + 1];
    uint64_t n_endpoints;
    uint64_t n_sessions;
    uint64_t bad_messages;
    uint64_t busy_refusals;
    uint64_t log_lines_dropped;
    uint64_t descriptors_used;
    uint64_t descriptors_max;
    uint64_t listener_repairs;
    uint64_t n_deposits;
    uint64_t grants;
    uint64_t deposits_expired;
    uint64_t connects_failed;
};

struct sb_status_page {
    struct sb_broker_status broker;
    uint32_t n_endpoints;
    struct sb_endpoint_status endpoints[SB_PAGE_ENDPOINTS];
    uint32_t n_sessions;
    struct sb_session_status sessions[SB_PAGE_SESSIONS];
    uint32_t next_endpoint;
    uint32_t next_session;
    uint32_t n_deposits;
    struct sb_deposit_status deposits[SB_PAGE_DEPOSITS];
    uint32_t next_deposit;
};

struct sb_group_status {
    char name[SOCKBROKER_NAME_MAX + 1];
    char command[SB_COMMAND_TEXT_MAX + 1];
    uint32_t wanted;
    uint64_t generation;
    char failure[SB_FAILURE_TEXT_MAX + 1];
};

struct sb_generation_status {
    char group[SOCKBROKER_NAME_MAX + 1];
    uint64_t generation;
    char state[SB_WORD_MAX + 1];
    uint32_t workers;
    uint32_t ready;
    uint64_t open;
    uint64_t since_ms;
};

struct sb_slot_status {
    char group[SOCKBROKER_NAME_MAX + 1];
    uint64_t generation;
    char worker[SOCKBROKER_NAME_MAX + 1];
    uint32_t pid;
    char state[SB_WORD_MAX + 1];
    uint32_t restarts;
    uint64_t since_ms;
};

struct sb_groups_page {
    uint32_t n_groups;
    struct sb_group_status groups[SB_PAGE_GROUPS];
    uint32_t n_generations;
    struct sb_generation_status generations[SB_PAGE_GENERATIONS];
    uint32_t n_slots;
    struct sb_slot_status slots[SB_PAGE_SLOTS];
    uint32_t next_group;
    uint32_t next_generation;
    uint32_t next_slot;
};

struct sb_outcome {
    char text[SB_OUTCOME_TEXT_MAX + 1];
};

/* The numbers of the fields in Reply. */
enum sb_reply_kind {
    SB_REPLY_FAILURE = 1,
    SB_REPLY_ATTACHED,
    SB_REPLY_TOLD,
    SB_REPLY_SETTLED,
    SB_REPLY_DONE,
    SB_REPLY_STATUS,
    SB_REPLY_GRANTED,
    SB_REPLY_STATE,
    SB_REPLY_HANDED,
    SB_REPLY_OUTCOME = 20,
    SB_REPLY_GROUPS,
    SB_REPLY_UPGRADED = 30,
};

struct sb_reply {
    enum sb_reply_kind kind;
    union {
        struct sb_failure failure;
        struct sb_attached attached;
        struct sb_told told;
        struct sb_settled settled;
        uint64_t done_count;
        struct sb_status_page status;
        struct sb_granted granted;
        struct sb_state state;
        struct sb_handed handed;
        struct sb_outcome outcome;
        struct sb_groups_page groups;
        struct sb_upgraded upgraded;
    } as;
};

sockbroker_status sb_wire_pack_request(const struct sb_request *request, uint8_t *buf, size_t cap, size_t *len_out);
sockbroker_status sb_wire_unpack_request(const uint8_t *data, size_t len, struct sb_request *request_out,
                                         struct sockbroker_error *error_out);
sockbroker_status sb_wire_pack_reply(const struct sb_reply *reply, uint8_t *buf, size_t cap, size_t *len_out);
sockbroker_status sb_wire_unpack_reply(const uint8_t *data, size_t len, struct sb_reply *reply_out,
                                       struct sockbroker_error *error_out);

/* ---- handoff socket: a Hello (above), answered by ---- */

struct sb_welcome {
    sockbroker_status status; /* OK: one descriptor comes with it */
    char text[SB_FAILURE_TEXT_MAX + 1];
};

sockbroker_status sb_wire_pack_hello(const struct sb_hello *hello, uint8_t *buf, size_t cap, size_t *len_out);
sockbroker_status sb_wire_unpack_hello(const uint8_t *data, size_t len, struct sb_hello *hello_out,
                                       struct sockbroker_error *error_out);
sockbroker_status sb_wire_pack_welcome(const struct sb_welcome *welcome, uint8_t *buf, size_t cap, size_t *len_out);
sockbroker_status sb_wire_unpack_welcome(const uint8_t *data, size_t len, struct sb_welcome *welcome_out,
                                         struct sockbroker_error *error_out);

/* ---- pair: the hot path, one of each for each connection ---- */

enum sb_delivery_kind {
    SB_DELIVERY_INFO = 1, /* with a descriptor */
    SB_DELIVERY_LEASE,    /* with a descriptor; its record comes in a Handoff */
    SB_DELIVERY_PROBE,    /* without one */
    SB_DELIVERY_RING,     /* with the memory of a ring */
};

struct sb_delivery {
    enum sb_delivery_kind kind;
    uint64_t number; /* LEASE: the lease id; PROBE: the probe's number; RING: its bytes; INFO: equals record.info.lease_id */
    struct sb_record record; /* INFO only */
};

struct sb_report {
    uint32_t n_results;
    struct sb_result results[SB_RESULTS_MAX];
    uint64_t probe; /* 0 = none */
    bool bell;      /* look into the ring */
};

sockbroker_status sb_wire_pack_delivery(const struct sb_delivery *delivery, uint8_t *buf, size_t cap, size_t *len_out);
sockbroker_status sb_wire_unpack_delivery(const uint8_t *data, size_t len, struct sb_delivery *delivery_out,
                                          struct sockbroker_error *error_out);
sockbroker_status sb_wire_pack_report(const struct sb_report *report, uint8_t *buf, size_t cap, size_t *len_out);
sockbroker_status sb_wire_unpack_report(const uint8_t *data, size_t len, struct sb_report *report_out,
                                        struct sockbroker_error *error_out);

/* A name is 1..63 of [A-Za-z0-9._-], and not "." or "..". */
bool sb_name_is_valid(const char *name, size_t len);

#endif
