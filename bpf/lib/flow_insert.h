/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * New connections in the flow table: claiming an entry for each direction, what makes room where there is none, and the
 * search for a source port. Points 1 to 4 of the essay in flow.h are kept here.
 */
#pragma once

#include "flow.h"

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

#define FLOW_NOWHERE 0xffffffff

enum { FLOW_TRIES = FLOW_WAYS + 12, FLOW_SPINS = 32, FLOW_PORT_TRIES = 24 };

/* In memory and not in registers, of which the verifier would keep every combination apart. */
struct flow_survey {
        __u64 marks; /* as they were */
        __u32 best, best_score;
        __u32 found; /* way + 1 of the live entry of the key */
        __u32 busy;  /* somebody else owns a way of that mark */
        __u32 now;
        __u32 score, timeout; /* of the way that is looked at */
        __u32 mark;
        __u32 own; /* index of a way that is ours already, or FLOW_NOWHERE */
        __u32 pad;
};

/* A way that is ours. */
struct flow_claim {
        __u32 index, generation;
        __u32 mark;
        __u32 pad;
};

/* A pair that is over, though not yet too old, and whose source port was wanted. */
struct flow_over {
        __u32 index, peer;
        __u32 age; /* seconds, of its last packet; 0: there is none */
        __u16 epoch;
        __be16 port;
};

/* What inserting works on; see maps.h about scratch. The caller of flow_insert fills in `fresh` and finds `hit`. */
struct flow_work {
        struct flow_new fresh;
        struct flow_hit hit;
        struct tuple reply, back; /* the reply entry's key and what it makes of it */
        struct flow_claim there, home;
        struct flow_survey survey;
        struct flow_over over;
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

/* A live entry. Whether it still is, tells the compare-and-swap of the marks. */
static __always_inline void flow_survey_live(struct flow *f, __u32 way, const struct tuple *key, struct flow_survey *s)
{
        __u8 state = READ_ONCE(f->state), proto = READ_ONCE(f->key.proto);
        __u32 age = clock_age(s->now, READ_ONCE(f->seen));
        bool same = flow_byte(s->marks, way) == s->mark && tuple_equal(&f->key, key);

        WRITE_ONCE(s->timeout, flow_timeout(proto, state));
        if (age <= READ_ONCE(s->timeout)) {
                WRITE_ONCE(s->score, flow_score(age, proto, state, way + s->mark));
                if (same)
                        s->found = way + 1;
        } else {
                WRITE_ONCE(s->score, same ? SCORE_SAME : SCORE_OLD);
        }
}

static __always_inline void flow_survey_way(struct flow *f, __u32 first, __u32 way, const struct tuple *key,
                                            struct flow_survey *s)
{
        __u8 mark = flow_byte(s->marks, way);

        WRITE_ONCE(s->score, 0);
        if (mark & FLOW_MARK_BUSY) {
                if (mark == (s->mark | FLOW_MARK_BUSY) && first + way != s->own)
                        s->busy = 1;
        } else if (!mark || FLOW_STATUS(flow_control(f)) != FLOW_LIVE) {
                WRITE_ONCE(s->score, SCORE_FREE);
        } else {
                flow_survey_live(f, way, key, s);
        }
        if (READ_ONCE(s->score) > READ_ONCE(s->best_score)) {
                s->best_score = s->score;
                s->best = way;
        }
}

static __always_inline void flow_survey_set(__u32 first, const struct tuple *key, struct flow_survey *s)
{
        struct flow_set *set = flow_set_get(first);

        s->best_score = s->found = s->busy = 0;
        if (!set)
                return;
        for (int i = 0; i < FLOW_WAYS; i++)
                flow_survey_way(&set->flow[i], first, i, key, s);
}

/* The end of point 3, for who has claimed `own`: is the key in another way of its mark after all? */
static __always_inline bool flow_is_elsewhere(__u32 first, __u32 own, const struct tuple *key, __u64 marks, __u8 mark)
{
        struct flow_set *set = flow_set_get(first);

        if (!set)
                return true;
        for (__u32 i = 0; i < FLOW_WAYS; i++)
                if (flow_byte(marks, i) == mark && i != own && FLOW_STATUS(flow_control(&set->flow[i])) == FLOW_LIVE &&
                    tuple_equal(&set->flow[i].key, key))
                        return true;
        return false;
}

/* The way is ours from now on. */
static __always_inline void flow_begin(struct flow *f, __u32 index, __u8 mark, struct flow_claim *ret)
{
        ret->index = index;
        ret->generation = FLOW_GENERATION(f->control) + 1;
        ret->mark = mark;
        WRITE_ONCE(f->control, FLOW_CONTROL(ret->generation, FLOW_BUSY));
        flow_barrier(f);
}

static __always_inline void flow_unclaim(const struct flow_claim *c)
{
        __u64 *marks = flow_marks_of(c->index);
        struct flow *f = flow_get(c->index);

        if (!f || !marks)
                return;
        WRITE_ONCE(f->control, FLOW_CONTROL(c->generation, FLOW_FREE));
        flow_leave(marks, BOUND(c->index, FLOW_WAYS - 1), c->mark | FLOW_MARK_BUSY, 0);
}

/* Makes the way ours that the survey chose. False: the set has changed since. */
static __always_inline bool flow_take(__u64 *marks, __u32 index, struct flow_survey *s, struct flow_claim *ret)
{
        __u32 way = BOUND(index, FLOW_WAYS - 1);
        __u64 busy = (s->marks & ~(0xffULL << way * 8)) | (__u64)(s->mark | FLOW_MARK_BUSY) << way * 8;
        struct flow *f = flow_get(index);
        bool live;

        if (!f || __sync_val_compare_and_swap(marks, s->marks, busy) != s->marks)
                return false;
        live = FLOW_STATUS(f->control) == FLOW_LIVE;
        flow_begin(f, index, s->mark, ret);
        if (!live)
                return true;
        flow_free_peer(f->peer, index);
        if (s->best_score >= SCORE_OLD)
                FLOW_COUNT(expired);
        else
                FLOW_COUNT(evicted);
        return true;
}

/* The survey went by what the entries say themselves. Of the one that shall go, the other half is asked, too: it may be
 * younger, and is then looked at again as such. */
static __always_inline bool flow_is_younger(__u32 index, const struct flow_survey *s)
{
        struct flow *f = flow_get(index);
        __u32 seen;

        if (!f || s->best_score == SCORE_FREE)
                return false;
        seen = flow_last_seen(f, index);
        if (seen == READ_ONCE(f->seen) ||
            clock_age(s->now, seen) > flow_timeout(READ_ONCE(f->key.proto), READ_ONCE(f->state)))
                return false;
        WRITE_ONCE(f->seen, seen);
        return true;
}

/* One look and one try. FLOW_AGAIN: another look may find it otherwise. */
__noinline int flow_claim_once(const struct tuple *key, struct flow_claim *ret, __u32 first, __u32 mark, __u32 now)
{
        struct flow_work *work = map_single(&flow_scratch);
        __u64 *marks = flow_marks_of(first);
        struct flow_survey *s;
        __u32 way;

        if (!key || !ret || !work || !marks)
                return FLOW_NO_ROOM;
        s = &work->survey;
        s->now = now;
        s->mark = mark;
        s->marks = READ_ONCE(*marks);
        flow_survey_set(first, key, s);
        if (s->found) {
                ret->index = first + s->found - 1;
                return FLOW_EXISTS;
        }
        if (s->busy) {
                for (int i = 0; i < FLOW_SPINS && READ_ONCE(*marks) == s->marks; i++)
                        ;
                return FLOW_AGAIN;
        }
        if (!s->best_score)
                return FLOW_NO_ROOM;
        way = BOUND(s->best, FLOW_WAYS - 1);
        if (flow_is_younger(first + way, s))
                return FLOW_AGAIN;
        if (!flow_take(marks, first + way, s, ret))
                return FLOW_AGAIN;
        if (!flow_is_elsewhere(first, way, key, s->marks, mark))
                return FLOW_ADDED;
        flow_unclaim(ret);
        return FLOW_AGAIN;
}

/* As flow_claim, where the set is full, has an entry of the same mark, or has just changed. */
static __always_inline int flow_claim_slowly(const struct tuple *key, struct flow_claim *ret, __u32 first, __u32 mark,
                                             __u32 now)
{
        int r = FLOW_AGAIN;

        for (int i = 0; i < FLOW_TRIES && r == FLOW_AGAIN; i++)
                r = flow_claim_once(key, ret, first, mark, now);
        return r == FLOW_AGAIN ? FLOW_NO_ROOM : r;
}

/*
 * Reserves an entry for the key, which is then BUSY. FLOW_ADDED, FLOW_EXISTS with the index of the one that is there,
 * or FLOW_NO_ROOM, also when others keep the set busy.
 */
static __always_inline int flow_claim(const struct tuple *key, struct flow_claim *ret, __u32 now)
{
        __u64 hash = tuple_hash(key), *marks, old, free;
        __u32 first = flow_set_of(hash, knobs.flow_sets) * FLOW_WAYS, way;
        __u8 mark = flow_mark_of(hash);
        struct flow *f;

        marks = flow_marks_of(first);
        if (!marks)
                return FLOW_NO_ROOM;
        old = READ_ONCE(*marks);
        free = flow_match(old, 0);
        way = BOUND(flow_first(old, 0, free, flow_home_of(hash)), FLOW_WAYS - 1);
        f = flow_get(first + way);
        if (!f)
                return FLOW_NO_ROOM;
        if (!free || flow_match(old & ~(FLOW_BYTES << 7), mark) ||
            __sync_val_compare_and_swap(marks, old, old | (__u64)(mark | FLOW_MARK_BUSY) << way * 8) != old)
                return flow_claim_slowly(key, ret, first, mark, now);
        flow_begin(f, first + way, mark, ret);
        return FLOW_ADDED;
}

/* Fills in a claimed entry and makes it LIVE; then it is nobody's. Whoever sees LIVE sees the rest. */
static __always_inline void flow_publish(const struct flow_claim *c, const struct tuple *key, const struct tuple *to,
                                         const struct flow_new *n, __u32 flags, __u32 peer, __u32 now)
{
        __u64 *marks = flow_marks_of(c->index);
        struct flow *f = flow_get(c->index);

        if (!f || !marks)
                return;
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
        flow_barrier(f);
        WRITE_ONCE(f->control, FLOW_CONTROL(c->generation, FLOW_LIVE));
        flow_leave(marks, BOUND(c->index, FLOW_WAYS - 1), c->mark | FLOW_MARK_BUSY, c->mark);
}

/* Point 4: the entry of a reply key that is taken leads back to our own forward key. */
static __always_inline bool flow_drop_orphan(__u32 taken, const struct tuple *key)
{
        struct flow *f = flow_get(taken);
        __u32 control;

        if (!f)
                return false;
        control = flow_control(f);
        if (FLOW_STATUS(control) != FLOW_LIVE || !addr_equal(&f->new_dst, &key->src) ||
            !addr_equal(&f->new_src, &key->dst) || f->new_dport != key->sport || f->new_sport != key->dport)
                return false;
        return flow_free(taken, false, 0, FLOW_GENERATION(control));
}

/*
 * The source port of a try. Where there are few, each of them; else by chance: by steps of one length clients would
 * crowd behind each other, and not find what is free.
 */
static __always_inline __be16 flow_port(const struct flow_work *w, int try)
{
        __be16 wanted = READ_ONCE(w->port_wanted);
        __u32 min = knobs.snat_port_min, size = knobs.snat_port_max - min + 1, port = bpf_ntohs(wanted);
        __u32 lot = READ_ONCE(w->port_start);

        if (try == 0 && (w->fresh.sources != FLOW_PORT_OF_RANGE || port - min < size))
                return wanted;
        if (size >= FLOW_PORT_TRIES) {
                lot = (lot + (__u32)try * 0x9e3779b1u) * 0x85ebca6bu;
                return bpf_htons(min + (lot ^ lot >> 15) % size);
        }
        return bpf_htons(min + (lot % (size ?: 1) + (__u32)try) % (size ?: 1));
}

static __always_inline int flow_claim_reply_once(struct flow_work *w, __u32 now)
{
        int r;

        if (tuple_equal(&w->reply, &w->fresh.key)) /* the forward key, which is claimed */
                return FLOW_EXISTS;
        r = flow_claim(&w->reply, &w->home, now);
        if (r == FLOW_EXISTS && flow_drop_orphan(w->home.index, &w->fresh.key))
                r = flow_claim(&w->reply, &w->home, now);
        return r;
}

/*
 * The port of the try belongs to the pair at w->home. One that is closed rests for tcp_closing, so that what of it is
 * still under way finds it; when no port is free, the one that has rested longest is given up. Never in the second of
 * its last packet: that may have to be sent again, and who was only said to be reset goes on. The endpoint may remember
 * the old connection for a minute (TIME_WAIT): it takes a SYN with a later timestamp or sequence number (RFC 6191; RFC
 * 9293, 3.10.7.4), and answers another one so that the client resets it and tries again. A SYN that is dropped here
 * would wait longer.
 */
static __always_inline void flow_note_over(struct flow_work *w, __u32 now)
{
        struct flow *f = flow_get(w->home.index);
        union flow_word word;
        __u32 age;

        if (!f)
                return;
        word.all = READ_ONCE(*flow_word_of(f));
        if (!flow_is_closing(word.state))
                return;
        age = clock_age(now, flow_last_seen(f, w->home.index));
        if (age <= READ_ONCE(w->over.age))
                return;
        w->over.index = w->home.index;
        w->over.peer = READ_ONCE(f->peer);
        w->over.age = age;
        w->over.epoch = word.epoch;
        w->over.port = w->fresh.to.sport;
}

/* Frees the port of the pair that is over the longest of those that were met, if it still is that one. */
static __always_inline bool flow_take_over(struct flow_work *w)
{
        if (!READ_ONCE(w->over.age) || !flow_remove(w->over.index, w->over.peer, w->over.epoch))
                return false;
        FLOW_COUNT(taken_over);
        w->fresh.to.sport = w->over.port;
        return true;
}

/* Reserves the reply's key, with whatever source port it takes. */
static __always_inline int flow_claim_reply(struct flow_work *w, __u32 now)
{
        int r;

        WRITE_ONCE(w->port_start, (__u32)(tuple_hash(&w->fresh.key) >> 16));
        WRITE_ONCE(w->port_wanted, w->fresh.to.sport);
        WRITE_ONCE(w->over.age, 0);
        w->survey.own = w->there.index;
        for (int i = 0; i <= FLOW_PORT_TRIES; i++) {
                if (i < FLOW_PORT_TRIES)
                        w->fresh.to.sport = flow_port(w, i);
                else if (!flow_take_over(w))
                        break;
                tuple_reverse(&w->fresh.to, &w->reply);
                r = flow_claim_reply_once(w, now);
                if (r != FLOW_EXISTS)
                        return r;
                FLOW_COUNT(port_collisions);
                if (w->fresh.sources == FLOW_PORT_FIXED)
                        break;
                flow_note_over(w, now);
        }
        return FLOW_NO_PORT;
}

static __always_inline int flow_claim_both(struct flow_work *w, __u32 now)
{
        struct flow *f;
        int r;

        w->survey.own = FLOW_NOWHERE;
        r = flow_claim(&w->fresh.key, &w->there, now);

        w->hit.index = w->there.index;
        if (r == FLOW_EXISTS) {
                f = flow_get(w->there.index);
                return f && flow_read(f, &w->fresh.key, now, &w->hit) ? FLOW_EXISTS : FLOW_NO_ROOM;
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
