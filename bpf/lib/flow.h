/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow table: what is remembered of translated connections.
 *
 * One array of sets (abi/maps.h), so that a look-up costs no call: the hash of the tuple picks the set, 32 more bits of
 * it (the tag) pick the way among FLOW_WAYS control words that share a cache line. A connection has two entries, one a
 * direction, each with the other's index in `peer`; the reply's key is the reverse of what the forward entry makes of a
 * packet.
 *
 * Any number of CPUs read and write at once, without locks. What must hold:
 *
 * 1. `control` says who owns the entry. FREE and LIVE ones belong to nobody; only who has changed it to BUSY by a
 *    compare-and-swap may write the rest, and it publishes with LIVE under a generation that the way has not had
 *    (24 bits, so a reader would have to sleep through 16 million reuses of one way to be fooled).
 * 2. A reader reads control, copies what it needs, and reads control again. Only if both are the same LIVE word it
 *    believes its copy: so nothing torn is ever used. Packets are changed from the copy, never from the entry.
 * 3. A key has at most one LIVE entry. It can only be in its set, so inserters of the same key meet there: each claims
 *    a way, leaving the tag in the BUSY word, and then looks at all other ways. Claims are full barriers, hence of two
 *    that claim at the same time at least one sees the other. Who sees a LIVE entry with its key, or a BUSY one with
 *    its tag in a lower way, gives its own way back; who sees a BUSY one in a higher way waits until that has decided.
 *    If both published, the one in the higher way looked before the lower one claimed; then the lower one's look came
 *    after the higher one's claim, and it would have waited and given way. Waiting is bounded; who gives up drops one
 *    packet.
 *    That makes the claim of a reply key the reservation of a source port, too.
 * 4. The forward entry is claimed first, then the reply. While the forward key is claimed, a LIVE reply entry that
 *    leads back to it can only be left over from a pair whose other half is gone, and is freed.
 * 5. Removing: control LIVE -> FREE by compare-and-swap, then the same for the peer, if that still names this entry as
 *    its own. A half that stays behind ages away.
 * 6. Flags, state and the low bits of the generation are one word that changes by compare-and-swap: a late packet of an
 *    entry's former life cannot mark its present one as closed. `seen`, `packets` and `bytes` are stored plainly:
 *    late, they give a new flow a second it has anyway or a packet too much, and of two CPUs that count at the same
 *    moment one may be lost.
 *
 * Nobody sweeps. An entry is too old when its state's time-out has passed since `seen`; it is then as good as free.
 * `seen` is written when the second changes, in both entries.
 */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>

#include "addr.h"
#include "clock.h"
#include "maps.h"

struct flow_hit {
        struct tuple to __attribute__((aligned(8)));
        __u32 index, peer, seen;
        __u32 backend, generation, service;
        __u32 word; /* union flow_word */
        __u32 pad;
};

union flow_word {
        struct {
                __u8 flags, state;
                __u16 epoch;
        };
        __u32 all;
};

static __always_inline __u32 *flow_word_of(struct flow *f)
{
        return (__u32 *)&f->flags;
}

static __always_inline struct flow_set *flow_set_get(__u32 n)
{
        n &= knobs.flow_sets - 1; /* of a hash: flow_set_of */
        return bpf_map_lookup_elem(&flows, &n);
}

/* A read that nothing before or after it passes, on this CPU and for the others. */
static __always_inline __u64 flow_control(struct flow_set *set, __u32 way)
{
        __u64 control;

        asm volatile("" ::: "memory");
        if (knobs.flags & KNOB_WEAK_ORDER)
                control = __sync_fetch_and_add(&set->control[way], 0);
        else
                control = READ_ONCE(set->control[way]);
        asm volatile("" ::: "memory");
        return control;
}

static __always_inline __u32 flow_timeout(__u8 proto, __u8 state)
{
        if (proto == IPPROTO_TCP) {
                if (state & FLOW_RST || (state & FLOW_FIN && state & FLOW_FIN_REPLY))
                        return knobs.timeouts.tcp_closing;
                return state & FLOW_ESTABLISHED ? knobs.timeouts.tcp_established : knobs.timeouts.tcp_syn;
        }
        if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
                return knobs.timeouts.icmp;
        return state & FLOW_SEEN_REPLY ? knobs.timeouts.udp_stream : knobs.timeouts.udp;
}

static __always_inline bool flow_is_closing(__u8 state)
{
        return state & FLOW_RST || (state & FLOW_FIN && state & FLOW_FIN_REPLY);
}

/* The ways whose tag is that, as bits. Without branches: the verifier would follow each way's story to the end. */
static __always_inline __u32 flow_match(struct flow_set *set, __u32 tag)
{
        __u64 ways = 0;

#pragma unroll
        for (int i = 0; i < FLOW_WAYS; i++) {
                __u64 differs = FLOW_TAG(READ_ONCE(set->control[i])) ^ tag;

                asm volatile("" : "+r"(differs)); /* or the compiler sees the comparison, and branches */
                ways |= (differs - 1) >> 63 << i;
        }
        return ways;
}

/* The place of the lowest bit of eight. */
static __always_inline __u32 flow_lowest(__u32 ways)
{
        __u32 bit = ways & -ways;

        return BOUND(0x34572610 >> ((bit * 0x1d & 0xff) >> 5) * 4, FLOW_WAYS - 1);
}

/* Copies the entry if it is a live one of that key: points 1 and 2 above. */
static __always_inline struct flow *flow_read(struct flow_set *set, __u32 way, const struct tuple *key, __u32 now,
                                              struct flow_hit *ret)
{
        struct flow *f = &set->flow[way];
        __u64 control = flow_control(set, way);
        const __u64 *from = (const __u64 *)&f->new_src;
        __u64 *to = (__u64 *)&ret->to;
        bool same;

        if (FLOW_STATUS(control) != FLOW_LIVE)
                return NULL;
        same = tuple_equal(&f->key, key);
        to[0] = from[0];
        to[1] = from[1];
        to[2] = from[2];
        to[3] = from[3];
        ret->to.sport = f->new_sport;
        ret->to.dport = f->new_dport;
        ret->to.proto = key->proto;
        ret->to.pad[0] = ret->to.pad[1] = ret->to.pad[2] = 0;
        ret->peer = f->peer;
        ret->seen = f->seen;
        ret->backend = f->backend;
        ret->generation = f->generation;
        ret->service = f->service;
        ret->word = *flow_word_of(f);
        if (!same || flow_control(set, way) != control)
                return NULL;
        if (clock_age(now, ret->seen) > flow_timeout(key->proto, ((union flow_word){.all = ret->word}).state))
                return NULL;
        return f;
}

static __always_inline __u8 *flow_marks_of(__u32 n)
{
        n &= knobs.flow_sets - 1;
        return bpf_map_lookup_elem(&flow_marks, &n);
}

/* May an entry of that hash be there? Is one of the eight bytes the hash's mark? */
static __always_inline bool flow_is_marked(__u64 hash)
{
        const __u64 ones = 0x0101010101010101ULL;
        const __u64 *marks = (const __u64 *)flow_marks_of(hash);
        __u64 differ;

        if (!marks)
                return true;
        differ = READ_ONCE(*marks) ^ flow_mark_of(hash) * ones;
        return (differ - ones) & ~differ & ones << 7;
}

static __always_inline void flow_mark(__u32 index, __u64 hash)
{
        __u8 *marks = flow_marks_of(index / FLOW_WAYS);

        if (marks)
                WRITE_ONCE(marks[BOUND(index, FLOW_WAYS - 1)], flow_mark_of(hash));
}

/* The entry of the packet's tuple (which is aligned to 8), copied to *ret; NULL: none. Of two ways with the same tag it
 * sees one: flow_insert, which then follows, finds the other. */
static __always_inline struct flow *flow_find(const struct tuple *key, __u64 hash, __u32 now, struct flow_hit *ret)
{
        struct flow_set *set;
        __u32 ways, way;

        if (!flow_is_marked(hash))
                return NULL;
        set = flow_set_get(hash);
        if (!set)
                return NULL;
        ways = flow_match(set, flow_tag_of(hash));
        if (!ways)
                return NULL;
        way = flow_lowest(ways);
        ret->index = flow_set_of(hash, knobs.flow_sets) * FLOW_WAYS + way;
        return flow_read(set, way, key, now, ret);
}

/* LIVE -> FREE, if it still is that very entry. */
static __always_inline bool flow_free(struct flow_set *set, __u32 way, __u64 control)
{
        __u64 freed = FLOW_CONTROL(0, FLOW_GENERATION(control), FLOW_FREE);

        return FLOW_STATUS(control) == FLOW_LIVE &&
               __sync_val_compare_and_swap(&set->control[way], control, freed) == control;
}

/* The other half of `of`, if it still is that. */
static __always_inline struct flow *flow_peer(__u32 peer, __u32 of, struct flow_set **ret_set, __u64 *ret_control)
{
        struct flow_set *set = flow_set_get(peer / FLOW_WAYS);
        __u32 way = BOUND(peer, FLOW_WAYS - 1);
        __u64 control;

        if (!set || peer == of)
                return NULL;
        control = flow_control(set, way);
        if (FLOW_STATUS(control) != FLOW_LIVE || READ_ONCE(set->flow[way].peer) != of)
                return NULL;
        *ret_set = set;
        *ret_control = control;
        return &set->flow[way];
}

static __always_inline void flow_free_peer(__u32 peer, __u32 of)
{
        struct flow_set *set;
        __u64 control;

        if (flow_peer(peer, of, &set, &control))
                flow_free(set, BOUND(peer, FLOW_WAYS - 1), control);
}

/* Both halves. epoch: of the entry that was found, so that no later one goes. */
__noinline int flow_remove(__u32 index, __u32 peer, __u32 epoch)
{
        struct flow_set *set = flow_set_get(index / FLOW_WAYS);
        __u32 way = BOUND(index, FLOW_WAYS - 1);
        __u64 control;

        if (!set)
                return 0;
        control = flow_control(set, way);
        if ((__u16)FLOW_GENERATION(control) != (__u16)epoch || !flow_free(set, way, control))
                return 0;
        flow_free_peer(peer, index);
        return 1;
}

/* Adds state bits to an entry that still has that epoch. */
static __always_inline void flow_add_state(struct flow *f, __u32 epoch, __u32 bits)
{
        for (int i = 0; i < 3; i++) {
                union flow_word old = {.all = READ_ONCE(*flow_word_of(f))}, want = old;

                want.state |= bits;
                if (old.epoch != (__u16)epoch || want.all == old.all)
                        return;
                if (__sync_val_compare_and_swap(flow_word_of(f), old.all, want.all) == old.all)
                        return;
        }
}

/* The bits as the other direction sees them. */
static __always_inline __u32 flow_mirrored(__u32 bits)
{
        __u32 same = bits & ~(FLOW_FIN | FLOW_FIN_REPLY);

        return same | (bits & FLOW_FIN ? FLOW_FIN_REPLY : 0) | (bits & FLOW_FIN_REPLY ? FLOW_FIN : 0);
}

/* A packet came: both halves are seen, and both learn what it says of the connection's state. Not for each packet. */
__noinline int flow_update(__u32 index, __u32 peer, __u32 epoch, __u32 bits, __u32 now)
{
        struct flow_set *set = flow_set_get(index / FLOW_WAYS);
        struct flow *f;
        __u64 control;

        if (!set)
                return 0;
        f = &set->flow[BOUND(index, FLOW_WAYS - 1)];
        WRITE_ONCE(f->seen, now);
        flow_add_state(f, epoch, bits);
        f = flow_peer(peer, index, &set, &control);
        if (!f)
                return 0;
        WRITE_ONCE(f->seen, now);
        flow_add_state(f, FLOW_GENERATION(control), flow_mirrored(bits));
        return 0;
}

/* ---- inserting */

struct flow_new {
        struct tuple key __attribute__((aligned(8))), to;
        __u32 backend, generation, service;
        __u8 flags;   /* enum flow_flags, of the forward direction */
        __u8 sources; /* enum flow_sources */
        __u16 pad;
};

/* Which source ports to.sport may become, so that the reply's key is nobody else's. */
enum flow_sources {
        FLOW_PORT_FIXED,    /* the one that is there */
        FLOW_PORT_KEEP,     /* that, else one of the knobs' range: the address is the client's own */
        FLOW_PORT_OF_RANGE, /* one of the range, that too if it is in it: the address is the node's, whose own
                             * connections use the ports outside of the range */
};

enum flow_result {
        FLOW_ADDED,
        FLOW_EXISTS, /* there is one of that key already: *ret_hit */
        FLOW_NO_PORT,
        FLOW_NO_ROOM,
        FLOW_AGAIN, /* of flow_claim_once only */
};

enum { FLOW_TRIES = 12, FLOW_SPINS = 32, FLOW_PORT_TRIES = 24 };

/* In memory and not in registers, of which the verifier would keep every combination apart. */
struct flow_survey {
        __u64 best_control, found_control;
        __u32 best, best_score;
        __u32 found; /* way + 1 of the live entry of the key */
        __u32 busy;  /* somebody else is inserting that tag, or an entry changed while it was looked at */
        __u32 now, tag;
        __u32 score, timeout; /* of the way that is looked at */
};

struct flow_claim {
        __u32 index, generation, tag;
        __u32 pad;
};

/* What inserting works on; see maps.h about scratch. The caller of flow_insert fills in `fresh` and finds `hit`. */
struct flow_work {
        struct flow_new fresh;
        struct flow_hit hit;
        struct tuple reply, back; /* the reply entry's key and what it makes of it */
        struct flow_claim there, home;
        struct flow_survey survey;
        __u32 port_start; /* of the search for a source port; here and not on the stack, which is full */
        __be16 port_wanted;
        __u16 pad;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct flow_work);
        __uint(max_entries, 1);
} flow_scratch SEC(".maps");

static __always_inline void flow_count(__u32 offset)
{
        struct flow_counters *c = map_single(&flow_counters);

        if (c)
                ++*(__u64 *)((void *)c + offset);
}
#define FLOW_COUNT(field) flow_count(offsetof(struct flow_counters, field))

enum {
        SCORE_SAME = 4000000000, /* an old entry of the same key must be the one that goes, or there would be two */
        SCORE_FREE = 3000000000,
        SCORE_OLD = 2000000000,
        SCORE_CLOSING = 1500000000, /* what is over goes before what begins, and that before what is in use */
        SCORE_OPENING = 1000000000,
        SCORE_AGES = 500000000 / FLOW_WAYS - 2, /* seconds that are told apart */
};

/*
 * How gladly a live entry is given up. A server answers every SYN of a flood: only a client that goes on after the
 * answer is one. lot: of entries that were seen in the same second another one for each new key, or the one that was
 * made last would be the next to go.
 */
static __always_inline __u32 flow_score(__u32 age, __u8 proto, __u8 state, __u32 lot)
{
        __u8 in_use = proto == IPPROTO_TCP ? FLOW_ESTABLISHED : FLOW_SEEN_REPLY;
        __u32 score = 1 + (age > SCORE_AGES ? SCORE_AGES : age) * FLOW_WAYS + (lot & (FLOW_WAYS - 1));

        if (flow_is_closing(state))
                return SCORE_CLOSING + score;
        return state & in_use ? score : SCORE_OPENING + score;
}

/* A live entry, seen under `control`. */
static __always_inline void flow_survey_live(struct flow_set *set, __u32 way, __u64 control, const struct tuple *key,
                                             struct flow_survey *s)
{
        struct flow *f = &set->flow[way];
        __u8 state = READ_ONCE(f->state), proto = READ_ONCE(f->key.proto);
        __u32 age = clock_age(s->now, READ_ONCE(f->seen));
        bool same = FLOW_TAG(control) == s->tag && tuple_equal(&f->key, key);

        WRITE_ONCE(s->timeout, flow_timeout(proto, state));
        if (age <= READ_ONCE(s->timeout)) {
                WRITE_ONCE(s->score, flow_score(age, proto, state, way + s->tag));
                if (same) {
                        s->found = way + 1;
                        s->found_control = control;
                }
        } else {
                WRITE_ONCE(s->score, same ? SCORE_SAME : SCORE_OLD);
        }
        if (flow_control(set, way) != control)
                s->busy = 1;
}

static __always_inline void flow_survey_way(struct flow_set *set, __u32 way, const struct tuple *key,
                                            struct flow_survey *s)
{
        __u64 control = flow_control(set, way);

        WRITE_ONCE(s->score, 0);
        if (FLOW_STATUS(control) == FLOW_FREE)
                WRITE_ONCE(s->score, SCORE_FREE);
        else if (FLOW_STATUS(control) == FLOW_LIVE)
                flow_survey_live(set, way, control, key, s);
        else if (FLOW_TAG(control) == s->tag)
                s->busy = 1;
        if (READ_ONCE(s->score) > READ_ONCE(s->best_score)) {
                s->best_score = s->score;
                s->best = way;
                s->best_control = control;
        }
}

static __always_inline void flow_survey_set(struct flow_set *set, const struct tuple *key, struct flow_survey *s)
{
        s->best_score = s->found = s->busy = 0;
        for (int i = 0; i < FLOW_WAYS; i++)
                flow_survey_way(set, i, key, s);
}

/* Point 3 above, for the owner of `own`: may it stay? */
static __always_inline bool flow_may_stay(struct flow_set *set, __u32 own, const struct tuple *key, __u32 tag)
{
        for (__u32 i = 0; i < FLOW_WAYS; i++) {
                __u64 control = flow_control(set, i);

                if (FLOW_TAG(control) != tag || i == own)
                        continue;
                for (int k = 0; k < FLOW_SPINS && i > own && FLOW_STATUS(control) == FLOW_BUSY; k++)
                        control = flow_control(set, i);
                if (FLOW_STATUS(control) == FLOW_BUSY)
                        return false;
                if (FLOW_STATUS(control) == FLOW_LIVE && tuple_equal(&set->flow[i].key, key))
                        return false;
        }
        return true;
}

static __always_inline void flow_release(struct flow_set *set, __u32 way, __u32 generation)
{
        __sync_lock_test_and_set(&set->control[way], FLOW_CONTROL(0, generation, FLOW_FREE));
}

/* Makes the way the survey chose ours. False: somebody was faster. */
static __always_inline bool flow_take(struct flow_set *set, __u32 way, __u32 index, struct flow_survey *s)
{
        __u64 old = s->best_control, busy = FLOW_CONTROL(s->tag, FLOW_GENERATION(old) + 1, FLOW_BUSY);

        if (__sync_val_compare_and_swap(&set->control[way], old, busy) != old)
                return false;
        if (FLOW_STATUS(old) == FLOW_FREE)
                return true;
        flow_free_peer(set->flow[way].peer, index);
        if (s->best_score >= SCORE_OLD)
                FLOW_COUNT(expired);
        else
                FLOW_COUNT(evicted);
        return true;
}

/* One try of flow_claim. FLOW_AGAIN: somebody else was at it at the same time. */
__noinline int flow_claim_once(const struct tuple *key, struct flow_claim *ret, __u32 now)
{
        struct flow_work *work = map_single(&flow_scratch);
        struct flow_survey *s;
        struct flow_set *set;
        __u32 n, way;
        __u64 hash;

        if (!key || !ret || !work)
                return FLOW_NO_ROOM;
        s = &work->survey;
        hash = tuple_hash(key);
        n = flow_set_of(hash, knobs.flow_sets);
        set = flow_set_get(n);
        if (!set)
                return FLOW_NO_ROOM;
        s->now = now;
        s->tag = flow_tag_of(hash);
        flow_survey_set(set, key, s);
        if (s->found) {
                ret->index = n * FLOW_WAYS + s->found - 1;
                ret->generation = FLOW_GENERATION(s->found_control);
                return FLOW_EXISTS;
        }
        way = BOUND(s->best, FLOW_WAYS - 1);
        if (s->busy || (s->best_score && !flow_take(set, way, n * FLOW_WAYS + way, s)))
                return FLOW_AGAIN;
        if (!s->best_score)
                return FLOW_NO_ROOM;
        ret->index = n * FLOW_WAYS + way;
        ret->generation = FLOW_GENERATION(s->best_control) + 1;
        ret->tag = s->tag;
        if (flow_may_stay(set, way, key, s->tag))
                return FLOW_ADDED;
        flow_release(set, way, ret->generation);
        return FLOW_AGAIN;
}

/*
 * Reserves an entry for the key, which is then BUSY. FLOW_ADDED, FLOW_EXISTS with the index and generation of the one
 * that is there, or FLOW_NO_ROOM, also when others keep the set busy.
 */
static __always_inline int flow_claim(const struct tuple *key, struct flow_claim *ret, __u32 now)
{
        int r = FLOW_AGAIN;

        for (int i = 0; i < FLOW_TRIES && r == FLOW_AGAIN; i++)
                r = flow_claim_once(key, ret, now);
        return r == FLOW_AGAIN ? FLOW_NO_ROOM : r;
}

static __always_inline void flow_unclaim(const struct flow_claim *c)
{
        struct flow_set *set = flow_set_get(c->index / FLOW_WAYS);

        if (set)
                flow_release(set, BOUND(c->index, FLOW_WAYS - 1), c->generation);
}

/* Fills in a claimed entry and makes it LIVE. The exchange is a full barrier: whoever sees LIVE sees the rest. */
static __always_inline void flow_publish(const struct flow_claim *c, const struct tuple *key, const struct tuple *to,
                                         const struct flow_new *n, __u32 flags, __u32 peer, __u32 now)
{
        struct flow_set *set = flow_set_get(c->index / FLOW_WAYS);
        __u32 way = BOUND(c->index, FLOW_WAYS - 1);
        struct flow *f;

        if (!set)
                return;
        f = &set->flow[way];
        f->key = *key;
        f->new_src = to->src;
        f->new_dst = to->dst;
        f->new_sport = to->sport;
        f->new_dport = to->dport;
        f->backend = n->backend;
        f->generation = n->generation;
        f->service = n->service;
        f->peer = peer;
        f->seen = f->created = now;
        *flow_word_of(f) = ((union flow_word){.flags = flags, .epoch = c->generation}).all;
        f->packets = 0;
        f->bytes = 0;
        flow_mark(c->index, (__u64)c->tag << 32);
        __sync_lock_test_and_set(&set->control[way], FLOW_CONTROL(c->tag, c->generation, FLOW_LIVE));
}

/* Point 4: the entry of a reply key that is taken leads back to our own forward key. */
static __always_inline bool flow_drop_orphan(const struct flow_claim *taken, const struct tuple *key)
{
        struct flow_set *set = flow_set_get(taken->index / FLOW_WAYS);
        __u32 way = BOUND(taken->index, FLOW_WAYS - 1);
        const struct flow *f;
        __u64 control;

        if (!set)
                return false;
        f = &set->flow[way];
        control = flow_control(set, way);
        if (FLOW_GENERATION(control) != taken->generation || !addr_equal(&f->new_dst, &key->src) ||
            !addr_equal(&f->new_src, &key->dst) || f->new_dport != key->sport || f->new_sport != key->dport)
                return false;
        return flow_free(set, way, control);
}

/* The source port of a try. */
static __always_inline __be16 flow_port(const struct flow_work *w, int try)
{
        __be16 wanted = READ_ONCE(w->port_wanted);
        __u32 min = knobs.snat_port_min, size = knobs.snat_port_max - min + 1, port = bpf_ntohs(wanted);

        if (try == 0 && (w->fresh.sources != FLOW_PORT_OF_RANGE || port - min < size))
                return wanted;
        return bpf_htons(min + (READ_ONCE(w->port_start) + (__u32)try * 0x9e3779b1u) % (size ?: 1));
}

/* Reserves the reply's key, with whatever source port it takes. */
static __always_inline int flow_claim_reply(struct flow_work *w, __u32 now)
{
        int r;

        WRITE_ONCE(w->port_start, (__u32)(tuple_hash(&w->fresh.key) >> 16));
        WRITE_ONCE(w->port_wanted, w->fresh.to.sport);
        for (int i = 0; i < FLOW_PORT_TRIES; i++) {
                w->fresh.to.sport = flow_port(w, i);
                tuple_reverse(&w->fresh.to, &w->reply);
                r = flow_claim(&w->reply, &w->home, now);
                if (r == FLOW_EXISTS && flow_drop_orphan(&w->home, &w->fresh.key))
                        r = flow_claim(&w->reply, &w->home, now);
                if (r != FLOW_EXISTS)
                        return r;
                FLOW_COUNT(port_collisions);
                if (w->fresh.sources == FLOW_PORT_FIXED)
                        break;
        }
        return FLOW_NO_PORT;
}

static __always_inline int flow_claim_both(struct flow_work *w, __u32 now)
{
        struct flow_set *set;
        int r = flow_claim(&w->fresh.key, &w->there, now);

        w->hit.index = w->there.index;
        if (r == FLOW_EXISTS) {
                set = flow_set_get(w->there.index / FLOW_WAYS);
                if (set && flow_read(set, BOUND(w->there.index, FLOW_WAYS - 1), &w->fresh.key, now, &w->hit))
                        return FLOW_EXISTS;
                return FLOW_NO_ROOM;
        }
        if (r != FLOW_ADDED)
                return r;
        r = flow_claim_reply(w, now);
        if (r != FLOW_ADDED)
                flow_unclaim(&w->there);
        return r;
}

/*
 * Both halves of the connection that is described in the scratch's `fresh`, whose to.sport becomes the port that was
 * found. enum flow_result; with FLOW_ADDED and FLOW_EXISTS `hit` is what flow_find would have given.
 */
__noinline int flow_insert(__u32 now)
{
        struct flow_work *w = map_single(&flow_scratch);
        int r;

        if (!w)
                return FLOW_NO_ROOM;
        r = flow_claim_both(w, now);
        if (r == FLOW_EXISTS)
                return r;
        if (r != FLOW_ADDED) {
                FLOW_COUNT(full);
                return r;
        }
        tuple_reverse(&w->fresh.key, &w->back);
        flow_publish(&w->home, &w->reply, &w->back, &w->fresh, w->fresh.flags | FLOW_REPLY, w->there.index, now);
        flow_publish(&w->there, &w->fresh.key, &w->fresh.to, &w->fresh, w->fresh.flags, w->home.index, now);
        FLOW_COUNT(inserted);
        w->hit.to = w->fresh.to;
        w->hit.peer = w->home.index;
        w->hit.seen = now;
        w->hit.backend = w->fresh.backend;
        w->hit.generation = w->fresh.generation;
        w->hit.service = w->fresh.service;
        w->hit.word = ((union flow_word){.flags = w->fresh.flags, .epoch = w->there.generation}).all;
        return FLOW_ADDED;
}
