/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/desired_pools.h"
#include "base/str.h"
#include "datapath/address.h"

/* An endpoint on its way to be a backend. */
struct candidate {
        struct backend_state backend;
        uint32_t flags; /* enum endpoint_flags */
        bool for_zone;
};

static bool is_ready(const struct candidate *c)
{
        return c->flags & ENDPOINT_READY;
}

/* What is going away, but can still serve: used while nothing is ready. */
static bool is_draining(const struct candidate *c)
{
        return !is_ready(c) && c->flags & ENDPOINT_SERVING && c->flags & ENDPOINT_TERMINATING;
}

static bool is_local(const struct candidate *c)
{
        return c->flags & ENDPOINT_LOCAL;
}

static uint32_t zone_mask(const struct slice_view *s, const char *zone)
{
        for (size_t i = 0; *zone && i < s->nzones; i++)
                if (str_eq(s->zones[i], zone))
                        return UINT32_C(1) << i;
        return 0;
}

static size_t collect_slice(const struct slice_view *s, uint16_t port, const struct desired_env *env,
                            struct candidate *ret)
{
        uint32_t zone = zone_mask(s, env->zone);
        size_t n = 0;

        for (uint32_t i = 0; i < s->nendpoints; i++) {
                struct slice_endpoint e = slice_endpoint_at(s, i);
                struct candidate c = {.flags = e.flags, .for_zone = e.zones & zone};

                if (!is_ready(&c) && !is_draining(&c))
                        continue;
                c.backend = (struct backend_state){.addr = e.addr, .port = htons(port), .weight = s->weight};
                if (is_local(&c))
                        c.backend.flags |= BACKEND_LOCAL;
                if (is_local(&c) && (address_equal(&e.addr, &env->node_v4) || address_equal(&e.addr, &env->node_v6)))
                        c.backend.flags |= BACKEND_HOST;
                ret[n++] = c;
        }
        return n;
}

static const struct slice_port *find_port(const struct slice_view *s, const struct svc_port *want)
{
        for (size_t i = 0; i < s->nports; i++)
                if (s->ports[i].proto == want->proto && str_eq(s->ports[i].name, want->name))
                        return &s->ports[i];
        return NULL;
}

static size_t collect(const struct svc_port *want, const struct slice_view *const *slices, size_t nslices,
                      const struct desired_env *env, struct arena *arena, struct candidate **ret)
{
        size_t n = 0, room = 0;

        for (size_t i = 0; i < nslices; i++)
                room += find_port(slices[i], want) ? slices[i]->nendpoints : 0;
        *ret = arena_array(arena, struct candidate, room);
        for (size_t i = 0; i < nslices; i++) {
                const struct slice_port *p = find_port(slices[i], want);

                if (p)
                        n += collect_slice(slices[i], p->port, env, *ret + n);
        }
        return n;
}

/* By address and port; of the same ones the best comes first. */
static int compare_candidates(const void *a, const void *b)
{
        const struct candidate *x = a, *y = b;
        int r = backend_state_compare(&x->backend, &y->backend);

        if (!r)
                r = (int)is_ready(y) - (int)is_ready(x);
        if (!r)
                r = (int)is_local(y) - (int)is_local(x);
        return r ? r : (int)y->backend.weight - (int)x->backend.weight;
}

/* An endpoint may be in two slices while the controller moves it: it is one, and ready when either says so. */
static size_t unite(struct candidate *c, size_t n)
{
        size_t kept = 0;

        if (n)
                qsort(c, n, sizeof(*c), compare_candidates);
        for (size_t i = 0; i < n; i++) {
                if (kept && !backend_state_compare(&c[kept - 1].backend, &c[i].backend)) {
                        c[kept - 1].flags |= c[i].flags & ENDPOINT_LOCAL;
                        c[kept - 1].backend.flags |= c[i].backend.flags;
                } else {
                        c[kept++] = c[i];
                }
        }
        return kept;
}

enum topology {
        TOPOLOGY_NONE,
        TOPOLOGY_NODE,
        TOPOLOGY_ZONE,
};

/* Hints count only when every ready endpoint has some, and some endpoint is for here: the controller writes them to
 * all or to none, and half of them would put all load on few (KEP-2433, KEP-3015). */
static enum topology topology_of(const struct candidate *c, size_t n)
{
        bool all_node = true, all_zone = true, here = false, in_zone = false, ready = false;

        for (size_t i = 0; i < n; i++) {
                if (!is_ready(&c[i]))
                        continue;
                ready = true;
                all_node &= (c[i].flags & ENDPOINT_NODE_HINTS) != 0;
                all_zone &= (c[i].flags & ENDPOINT_ZONE_HINTS) != 0;
                here |= (c[i].flags & ENDPOINT_FOR_NODE) != 0;
                in_zone |= c[i].for_zone;
        }
        if (ready && all_node && here)
                return TOPOLOGY_NODE;
        return ready && all_zone && in_zone ? TOPOLOGY_ZONE : TOPOLOGY_NONE;
}

static bool fits(const struct candidate *c, enum topology topology)
{
        if (topology == TOPOLOGY_NODE)
                return c->flags & ENDPOINT_FOR_NODE;
        return topology == TOPOLOGY_ZONE ? c->for_zone : true;
}

static void choose_cluster(struct candidate *c, size_t n)
{
        enum topology topology = topology_of(c, n);
        bool ready = false;

        for (size_t i = 0; i < n; i++)
                if (is_ready(&c[i]) && fits(&c[i], topology)) {
                        c[i].backend.scopes |= SCOPE_CLUSTER;
                        ready = true;
                }
        for (size_t i = 0; !ready && i < n; i++)
                if (is_draining(&c[i]))
                        c[i].backend.scopes |= SCOPE_CLUSTER;
}

/* Returns whether there is one. */
static bool choose_local(struct candidate *c, size_t n)
{
        bool ready = false, found = false;

        for (size_t i = 0; i < n; i++)
                if (is_ready(&c[i]) && is_local(&c[i])) {
                        c[i].backend.scopes |= SCOPE_LOCAL;
                        ready = found = true;
                }
        for (size_t i = 0; !ready && i < n; i++)
                if (is_draining(&c[i]) && is_local(&c[i])) {
                        c[i].backend.scopes |= SCOPE_LOCAL;
                        found = true;
                }
        return found;
}

static bool is_external(const struct svc_view *svc, uint16_t port)
{
        for (size_t i = 0; i < svc->naddrs; i++)
                if (svc->addrs[i].kind != SVC_CLUSTER_IP)
                        return true;
        return svc->ports[port].node_port;
}

/* The endpoints of one family. */
static void choose(const struct svc_view *svc, bool external, struct candidate *c, size_t n, struct port_state *ret,
                   bool *ret_any)
{
        bool internal_local = svc->flags & SVC_INTERNAL_LOCAL, external_local = svc->flags & SVC_EXTERNAL_LOCAL;

        if (!internal_local || external)
                choose_cluster(c, n);
        *ret_any = n > 0;
        if ((!internal_local && !(external && external_local)) || choose_local(c, n) || !n)
                return;
        if (internal_local)
                ret->flags |= PORT_NO_LOCAL_INTERNAL;
        if (external && external_local)
                ret->flags |= PORT_NO_LOCAL_EXTERNAL;
}

/* Who gets no new connections keeps those that it has: it stays a backend, but is marked. With Local policies only,
 * what is on other nodes never was one. */
static void keep(const struct svc_view *svc, bool external, const struct candidate *c, size_t n, struct arena *arena,
                 struct port_state *ret)
{
        bool only_local = svc->flags & SVC_INTERNAL_LOCAL && !external;

        ret->backends = arena_array(arena, struct backend_state, n);
        for (size_t i = 0; i < n; i++) {
                struct backend_state *b = &ret->backends[ret->nbackends];

                if (only_local && !is_local(&c[i]))
                        continue;
                *b = c[i].backend;
                if (!b->scopes)
                        b->flags |= BACKEND_TERMINATING;
                ret->nbackends++;
        }
}

void desired_pools(const struct svc_view *svc, uint16_t port, const struct slice_view *const *slices, size_t nslices,
                   const struct desired_env *env, struct arena *arena, struct port_state *ret,
                   struct pool_facts *ret_facts)
{
        const struct svc_port *sp = &svc->ports[port];
        bool external = is_external(svc, port);
        struct candidate *c;
        size_t n, n4 = 0;

        *ret = (struct port_state){.name = sp->name, .number = sp->port, .proto = sp->proto};
        n = collect(sp, slices, nslices, env, arena, &c);
        n = unite(c, n);
        while (n4 < n && address_is_v4(&c[n4].backend.addr))
                n4++;
        choose(svc, external, c, n4, ret, &ret_facts->any[0]);
        choose(svc, external, c + n4, n - n4, ret, &ret_facts->any[1]);
        keep(svc, external, c, n, arena, ret);
}
