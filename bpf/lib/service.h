/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From a destination to a backend: the same for a connect() and for a packet. service_filter tells with three loads
 * that most destinations are no service's; service_choose does the rest, once for each new flow.
 */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>

#include "addr.h"
#include "clock.h"
#include "maps.h"
#include "routes.h"

struct service_query {
        struct addr client; /* whom affinity and source ranges are about; sock: see struct affinity_key */
        struct addr addr;   /* the destination */
        __be16 port;
        __u8 proto;
        bool outside;  /* the client is outside the cluster */
        bool own_node; /* the destination is known to be this node (loopback), whatever the routes say */
        bool trial;    /* another hook asks again when this one is refused: do not count it */
        __u8 pad[2];
        __u32 hash; /* of the flow, for permutation tables; clients that have no flow yet give a random number */
        __u32 lot;  /* a random number, for the others */
};

struct service_choice {
        struct addr addr; /* the backend */
        __be16 port;
        __u8 backend_flags; /* enum backend_flags */
        __u8 pad;
        __u32 service, service_flags; /* service is set also when the choice fails for want of endpoints */
        __u32 backend, generation;
};

enum service_filter {
        FILTER_ADDRESS = 1, /* the address may be a service's */
        FILTER_PORT = 2,    /* if the address is a node's, the port may be a NodePort */
};

static __always_inline bool filter_bit(const __u64 *bits, __u32 i, __u32 size)
{
        return READ_ONCE(bits[BOUND(i >> 6, size / 64 - 1)]) >> (i & 63) & 1;
}

/* 0: no service, for sure. */
static __always_inline __u32 service_filter(const struct addr *a, __be16 port, __u8 proto)
{
        const struct filters *f = map_single(&filters);
        __u32 ret = 0, p = bpf_ntohs(port);

        if (!f)
                return 0;
        if (filter_bit(f->address, addr_filter_bit(a), ADDRESS_BITS))
                ret |= FILTER_ADDRESS;
        if (proto == IPPROTO_TCP && filter_bit(f->tcp, p, PORT_BITS))
                ret |= FILTER_PORT;
        else if (proto == IPPROTO_UDP && filter_bit(f->udp, p, PORT_BITS))
                ret |= FILTER_PORT;
        else if (proto == IPPROTO_SCTP && filter_bit(f->sctp, p, PORT_BITS))
                ret |= FILTER_PORT;
        return ret;
}

/* Of this CPU; NULL for id 0 and ids that are none. */
static __always_inline struct service_stats *service_stats_get(__u32 id)
{
        return id ? bpf_map_lookup_elem(&service_stats, &id) : NULL;
}

/*
 * Copies the frontend. An element of a hash map may be given to another key while it is read (the kernel reuses it at
 * once when the agent replaces a value), so the copy counts only if the key has the same element afterwards. For the
 * same reason a key that is there may be missed once, by a look-up that was at the element at that moment.
 */
static __always_inline bool service_get(const struct addr *a, __be16 port, __u8 proto, struct service *ret)
{
        struct service_key key = {.addr = *a, .port = port, .proto = proto};
        const struct service *svc;

        for (int i = 0; i < 3; i++) {
                svc = bpf_map_lookup_elem(&services, &key);
                if (!svc && i)
                        return false;
                if (!svc)
                        continue;
                *ret = *(const volatile struct service *)svc;
                if (svc == bpf_map_lookup_elem(&services, &key))
                        return true;
        }
        return false;
}

static __always_inline bool service_proto(__u8 proto)
{
        return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* The frontend of that port of any node's address, if the destination is such an address. A hostPort is only this
 * node's: a port of the same number elsewhere is none of it. */
static __always_inline bool service_of_node(const struct service_query *q, const struct route *route,
                                            struct service *ret)
{
        struct addr any = addr_is_v4(&q->addr) ? addr_of_v4(0) : (struct addr){};
        bool own;

        if (!q->own_node && (!route || !(route->flags & ROUTE_NODEPORT)))
                return false;
        own = q->own_node || route->type == ROUTE_HOST;
        if (!own && route->type != ROUTE_NODE)
                return false;
        return service_get(&any, q->port, q->proto, ret) && (own || !(ret->flags & SERVICE_HOSTPORT));
}

/*
 * Finds the frontend: REASON_TRANSLATED and a copy of it, or REASON_OK when the destination is no service's. An exact
 * frontend goes before a NodePort. What a service's address does not offer is refused, so that no packet wanders about
 * in search of a virtual address; but a node's address is a node's, though it be an external IP as well. A loopback
 * address (the hostIP of a hostPort) is the node's own: a pod that speaks to itself means itself, and what comes with
 * such an address from elsewhere is nobody's.
 */
static __always_inline enum reason service_find(const struct service_query *q, struct service *ret)
{
        bool known = service_proto(q->proto);
        __u32 filter = service_filter(&q->addr, q->port, q->proto);
        const struct route *route;

        if (!q->own_node && addr_is_loopback(&q->addr))
                return REASON_OK;
        if (filter & FILTER_ADDRESS && known && service_get(&q->addr, q->port, q->proto, ret))
                return REASON_TRANSLATED;
        if (!filter)
                return REASON_OK;
        route = route_find(&q->addr);
        if (filter & FILTER_PORT && service_of_node(q, route, ret))
                return REASON_TRANSLATED;
        if (!(filter & FILTER_ADDRESS) || q->own_node)
                return REASON_OK;
        if (route && (route->type == ROUTE_HOST || route->type == ROUTE_NODE))
                return REASON_OK;
        if (!service_get(&q->addr, 0, 0, ret))
                return REASON_OK;
        if (known || q->proto == IPPROTO_ICMP || q->proto == IPPROTO_ICMPV6)
                return REASON_UNKNOWN_PORT;
        return REASON_UNSUPPORTED;
}

/* May a client outside use it at all? */
static __always_inline enum reason service_admit(const struct service_query *q, const struct service *svc)
{
        struct range_key key = {.prefixlen = 32 + 128, .service = svc->id, .addr = q->client};

        if (!q->outside)
                return REASON_OK;
        if (!(svc->flags & (SERVICE_EXTERNAL | SERVICE_HOSTPORT)))
                return REASON_UNKNOWN_PORT;
        if (svc->flags & SERVICE_RANGES && !bpf_map_lookup_elem(&source_ranges, &key))
                return REASON_SOURCE_RANGE;
        return REASON_OK;
}

static __always_inline const struct backend *backend_get(__u32 id)
{
        return id ? bpf_map_lookup_elem(&backends, &id) : NULL;
}

/* Whoever remembers a backend asks whether it still is the same one. */
static __always_inline bool backend_is_current(__u32 id, __u32 generation)
{
        const struct backend *b = backend_get(id);

        return b && b->service && b->generation == generation;
}

/* The id at a hash's place in the range, which is not empty. 0: none. */
static __always_inline __u32 slot_pick(const struct slot_range *range, __u32 hash)
{
        __u32 i = range->base + (__u32)((__u64)hash * range->size >> 32);
        __u32 line = i / SLOT_LINE;
        const struct slot_line *l = bpf_map_lookup_elem(&slots, &line);

        return l ? l->backend[BOUND(i, SLOT_LINE - 1)] : 0;
}

/* Of a backend that drains only the connections stay, not the clients. local: a policy lets only this node's serve, and
 * the client may have got another by an address that has none. */
static __always_inline __u32 affinity_find(const struct affinity_key *key, __u32 max_age, __u32 now, bool local)
{
        const struct affinity *a = bpf_map_lookup_elem(&affinity, key);
        const struct backend *b;

        if (!a || clock_age(now, a->seen) > max_age)
                return 0;
        b = backend_get(a->backend);
        if (!b || !b->service || b->generation != a->generation || b->flags & BACKEND_TERMINATING)
                return 0;
        if (local && !(b->flags & BACKEND_LOCAL))
                return 0;
        return a->backend;
}

static __always_inline __u32 service_pick(const struct service_query *q, const struct service *svc,
                                          const struct slot_range *range)
{
        bool hash = svc->flags & (q->outside ? SERVICE_HASH_OUT : SERVICE_HASH_IN);
        struct affinity_key key = {.client = q->client, .service = svc->id, .outside = q->outside};
        struct affinity value = {};
        const struct backend *b;
        __u32 id;

        if (!(svc->flags & SERVICE_AFFINITY))
                return slot_pick(range, hash ? q->hash : q->lot);
        value.seen = clock_now();
        id = affinity_find(&key, svc->affinity_s, value.seen,
                           svc->flags & (q->outside ? SERVICE_DROP_OUT : SERVICE_DROP_IN));
        if (!id)
                id = slot_pick(range, hash ? addr_hash(&q->client) : q->lot);
        b = backend_get(id);
        if (b) {
                value.backend = id;
                value.generation = b->generation;
                bpf_map_update_elem(&affinity, &key, &value, BPF_ANY);
        }
        return id;
}

static __always_inline enum reason service_choose_backend(const struct service_query *q, const struct service *svc,
                                                          struct service_choice *ret)
{
        struct slot_range range = q->outside ? svc->out : svc->in;
        const struct backend *b;

        if (!range.size)
                return svc->flags & (q->outside ? SERVICE_DROP_OUT : SERVICE_DROP_IN) ? REASON_NO_LOCAL_ENDPOINTS
                                                                                      : REASON_NO_ENDPOINTS;
        ret->backend = service_pick(q, svc, &range);
        b = backend_get(ret->backend);
        if (!b || b->service != svc->id)
                return REASON_NO_BACKEND;
        ret->addr = b->addr;
        ret->port = b->port;
        ret->backend_flags = b->flags;
        ret->generation = b->generation;
        return REASON_TRANSLATED;
}

/*
 * REASON_OK: no service, *ret is all zero. REASON_TRANSLATED: *ret is the backend. Else why not. Affinity is remembered
 * here, and a refusal counted; a connection is counted by who makes one.
 */
__noinline int service_choose(const struct service_query *q, struct service_choice *ret)
{
        struct service svc = {};
        struct service_stats *stats;
        enum reason r;

        if (!q || !ret)
                return REASON_INTERNAL;
        __builtin_memset(ret, 0, sizeof(*ret));
        r = service_find(q, &svc);
        if (r != REASON_TRANSLATED)
                return r;
        r = service_admit(q, &svc);
        if (r)
                return r;
        ret->service = svc.id;
        ret->service_flags = svc.flags;
        r = service_choose_backend(q, &svc, ret);
        if (r == REASON_TRANSLATED)
                return r;
        stats = service_stats_get(ret->service);
        if (stats && !q->trial)
                stats->refused++;
        return r;
}
