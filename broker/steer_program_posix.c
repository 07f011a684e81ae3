#include "broker/steer_program.h"

#include <assert.h>
#include <stdbool.h>

#define IPV4_SOURCE (uint32_t)(SKF_NET_OFF + 12) /* RFC 791, 3.1 */
#define IPV6_SOURCE (uint32_t)(SKF_NET_OFF + 8)  /* RFC 8200, 3 */
#define IPV4_LEN 20                              /* of our own packets: without options */
#define IPV6_LEN 40
#define NEAR_LEAVES 128u /* a tree of these takes 255 instructions: the farthest jump of 8 bits */
#define PASS UINT32_MAX

static void emit_jump(struct sb_steer_program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
    assert(p->n < SB_STEER_CODE_MAX);
    p->code[p->n++] = (struct sock_filter){ .code = code, .jt = if_true, .jf = if_false, .k = k };
}

static void emit(struct sb_steer_program *p, uint16_t code, uint32_t k)
{
    emit_jump(p, code, k, 0, 0);
}

static void emit_return(struct sb_steer_program *p, uint32_t k)
{
    emit(p, BPF_RET | BPF_K, k);
}

static void emit_ip_version(struct sb_steer_program *p)
{
    emit(p, BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF);
    emit(p, BPF_ALU | BPF_RSH | BPF_K, 4);
}

/* ---- probes ---- */

static uint32_t word_at(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Every comparison from `from` on that fails goes to the end. */
static void send_failures_here(struct sb_steer_program *p, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (p->code[i].code == (BPF_JMP | BPF_JEQ | BPF_K))
            p->code[i].jf = (uint8_t)(p->n - i - 1);
    }
}

/* Falls through to what comes next when the packet is not a probe. */
static void emit_probes(struct sb_steer_program *p, const struct sb_steer_probes *probes, bool drop)
{
    bool ipv6 = probes->source.family == SOCKBROKER_IPV6;
    size_t start = p->n;

    emit_ip_version(p);
    emit_jump(p, BPF_JMP | BPF_JEQ | BPF_K, ipv6 ? 6 : 4, 0, 0);
    for (uint32_t i = 0; i < (ipv6 ? 16u : 4u); i += 4) {
        emit(p, BPF_LD | BPF_W | BPF_ABS, (ipv6 ? IPV6_SOURCE : IPV4_SOURCE) + i);
        emit_jump(p, BPF_JMP | BPF_JEQ | BPF_K, word_at(&probes->source.ip[i]), 0, 0);
    }
    size_t ports = p->n;
    emit(p, BPF_LD | BPF_H | BPF_ABS, (uint32_t)SKF_NET_OFF + (ipv6 ? IPV6_LEN : IPV4_LEN));
    for (uint32_t i = 0; i < probes->n; i++) {
        emit_jump(p, BPF_JMP | BPF_JEQ | BPF_K, probes->ports[i], 0, 1);
        emit_return(p, drop ? 0 : probes->first + i);
    }
    send_failures_here(p, start, ports);
}

void sb_steer_program_make_filter(const struct sb_steer_probes *probes, struct sb_steer_program *program_out)
{
    program_out->n = 0;
    emit_probes(program_out, probes, true);
    emit_return(program_out, PASS);
}

/* ---- the number that a client draws: left in A ---- */

static void emit_random(struct sb_steer_program *p, uint32_t total)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
    emit(p, BPF_ALU | BPF_MOD | BPF_K, total);
}

static void emit_step(struct sb_steer_program *p)
{
    emit(p, BPF_ALU | BPF_MUL | BPF_K, SB_STEER_STEP);
    emit(p, BPF_MISC | BPF_TAX, 0);
    emit(p, BPF_ALU | BPF_RSH | BPF_K, SB_STEER_SHIFT);
    emit(p, BPF_ALU | BPF_XOR | BPF_X, 0);
}

static void emit_hash_of(struct sb_steer_program *p, uint32_t offset, uint32_t n_words)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, offset);
    emit_step(p);
    for (uint32_t i = 1; i < n_words; i++) {
        emit(p, BPF_ST, 0);
        emit(p, BPF_LD | BPF_W | BPF_ABS, offset + 4 * i);
        emit(p, BPF_LDX | BPF_MEM, 0);
        emit(p, BPF_ALU | BPF_XOR | BPF_X, 0);
        emit_step(p);
    }
}

static void emit_hash(struct sb_steer_program *p)
{
    emit_ip_version(p);
    size_t fork = p->n;
    emit_jump(p, BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 0);
    emit_hash_of(p, IPV6_SOURCE, 4);
    size_t over = p->n;
    emit(p, BPF_JMP | BPF_JA, 0);
    p->code[fork].jf = (uint8_t)(p->n - fork - 1);
    emit_hash_of(p, IPV4_SOURCE, 1);
    p->code[over].k = (uint32_t)(p->n - over - 1);
    emit(p, BPF_ALU | BPF_MUL | BPF_K, SB_STEER_LAST);
    emit(p, BPF_ALU | BPF_RSH | BPF_K, 32 - SB_STEER_BUCKET_BITS);
}

/* ---- from the number to the position: a tree of comparisons, its smaller half first ---- */

static void emit_tree(struct sb_steer_program *p, const struct sb_steer_share *shares, size_t n, const uint16_t *positions)
{
    size_t half = n / 2;

    if (n == 1) {
        emit_return(p, positions[shares->slot]);
        return;
    }
    size_t fork = p->n;
    bool is_near = half <= NEAR_LEAVES;
    emit_jump(p, BPF_JMP | BPF_JGE | BPF_K, shares[half - 1].end, 0, is_near ? 0 : 1);
    if (!is_near)
        emit(p, BPF_JMP | BPF_JA, 0);
    size_t start = p->n;
    emit_tree(p, shares, half, positions);
    if (is_near)
        p->code[fork].jt = (uint8_t)(p->n - start);
    else
        p->code[fork + 1].k = (uint32_t)(p->n - start);
    emit_tree(p, shares + half, n - half, positions);
}

void sb_steer_program_make(const struct sb_steer_plan *plan, const uint16_t *positions, const struct sb_steer_probes *probes,
                           struct sb_steer_program *program_out)
{
    program_out->n = 0;
    if (probes)
        emit_probes(program_out, probes, false);
    if (plan->n_shares > 1) {
        if (plan->policy == SB_STEER_SOURCE_HASH)
            emit_hash(program_out);
        else
            emit_random(program_out, plan->total);
    }
    emit_tree(program_out, plan->shares, plan->n_shares, positions);
}
