/* wire_takeover.h: the messages by which one broker gives everything to the next, as plain C structs. Contract: see wire.h.
 */
#ifndef SB_PROTO_WIRE_TAKEOVER_H
#define SB_PROTO_WIRE_TAKEOVER_H

#include "proto/wire.h"

#define SB_TAKEOVER_VERSION 1u
#define SB_TAKEOVER_DESCRIPTORS_MAX 4u /* with one message */
#define SB_TAKEOVER_CONNECTIONS_MAX 4u /* one descriptor each */
#define SB_TAKEOVER_SLOTS_MAX 256u
#define SB_TAKEOVER_DIR_MAX 99u
#define SB_TAKEOVER_ACKED 64u
#define SB_TAKEOVER_COUNTS 14u
#define SB_TAKEOVER_RESTARTS 100u

struct sb_takeover_hello {
    uint32_t version;
    char release[SB_WORD_MAX + 1];
    uint32_t pid;
    char dir[SB_TAKEOVER_DIR_MAX + 1]; /* "" from the new one */
    uint64_t n_records;
    bool has_keeper;
    uint64_t soft_limit;
    uint64_t hard_limit;
};

struct sb_takeover_socket {
    char endpoint[SOCKBROKER_NAME_MAX + 1];
    bool is_shard;
    uint32_t slot;
};

struct sb_takeover_begin {
    uint64_t n_records;
    uint64_t lease_sequence;
    uint64_t grants_made;
    uint64_t probes;
    uint64_t started_ms;
    uint64_t bad_messages;
    uint64_t busy_refusals;
    uint64_t listener_repairs;
    uint64_t grants_given;
    uint64_t deposits_expired;
    uint64_t connects_failed;
};

struct sb_takeover_endpoint {
    char name[SOCKBROKER_NAME_MAX + 1];
    uint64_t counts[SB_TAKEOVER_COUNTS];
    struct sb_histogram accept_to_lease;
    struct sb_histogram lease_to_ack;
    uint32_t policy;
    enum sb_carrier carrier;
    uint32_t window;
    uint32_t withdraw_after_ms;
    uint32_t ack_timeout_ms;
    bool kill_stuck;
    uint32_t overload;
    uint32_t hold_ms;
    uint32_t hold_max;
    bool is_closing;
    uint32_t mode;
    bool paused;
    uint64_t resumed_ms;
};

struct sb_takeover_shard {
    char endpoint[SOCKBROKER_NAME_MAX + 1];
    struct sockbroker_addr address;
    uint32_t n_slots;
    uint32_t positions[SB_TAKEOVER_SLOTS_MAX];
    uint32_t n_weights;
    uint32_t weights[SB_TAKEOVER_SLOTS_MAX];
    uint32_t n_steered;
    uint32_t steered[SB_TAKEOVER_SLOTS_MAX];
    uint32_t policy;
    uint32_t fallback;
    bool unsure;
};

struct sb_takeover_place {
    char endpoint[SOCKBROKER_NAME_MAX + 1];
    uint64_t n_open;
};

struct sb_takeover_session {
    struct sb_session_key key;
    uint8_t token[SB_SECRET_LEN];
    bool token_spent;
    char name[SOCKBROKER_NAME_MAX + 1];
    uint64_t generation;
    uint32_t weight;
    uint32_t window;
    enum sb_carrier carrier;
    uint32_t state; /* 1..6 */
    uint32_t pid;
    uint32_t uid;
    uint32_t gid;
    bool has_pair;
    bool has_ring;
    bool uses_ring;
    uint32_t ring_taken;
    bool blocked;
    bool kill_sent;
    uint64_t n_open;
    uint64_t n_served;
    uint64_t probe;
    uint64_t heard_ms;
    uint64_t attached_ms;
    uint64_t draining_ms;
    uint32_t n_acked;
    uint64_t acked[SB_TAKEOVER_ACKED];
    uint32_t n_places;
    struct sb_takeover_place places[SB_ENDPOINTS_PER_WORKER_MAX];
};

struct sb_takeover_holding {
    uint64_t session_id;
    char endpoint[SOCKBROKER_NAME_MAX + 1];
    struct sockbroker_addr address;
    bool is_shard;
    uint32_t slot;
    bool has_it;
};

struct sb_takeover_connection {
    uint64_t session_id; /* 0: held */
    uint64_t lease_id;
    uint64_t leased_ns;
    struct sb_record record; /* info.lease_id: any but 0 */
};

struct sb_takeover_connections {
    uint32_t n;
    struct sb_takeover_connection at[SB_TAKEOVER_CONNECTIONS_MAX];
};

struct sb_takeover_deposit {
    char name[SOCKBROKER_NAME_MAX + 1];
    uint32_t lifetime_ms;
    uint32_t state_len;
    uint32_t n_allow_uids;
    uint32_t allow_uids[SB_ALLOW_UIDS_MAX];
    char owner[SOCKBROKER_NAME_MAX + 1];
    uint32_t uid;
    uint64_t since_ms;
    struct sb_record record; /* info.lease_id: any but 0 */
};

struct sb_takeover_state {
    uint32_t offset;
    uint32_t chunk_len;
    uint8_t chunk[SB_CHUNK_MAX];
};

struct sb_takeover_group {
    char name[SOCKBROKER_NAME_MAX + 1];
    uint32_t wanted;
    uint32_t configured;
    uint64_t last_number;
    char failure[SB_FAILURE_TEXT_MAX + 1];
    bool leaves;
};

struct sb_takeover_generation {
    uint64_t number;
    bool serves;
    uint64_t since_ms;
};

struct sb_takeover_slot {
    uint32_t number;
    uint32_t state; /* 1..8 */
    uint64_t since_ms;
    uint64_t start_at_ms;
    bool leaves;
    bool drained_by_hand;
    uint32_t restarts;
    uint32_t pid; /* 0: no process, no descriptor */
    uint32_t delay_ms;
    uint32_t n_restarted;
    uint64_t restarted_ms[SB_TAKEOVER_RESTARTS];
};

#define SB_TAKEOVER_LABEL_MAX 255 /* as SB_LABEL_MAX of the broker */

struct sb_takeover_kept {
    char label[SB_TAKEOVER_LABEL_MAX + 1];
    uint64_t number;
};

enum sb_takeover_step {
    SB_STEP_READY = 1, /* new: it has everything, and has touched nothing */
    SB_STEP_GO,        /* old: take over */
    SB_STEP_THERE,     /* new: workers and callers find it now */
    SB_STEP_LEFT,      /* old: it is yours */
};

/* The numbers of the fields in Takeover. */
enum sb_takeover_kind {
    SB_TAKEOVER_HELLO = 1,
    SB_TAKEOVER_SOCKET,
    SB_TAKEOVER_BEGIN,
    SB_TAKEOVER_ENDPOINT,
    SB_TAKEOVER_SHARD,
    SB_TAKEOVER_SESSION,
    SB_TAKEOVER_HOLDING,
    SB_TAKEOVER_CONNECTIONS,
    SB_TAKEOVER_DEPOSIT,
    SB_TAKEOVER_STATE,
    SB_TAKEOVER_STEP,
    SB_TAKEOVER_FAILED,
    SB_TAKEOVER_GROUP,
    SB_TAKEOVER_GENERATION,
    SB_TAKEOVER_SLOT,
    SB_TAKEOVER_KEPT,
};

struct sb_takeover {
    enum sb_takeover_kind kind;
    union {
        struct sb_takeover_hello hello;
        struct sb_takeover_socket socket;
        struct sb_takeover_begin begin;
        struct sb_takeover_endpoint endpoint;
        struct sb_takeover_shard shard;
        struct sb_takeover_session session;
        struct sb_takeover_holding holding;
        struct sb_takeover_connections connections;
        struct sb_takeover_deposit deposit;
        struct sb_takeover_state state;
        enum sb_takeover_step step;
        struct sb_failure failed;
        struct sb_takeover_group group;
        struct sb_takeover_generation generation;
        struct sb_takeover_slot slot;
        struct sb_takeover_kept kept;
    } as;
};

sockbroker_status sb_wire_pack_takeover(const struct sb_takeover *takeover, uint8_t *buf, size_t cap, size_t *len_out);
sockbroker_status sb_wire_unpack_takeover(const uint8_t *data, size_t len, struct sb_takeover *takeover_out,
                                          struct sockbroker_error *error_out);

/* How many descriptors come with it. */
uint32_t sb_takeover_descriptors(const struct sb_takeover *takeover);

#endif
