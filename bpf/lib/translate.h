/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a packet becomes: p->to, from the flow it is of, or from the service it is to, for which a flow is made. The
 * packet itself stays as it is.
 *
 * A packet of no flow and to no service costs a look into the flow table and the filters' bits, all without a call.
 */
#pragma once

#include "flow_insert.h"
#include "parse.h"
#include "service.h"

/* Only where nothing is translated at the socket: else the compiler knows the answer. */
static __always_inline bool hook_is_lo(__u32 hook)
{
        return !(knobs.flags & KNOB_SOCK) && hook == HOOK_TO_LO;
}

/* What tells a packet's bytes in statistics: its IP length. */
static __always_inline void translate_count(const struct packet *p, __u32 service, bool reply)
{
        struct service_stats *stats = service_stats_get(service);

        if (!stats)
                return;
        if (reply) {
                stats->reply_packets++;
                stats->reply_bytes += p->length;
        } else {
                stats->packets++;
                stats->bytes += p->length;
        }
}

/* The state bits that this packet adds to its own entry. */
static __always_inline __u32 translate_state(const struct packet *p, union flow_word word)
{
        __u32 state = word.state;

        if (word.flags & FLOW_REPLY)
                state |= FLOW_SEEN_REPLY;
        if (p->tuple.proto != IPPROTO_TCP || p->flags & PACKET_LATER)
                return state;
        if (p->tcp & TCP_FIN)
                state |= FLOW_FIN;
        if (p->tcp & TCP_RST)
                state |= FLOW_RST;
        if (!(word.flags & FLOW_REPLY) && !(p->tcp & TCP_SYN) && state & FLOW_SEEN_REPLY)
                state |= FLOW_ESTABLISHED;
        return state;
}

/* The flow goes on by this packet. f: the entry, which may be another flow's by now (flow.h, point 6). */
static __always_inline void translate_account(const struct packet *p, struct flow *f, const struct flow_hit *hit,
                                              __u32 now)
{
        union flow_word word = {.all = hit->word};
        __u32 state = translate_state(p, word);

        f->packets++;
        f->bytes += p->length;
        if (hit->service)
                translate_count(p, hit->service, word.flags & FLOW_REPLY);
        if (hit->seen != now)
                WRITE_ONCE(f->seen, now);
        if (state != word.state)
                flow_change(hit, state);
}

static __always_inline bool translate_is_stale(const struct flow_hit *hit)
{
        return hit->backend && !backend_is_current(hit->backend, hit->generation);
}

/*
 * Is the flow over, and the packet the first of another one? A client may use a port again as soon as its connection is
 * closed, and who knocks at a backend that is gone shall find another: a connection whose backend died was never
 * closed, and is remembered for hours. UDP has no end: it stays with a backend as long as that is the same one.
 */
static __always_inline bool translate_is_over(const struct packet *p, const struct flow_hit *hit)
{
        union flow_word word = {.all = hit->word};

        if (word.flags & FLOW_REPLY)
                return false;
        if (p->tuple.proto == IPPROTO_UDP)
                return translate_is_stale(hit);
        if (p->tuple.proto != IPPROTO_TCP || (p->tcp & (TCP_SYN | TCP_ACK)) != TCP_SYN)
                return false;
        return flow_is_closing(word.state) || translate_is_stale(hit);
}

/* The node's own address of that family. */
static __always_inline const struct addr *node_addr(bool v4)
{
        const struct node *n = map_single(&node);
        const struct addr *a;

        if (!n)
                return NULL;
        a = v4 ? &n->v4 : &n->v6;
        return addr_is_zero(a) ? NULL : a;
}

/* A new flow may keep its source, or has to get the node's: the backend's answers must come back this way. */
static __always_inline bool translate_needs_snat(const struct packet *p, const struct service_choice *c, bool outside)
{
        if (hook_is_lo(p->hook) || addr_equal(&c->addr, &p->tuple.src))
                return true;
        if (outside || p->hook == HOOK_OVERLAY)
                return !(c->backend_flags & BACKEND_LOCAL) && !(c->service_flags & SERVICE_DSR);
        /* A pod's service whose endpoint is not of the cluster: as all that pods send outside. */
        return p->hook == HOOK_FROM_POD && knobs.flags & KNOB_MASQUERADE && !(c->backend_flags & BACKEND_LOCAL) &&
               !route_find(&c->addr);
}

/*
 * Who the backend shall see. Usually the node. A process of the host whose own host is the backend gets the answers to
 * a connection with itself only if they leave the host: from the service's address, which is nobody's.
 */
static __always_inline enum reason translate_source(const struct packet *p, const struct service_choice *c,
                                                    bool outside, struct flow_new *n)
{
        const struct addr *own;

        n->sources = FLOW_PORT_KEEP;
        n->to.src = p->tuple.src;
        if (p->hook == HOOK_TO_UPLINK && c->backend_flags & BACKEND_HOST && c->backend_flags & BACKEND_LOCAL) {
                n->to.src = p->tuple.dst;
                n->flags |= FLOW_SNAT;
        } else if (translate_needs_snat(p, c, outside)) {
                own = node_addr(p->flags & PACKET_V4);
                if (!own)
                        return REASON_NO_ROUTE;
                n->to.src = *own;
                n->flags |= FLOW_SNAT;
                n->sources = FLOW_PORT_OF_RANGE;
        }
        return REASON_OK;
}

/* SCTP's checksum is over its ports and all of the packet: where they change, it cannot be carried. */
static __always_inline bool translate_can(const struct packet *p, const struct tuple *to)
{
        return p->tuple.proto != IPPROTO_SCTP || (to->sport == p->tuple.sport && to->dport == p->tuple.dport);
}

static __always_inline enum reason translate_insert(struct packet *p, struct flow_work *w, __u32 now)
{
        int r;

        if (p->tuple.proto == IPPROTO_SCTP)
                w->fresh.sources = FLOW_PORT_FIXED;
        if (!translate_can(p, &w->fresh.to))
                return REASON_UNSUPPORTED;
        r = flow_insert(now);
        if (r == FLOW_NO_PORT)
                return REASON_SNAT_PORTS;
        if (r != FLOW_ADDED && r != FLOW_EXISTS)
                return REASON_FLOW_TABLE;
        p->to = w->hit.to;
        p->change = CHANGE_WANTED;
        return r == FLOW_ADDED ? REASON_TRANSLATED : REASON_OK;
}

/* The same by the entry's index: of a flow that was just made or found after all, and for XDP, which counts what it
 * sends itself and leaves the rest to the uplink's program. */
static __always_inline void translate_account_at(const struct packet *p, const struct flow_hit *hit, __u32 now)
{
        struct flow *f = flow_get(hit->index);

        if (f)
                translate_account(p, f, hit, now);
}

/* What choosing works on. */
struct translate_work {
        struct service_query query;
        struct service_choice choice;
        __u64 lots; /* of a linear congruential generator, which the flows' hashes stir */
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct translate_work);
        __uint(max_entries, 1);
} translate_scratch SEC(".maps");

static __always_inline void translate_query(const struct packet *p, bool outside, struct service_query *q)
{
        q->client = p->tuple.src;
        q->addr = p->tuple.dst;
        q->port = p->tuple.dport;
        q->proto = p->tuple.proto;
        q->outside = outside;
        q->own_node = hook_is_lo(p->hook) && knobs.flags & KNOB_NODEPORT_LOOPBACK && addr_is_loopback(&p->tuple.dst);
        q->trial = p->hook == HOOK_EDGE;
        q->hash = tuple_hash(&p->tuple) >> 32;
}

/* A helper's random number costs 18 ns. */
static __always_inline __u32 translate_lot(struct translate_work *t)
{
        t->lots = t->lots * 6364136223846793005ULL + t->query.hash;
        return t->lots >> 32;
}

/* A flow to the chosen backend, as far as it does not depend on who asks. */
static __always_inline void translate_fresh(const struct packet *p, const struct service_choice *c, struct flow_new *n)
{
        n->key = p->tuple;
        n->to = p->tuple;
        n->to.dst = c->addr;
        n->to.dport = c->port;
        n->backend = c->backend;
        n->generation = c->generation;
        n->service = c->service;
        n->flags = FLOW_DNAT;
}

/* A packet that may be to a service and is of no flow. REASON_OK: it is to none. */
__noinline int translate_new(struct packet *p, __u32 outside)
{
        struct translate_work *t = map_single(&translate_scratch);
        struct flow_work *w = map_single(&flow_scratch);
        struct service_stats *stats;
        __u32 now = clock_now();
        enum reason r;

        if (!p || !w || !t)
                return REASON_INTERNAL;
        translate_query(p, outside, &t->query);
        t->query.lot = translate_lot(t);
        r = service_choose(&t->query, &t->choice);
        p->service = t->choice.service;
        if (r != REASON_TRANSLATED)
                return r;
        translate_fresh(p, &t->choice, &w->fresh);
        if (outside)
                w->fresh.flags |= FLOW_OUTSIDE;
        r = translate_source(p, &t->choice, outside, &w->fresh);
        if (!r)
                r = translate_insert(p, w, now);
        if (r != REASON_OK && r != REASON_TRANSLATED)
                return r;
        stats = service_stats_get(p->service);
        if (stats && r == REASON_TRANSLATED)
                stats->connections++;
        if (p->hook != HOOK_EDGE)
                translate_account_at(p, &w->hit, now);
        return REASON_TRANSLATED;
}

/* A flow of no service, of which only the source changes. Not as one value, which the compiler makes on the stack. */
static __always_inline void translate_fresh_source(const struct packet *p, struct flow_new *n, __u8 flags,
                                                   enum flow_sources sources)
{
        n->key = p->tuple;
        n->to = p->tuple;
        n->backend = n->generation = n->service = 0;
        n->flags = flags;
        n->sources = sources;
}

/*
 * A pod's packet to the outside of the cluster gets the uplink's address. What has no ports, and is no echo, cannot be
 * told apart when answers come. TCP only when it begins: the rest is of connections that came from outside to the pod
 * itself, whose answers must keep their source, or of those that nobody can save.
 */
__noinline int translate_masquerade(struct packet *p, const struct addr *own)
{
        struct flow_work *w = map_single(&flow_scratch);
        __u32 now = clock_now();
        enum reason r;

        if (!p || !own || !w)
                return REASON_INTERNAL;
        if (p->flags & PACKET_LATER && !p->tuple.sport)
                return REASON_FRAGMENT;
        if (p->tuple.proto == IPPROTO_TCP && (p->tcp & (TCP_SYN | TCP_ACK)) != TCP_SYN)
                return REASON_OK;
        if (p->flags & PACKET_ECHO && p->icmp != ICMP_ECHO && p->icmp != ICMPV6_ECHO_REQUEST)
                return REASON_OK;
        if (!service_proto(p->tuple.proto) && !(p->flags & PACKET_ECHO))
                return REASON_UNSUPPORTED;
        translate_fresh_source(p, &w->fresh, FLOW_SNAT | FLOW_MASQUERADE, FLOW_PORT_OF_RANGE);
        w->fresh.to.src = *own;
        r = translate_insert(p, w, now);
        if (r != REASON_OK && r != REASON_TRANSLATED)
                return r;
        translate_account_at(p, &w->hit, now);
        return REASON_TRANSLATED;
}

/*
 * A pod's packet straight to an endpoint, whose port may be that of a connection to a service there: then the
 * endpoint's answers to both would look the same, and all come from the service. One that is over goes; beside one that
 * is not, the direct connection gets another source port. Only at the pod itself, where no packet has been translated
 * before. A direct connection that was there first has no state, and is not found.
 */
__noinline int translate_beside(struct packet *p)
{
        struct flow_work *w = map_single(&flow_scratch);
        __u32 now = clock_now();
        union flow_word word;
        enum reason r;

        if (!p || !w)
                return REASON_INTERNAL;
        tuple_reverse(&p->tuple, &w->reply);
        if (!flow_find(&w->reply, tuple_hash(&w->reply), now, &w->hit))
                return REASON_OK;
        word.all = w->hit.word;
        if (!(word.flags & FLOW_REPLY))
                return REASON_OK;
        if (flow_is_closing(word.state)) {
                flow_remove(w->hit.index, w->hit.peer, word.epoch);
                return REASON_OK;
        }
        translate_fresh_source(p, &w->fresh, FLOW_SNAT, FLOW_PORT_KEEP);
        r = translate_insert(p, w, now);
        if (r != REASON_OK && r != REASON_TRANSLATED)
                return r;
        translate_account_at(p, &w->hit, now);
        return REASON_TRANSLATED;
}

static __always_inline bool translate_begins(const struct packet *p)
{
        if (p->tuple.proto == IPPROTO_TCP)
                return (p->tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN && !(p->flags & PACKET_LATER);
        return p->tuple.proto == IPPROTO_UDP;
}

/*
 * REASON_OK: as it is (p->to is p->tuple). REASON_TRANSLATED: p->to is something else. Else the packet goes no further.
 * outside: the client of a new flow would be outside of the cluster.
 */
static __always_inline enum reason translate(struct packet *p, bool outside)
{
        __u64 hash = tuple_hash(&p->tuple);
        __u32 now = clock_now();
        struct flow_work *w = map_single(&flow_scratch);
        struct flow_hit *hit;
        struct flow *f;
        enum reason r;

        if (!w)
                return REASON_INTERNAL;
        hit = &w->hit;
        f = flow_find(&p->tuple, hash, now, hit);
        if (f && !translate_is_over(p, hit)) {
#ifndef HOOK_XDP
                translate_account(p, f, hit, now);
#endif
                p->to = hit->to;
                p->change = CHANGE_WANTED;
                p->service = hit->service;
                return REASON_TRANSLATED;
        }
        p->to = p->tuple;
        if (f) {
                flow_remove(hit->index, hit->peer, ((union flow_word){.all = hit->word}).epoch);
                FLOW_COUNT(stale);
        }
        if (service_filter(&p->tuple.dst, p->tuple.dport, p->tuple.proto)) {
                r = translate_new(p, outside);
                if (r != REASON_OK)
                        return r;
        }
        return p->hook == HOOK_FROM_POD && translate_begins(p) ? translate_beside(p) : REASON_OK;
}
