/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow table: what is remembered of translated connections.
 *
 * One array of sets of FLOW_WAYS entries (abi/maps.h), so that a look-up costs no call. The hash of the tuple picks the
 * set; seven more bits of it, the mark, are in flow_marks, where one word has a byte for each way of a set. So one load
 * from a small array tells which entry to look at, if any, and an entry is two cache lines: the first has the key and
 * all that each packet changes, the second what the packet becomes. A connection has two entries, one a direction, each
 * with the other's index in `peer`; the reply's key is the reverse of what the forward entry makes of a packet.
 *
 * Any number of CPUs read and write at once, without locks. What must hold:
 *
 * 1. The word of marks says who owns a way. Its bytes are 0 (free), a mark (it belongs to nobody, and is live), or a
 *    mark with FLOW_MARK_BUSY. Only who has set that bit, by a compare-and-swap of the whole word, may write the way's
 *    `control` and the rest of the entry, and ends it by changing the byte, which is atomic too, to 0 or to the mark.
 * 2. A reader finds a mark, reads `control`, compares the key, copies what it needs, and reads control again. Only if
 *    both are the same LIVE word it believes its copy: so nothing torn is ever used. An owner writes BUSY into control
 *    before it writes anything else, and at the end LIVE under a generation that the way has not had (24 bits, so a
 *    reader would have to sleep through 16 million reuses of one way to be fooled). Packets are changed from the copy,
 *    never from the entry.
 * 3. A key has at most one live entry. It can only be in its set, under its mark. Who inserts looks at all ways with
 *    that mark, busy ones of others too, and then claims a way by the compare-and-swap of the same word: it fails if
 * any way of the set has changed hands meanwhile. A busy one may become the key's: it is waited for. Waiting is
 * bounded; who gives up drops one packet. Should a way with the same mark have been emptied and filled again between
 * look and claim, the word is the same; so those are looked at once more after the claim, which is a full barrier, and
 * who finds its key then gives its way back. That makes the claim of a reply key the reservation of a source port, too.
 * 4. The forward entry is claimed first, then the reply. While the forward key is claimed, a live reply entry that
 *    leads back to it can only be left over from a pair whose other half is gone, and is freed.
 * 5. Removing: own the way, see that it still is that very entry, control := FREE, byte := 0; then the same for the
 *    peer, if that still names this entry as its own. A half that stays behind, because somebody owned it at that
 *    moment, ages away.
 *    Userspace, which takes back what a trace has made (flow_undo.c), may also change control from LIVE to FREE alone,
 * by a compare-and-swap: a mark with nothing behind it is as good as free.
 * 6. Flags, state and the low bits of the generation are one word that changes by compare-and-swap: a late packet of an
 *    entry's former life cannot mark its present one as closed. `seen`, `packets` and `bytes` are stored plainly:
 *    late, they give a new flow a second it has anyway or a packet too much, and of two CPUs that count at the same
 *    moment one may be lost. A `seen` that was taken over from the other half late may make a new entry look old; its
 *    own other half then tells better.
 *
 * Where in its set an entry is, is nobody's business but the search's, which begins at the way that the hash names
 * (flow_home_of): who inserts takes that if it is free.
 *
 * Nobody sweeps. A connection is too old when its state's time-out has passed since the later `seen` of its two
 * entries; it is then as good as free. A packet writes `seen` into its own entry alone, when the second has changed:
 * the other one is in a set of its own, and would be a third cache miss. Whoever finds an entry too old, or would have
 * it make room, asks the other half before it acts on that (flow_last_seen).
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

/* Of the entry's index. */
static __always_inline struct flow_set *flow_set_get(__u32 index)
{
        __u32 n = index / FLOW_WAYS & (knobs.flow_sets - 1);

        return bpf_map_lookup_elem(&flows, &n);
}

static __always_inline struct flow *flow_get(__u32 index)
{
        struct flow_set *set = flow_set_get(index);

        return set ? &set->flow[BOUND(index, FLOW_WAYS - 1)] : NULL;
}

/* The marks of the set that the entry is in. */
static __always_inline __u64 *flow_marks_of(__u32 index)
{
        __u32 n = index / FLOW_WAYS & (knobs.flow_sets - 1);

        return bpf_map_lookup_elem(&flow_marks, &n);
}

/* What is before it is done when what is after it begins, for the other CPUs too. */
static __always_inline void flow_barrier(struct flow *f)
{
        asm volatile("" ::: "memory");
        if (knobs.flags & KNOB_WEAK_ORDER)
                __sync_fetch_and_add(&f->control, 0);
        asm volatile("" ::: "memory");
}

/* A read that nothing before or after it passes, on this CPU and for the others. */
static __always_inline __u32 flow_control(struct flow *f)
{
        __u32 control;

        asm volatile("" ::: "memory");
        if (knobs.flags & KNOB_WEAK_ORDER)
                control = __sync_fetch_and_add(&f->control, 0);
        else
                control = READ_ONCE(f->control);
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

#define FLOW_BYTES 0x0101010101010101ULL /* 1 in each */

/* The bytes that have that value, by their highest bits; perhaps some above one that has it, which have not. */
static __always_inline __u64 flow_match(__u64 marks, __u8 mark)
{
        __u64 differ = marks ^ mark * FLOW_BYTES;

        return (differ - FLOW_BYTES) & ~differ & FLOW_BYTES << 7;
}

/* The place of the lowest of those, which is right. */
static __always_inline __u32 flow_lowest(__u64 matches)
{
        return ((matches & -matches) >> 7) * 0x0001020304050607ULL >> 56;
}

static __always_inline __u8 flow_byte(__u64 marks, __u32 way)
{
        return marks >> way * 8;
}

/*
 * The place to begin with: home if it has that byte, else the lowest of the matches. A branch and no arithmetic: where
 * it is foreseen, the processor fetches the entry while the marks are still on their way, and two misses take the time
 * of one.
 */
static __always_inline __u32 flow_first(__u64 marks, __u8 mark, __u64 matches, __u32 home)
{
        return flow_byte(marks, home) == mark ? home : flow_lowest(matches);
}

/* The other half of `of`, if it still is that. */
static __always_inline struct flow *flow_peer(__u32 peer, __u32 of, __u32 *ret_control)
{
        struct flow *f = flow_get(peer);

        if (!f || peer == of)
                return NULL;
        *ret_control = flow_control(f);
        if (FLOW_STATUS(*ret_control) != FLOW_LIVE || READ_ONCE(f->peer) != of)
                return NULL;
        return f;
}

/* When the connection was seen, for who would call it too old by one entry: its packets may all go the other way. */
static __always_inline __u32 flow_last_seen(struct flow *f, __u32 index)
{
        __u32 control, seen, own = READ_ONCE(f->seen);
        struct flow *other = flow_peer(READ_ONCE(f->peer), index, &control);

        if (!other)
                return own;
        seen = READ_ONCE(other->seen);
        return flow_control(other) == control && (__s32)(seen - own) > 0 ? seen : own;
}

/* The same for a reader of what seems too old, which is not often. */
__noinline int flow_ask_again(__u32 index)
{
        struct flow *f = flow_get(index);

        return f ? flow_last_seen(f, index) : 0;
}

/* Copies the entry, whose index *ret has, if it is a live one of that key: point 2 above. */
static __always_inline bool flow_read(struct flow *f, const struct tuple *key, __u32 now, struct flow_hit *ret)
{
        const __u64 *from = (const __u64 *)&f->new_src;
        __u64 *to = (__u64 *)&ret->to;
        __u32 control = flow_control(f), timeout;

        if (FLOW_STATUS(control) != FLOW_LIVE || !tuple_equal(&f->key, key))
                return false;
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
        if (flow_control(f) != control)
                return false;
        timeout = flow_timeout(key->proto, ((union flow_word){.all = ret->word}).state);
        if (clock_age(now, ret->seen) > timeout)
                ret->seen = flow_ask_again(ret->index);
        return clock_age(now, ret->seen) <= timeout;
}

/* The entry of the packet's tuple (which is aligned to 8), copied to *ret; NULL: none. */
static __always_inline struct flow *flow_find(const struct tuple *key, __u64 hash, __u32 now, struct flow_hit *ret)
{
        __u64 *marks, word, matches;
        __u8 mark = flow_mark_of(hash);
        struct flow *f;
        __u32 way;

        WRITE_ONCE(ret->index, flow_set_of(hash, knobs.flow_sets) * FLOW_WAYS);
        marks = flow_marks_of(ret->index);
        if (!marks)
                return NULL;
        word = READ_ONCE(*marks);
        matches = flow_match(word, mark);
        way = flow_first(word, mark, matches, flow_home_of(hash));
#pragma clang loop unroll(disable)
        for (int i = 0; i < FLOW_WAYS && matches; i++) {
                WRITE_ONCE(ret->index, (READ_ONCE(ret->index) & -FLOW_WAYS) + BOUND(way, FLOW_WAYS - 1));
                f = flow_get(ret->index);
                if (f && flow_read(f, key, now, ret))
                        return f;
                matches &= ~(0x80ULL << BOUND(way, FLOW_WAYS - 1) * 8);
                way = flow_lowest(matches);
        }
        return NULL;
}

/* ---- owning: point 1 above */

/* Changes the byte of a way that is ours. It orders what was written before. */
static __always_inline void flow_leave(__u64 *marks, __u32 way, __u8 from, __u8 to)
{
        __sync_fetch_and_xor(marks, (__u64)(__u8)(from ^ to) << way * 8);
}

/* Makes a way ours that belongs to nobody. *ret_mark: what its byte was. */
static __always_inline bool flow_own(__u64 *marks, __u32 way, __u8 *ret_mark)
{
        for (int i = 0; i < 4; i++) {
                __u64 old = READ_ONCE(*marks);
                __u8 mark = flow_byte(old, way);

                if (!mark || mark & FLOW_MARK_BUSY)
                        return false;
                *ret_mark = mark;
                if (__sync_val_compare_and_swap(marks, old, old | (__u64)FLOW_MARK_BUSY << way * 8) == old)
                        return true;
        }
        return false;
}

/*
 * Frees the entry if it is the one that is meant: of that epoch, or where `half` says so the other half of `of`. False:
 * it is not, or somebody else owns it just now.
 */
static __always_inline bool flow_free(__u32 index, bool half, __u32 of, __u32 epoch)
{
        __u32 way = BOUND(index, FLOW_WAYS - 1), control;
        __u64 *marks = flow_marks_of(index);
        struct flow *f = flow_get(index);
        bool meant;
        __u8 mark;

        if (!f || !marks || !flow_own(marks, way, &mark))
                return false;
        control = f->control;
        meant = FLOW_STATUS(control) == FLOW_LIVE &&
                (half ? f->peer == of : (__u16)FLOW_GENERATION(control) == (__u16)epoch);
        if (meant)
                WRITE_ONCE(f->control, FLOW_CONTROL(FLOW_GENERATION(control), FLOW_FREE));
        flow_leave(marks, way, mark | FLOW_MARK_BUSY, meant ? 0 : mark);
        return meant;
}

static __always_inline void flow_free_peer(__u32 peer, __u32 of)
{
        __u32 control;

        if (flow_peer(peer, of, &control))
                flow_free(peer, true, of, 0);
}

/* Both halves. epoch: of the entry that was found, so that no later one goes. */
__noinline int flow_remove(__u32 index, __u32 peer, __u32 epoch)
{
        if (!flow_free(index, false, 0, epoch))
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

/* Both halves learn what a packet says of the connection's state. */
__noinline int flow_change(const struct flow_hit *hit, __u32 bits)
{
        struct flow *f;
        __u32 control;

        if (!hit)
                return 0;
        f = flow_get(hit->index);
        if (!f)
                return 0;
        flow_add_state(f, ((union flow_word){.all = hit->word}).epoch, bits);
        f = flow_peer(hit->peer, hit->index, &control);
        if (f)
                flow_add_state(f, FLOW_GENERATION(control), flow_mirrored(bits));
        return 0;
}
