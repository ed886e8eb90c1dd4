/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bpf/abi/hash.h"
#include "ctl/trace_choice.h"
#include "datapath/address.h"

int trace_route(const struct maps *maps, const struct addr *a, struct route *ret)
{
        struct route_key key = {.prefixlen = 128, .addr = *a};
        int r = map_lookup(maps->m[MAP_ROUTES], &key, ret);

        if (r == -ENOENT) {
                *ret = (struct route){.type = ROUTE_NONE};
                return 0;
        }
        return r;
}

static bool is_loopback(const struct addr *a)
{
        if (address_is_v4(a))
                return a->b[12] == 127 || !a->w[3];
        return !(a->w[0] | a->w[1] | a->w[2]) && (!a->w[3] || a->w[3] == htonl(1));
}

static bool has_ports(uint8_t proto)
{
        return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* ---- the frontend */

static int get(const struct maps *maps, const struct service_key *key, struct trace_choice *c)
{
        int r = map_lookup(maps->m[MAP_SERVICES], key, &c->service);

        if (r == 0) {
                c->frontend = *key;
                c->found = true;
        }
        return r;
}

/* A NodePort or hostPort. */
static int find_of_node(const struct maps *maps, const struct trace_ask *ask, const struct route *route,
                        struct trace_choice *c)
{
        struct service_key key = {.port = ask->tuple.dport, .proto = ask->tuple.proto};
        bool own = ask->own_node || route->type == ROUTE_HOST;
        int r;

        if (!ask->own_node && !(route->flags & ROUTE_NODEPORT))
                return -ENOENT;
        if (!own && route->type != ROUTE_NODE)
                return -ENOENT;
        if (address_is_v4(&ask->tuple.dst))
                key.addr = address_of_v4(0);
        r = get(maps, &key, c);
        if (r == 0 && !own && c->service.flags & SERVICE_HOSTPORT) {
                c->found = false;
                return -ENOENT;
        }
        return r;
}

static int find(const struct maps *maps, const struct trace_ask *ask, struct trace_choice *c)
{
        const struct tuple *t = &ask->tuple;
        struct service_key key = {.addr = t->dst, .port = t->dport, .proto = t->proto};
        struct service owner;
        struct route route;
        int r = trace_route(maps, &t->dst, &route);

        c->reason = REASON_OK;
        if (r || (!ask->own_node && is_loopback(&t->dst)))
                return r;
        r = has_ports(t->proto) ? get(maps, &key, c) : -ENOENT;
        if (r == -ENOENT && has_ports(t->proto))
                r = find_of_node(maps, ask, &route, c);
        if (r != -ENOENT) {
                c->reason = REASON_TRANSLATED;
                return r;
        }
        if (ask->own_node || route.type == ROUTE_HOST || route.type == ROUTE_NODE)
                return 0;
        key.port = 0;
        key.proto = 0;
        r = map_lookup(maps->m[MAP_SERVICES], &key, &owner);
        if (r == 0)
                c->reason = has_ports(t->proto) || t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6
                                    ? REASON_UNKNOWN_PORT
                                    : REASON_UNSUPPORTED;
        return r == -ENOENT ? 0 : r;
}

static int admit(const struct maps *maps, const struct trace_ask *ask, struct trace_choice *c)
{
        struct range_key key = {.prefixlen = 32 + 128, .service = c->service.id, .addr = ask->tuple.src};
        __u8 value;
        int r;

        if (!ask->outside)
                return 0;
        if (!(c->service.flags & (SERVICE_EXTERNAL | SERVICE_HOSTPORT)))
                c->reason = REASON_UNKNOWN_PORT;
        if (c->reason != REASON_TRANSLATED || !(c->service.flags & SERVICE_RANGES))
                return 0;
        r = map_lookup(maps->m[MAP_SOURCE_RANGES], &key, &value);
        if (r == -ENOENT)
                c->reason = REASON_SOURCE_RANGE;
        return r == -ENOENT ? 0 : r;
}

/* ---- the endpoint */

static int read_slot(const struct maps *maps, uint32_t slot, uint32_t *ret)
{
        struct slot_line line;
        uint32_t index = slot / SLOT_LINE;
        int r = map_lookup(maps->m[MAP_SLOTS], &index, &line);

        if (r == 0)
                *ret = line.backend[slot % SLOT_LINE];
        return r;
}

bool trace_choice_has(const struct trace_choice *c, uint32_t backend)
{
        for (uint32_t i = 0; i < c->endpoints_n; i++)
                if (c->endpoints[i] == backend)
                        return true;
        return false;
}

static int read_endpoints(const struct maps *maps, struct slot_range range, struct trace_choice *c)
{
        c->slots = range.size;
        c->endpoints = mem_array(uint32_t, range.size + 1);
        for (uint32_t i = 0; i < range.size; i++) {
                uint32_t id;
                int r = read_slot(maps, range.base + i, &id);

                if (r)
                        return r;
                if (!trace_choice_has(c, id))
                        c->endpoints[c->endpoints_n++] = id;
        }
        return 0;
}

struct affinity_key trace_affinity_key(const struct trace_ask *ask, uint32_t service)
{
        return (struct affinity_key){.client = ask->tuple.src, .service = service, .outside = ask->outside};
}

static bool may_stay(const struct maps *maps, const struct affinity *a)
{
        struct backend b;

        return map_lookup(maps->m[MAP_BACKENDS], &a->backend, &b) == 0 && b.service && b.generation == a->generation &&
               !(b.flags & BACKEND_TERMINATING);
}

/* The memory of the client, if there is one that counts. */
static int recall(const struct maps *maps, const struct trace_ask *ask, struct trace_choice *c)
{
        struct affinity_key key = trace_affinity_key(ask, c->service.id);
        int r = map_lookup(maps->m[MAP_AFFINITY], &key, &c->affinity);

        c->remembers = true;
        if (r)
                return r == -ENOENT ? 0 : r;
        c->remembered = true;
        c->idle_s = ask->now > c->affinity.seen ? ask->now - c->affinity.seen : 0;
        if (c->idle_s > c->service.affinity_s || !may_stay(maps, &c->affinity))
                return 0;
        c->how = TRACE_AFFINITY;
        c->backend = c->affinity.backend;
        return 0;
}

static uint32_t client_hash(const struct addr *a)
{
        struct tuple t __attribute__((aligned(8))) = {.src = *a};

        return (uint32_t)(tuple_hash(&t) >> 32);
}

static int pick(const struct maps *maps, const struct trace_ask *ask, struct slot_range range, struct trace_choice *c)
{
        bool permutation = c->service.flags & (ask->outside ? SERVICE_HASH_OUT : SERVICE_HASH_IN);
        bool affinity = c->service.flags & SERVICE_AFFINITY;
        uint32_t hash = affinity ? client_hash(&ask->tuple.src) : (uint32_t)(tuple_hash(&ask->tuple) >> 32);
        int r = affinity && !ask->socket ? recall(maps, ask, c) : 0;

        c->remembers = affinity;
        if (r || c->how == TRACE_AFFINITY || !permutation || ask->socket)
                return r;
        c->how = TRACE_PERMUTATION;
        return read_slot(maps, range.base + (uint32_t)((uint64_t)hash * range.size >> 32), &c->backend);
}

int trace_choose(const struct maps *maps, const struct trace_ask *ask, struct trace_choice *ret)
{
        struct trace_choice c = TRACE_CHOICE_NULL;
        struct slot_range range;
        int r = find(maps, ask, &c);

        if (r == 0 && c.found)
                r = admit(maps, ask, &c);
        range = ask->outside ? c.service.out : c.service.in;
        if (r == 0 && c.found)
                r = read_endpoints(maps, range, &c);
        if (r == 0 && c.found && c.reason == REASON_TRANSLATED && !range.size)
                c.reason = c.service.flags & (ask->outside ? SERVICE_DROP_OUT : SERVICE_DROP_IN)
                                   ? REASON_NO_LOCAL_ENDPOINTS
                                   : REASON_NO_ENDPOINTS;
        if (r == 0 && c.found && c.reason == REASON_TRANSLATED)
                r = pick(maps, ask, range, &c);
        if (r)
                trace_choice_deinit(&c);
        else
                *ret = c;
        return r;
}

void trace_choice_deinit(struct trace_choice *c)
{
        free(c->endpoints);
        *c = TRACE_CHOICE_NULL;
}

uint32_t trace_backend_at(const struct maps *maps, const struct trace_choice *c, const struct addr *a, __be16 port)
{
        for (uint32_t i = 0; i < c->endpoints_n; i++) {
                struct backend b;

                if (map_lookup(maps->m[MAP_BACKENDS], &c->endpoints[i], &b) == 0 && address_equal(&b.addr, a) &&
                    b.port == port)
                        return c->endpoints[i];
        }
        return 0;
}
