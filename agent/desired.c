/* SPDX-License-Identifier: Apache-2.0 */
/* Frontends: which addresses and ports a service has, and which pool serves whom. */
#include <stdlib.h>
#include <string.h>

#include "agent/desired.h"
#include "agent/desired_pools.h"
#include "agent/project_list.h"
#include "base/str.h"
#include "datapath/address.h"

#define FRONTENDS_MAX 4096 /* of a service */

struct making {
        const struct svc_view *svc;
        const struct desired_env *env;
        struct arena *arena;
        struct service_state *state;
        struct skips problems;
        uint16_t room;
};

static struct addr any_address(bool v6)
{
        return v6 ? (struct addr){0} : address_of_v4(0);
}

static bool is_own_address(const struct desired_env *env, const struct addr *a)
{
        return address_equal(a, &env->node_v4) || address_equal(a, &env->node_v6);
}

static void add_frontend(struct making *m, const struct frontend_state *f)
{
        struct service_state *s = m->state;

        if (s->nfrontends < m->room)
                s->frontends[s->nfrontends++] = *f;
        else
                skips_add(&m->problems, "above the limit of %d addresses and ports", FRONTENDS_MAX);
}

static uint8_t use_pool(struct port_state *p, unsigned pool)
{
        p->pools |= (uint8_t)(1U << pool);
        return (uint8_t)pool;
}

/* Clients inside of the cluster reach a load balancer's address as if the policy were Cluster: they have no other way
 * to it, as the packet does not leave the node. */
static void set_external_pools(struct making *m, const struct pool_facts *facts, struct frontend_state *f, bool v6)
{
        struct port_state *p = &m->state->ports[f->port];
        unsigned family = v6 ? POOL_V6 : 0;
        unsigned in = family | (m->svc->flags & SVC_MAGLEV ? POOL_HASH : 0);
        unsigned out = family | (m->svc->flags & SVC_RANDOM ? 0 : POOL_HASH);

        f->flags |= SERVICE_EXTERNAL;
        if (m->svc->flags & SVC_EXTERNAL_LOCAL) {
                out |= POOL_LOCAL;
                f->flags |= SERVICE_LOCAL_OUT;
                if (facts->any[v6])
                        f->flags |= SERVICE_DROP_OUT;
        }
        f->in = use_pool(p, in);
        f->out = use_pool(p, out);
}

static void set_internal_pool(struct making *m, const struct pool_facts *facts, struct frontend_state *f, bool v6)
{
        unsigned in = (v6 ? POOL_V6 : 0) | (m->svc->flags & SVC_MAGLEV ? POOL_HASH : 0);

        if (m->svc->flags & SVC_INTERNAL_LOCAL) {
                in |= POOL_LOCAL;
                if (facts->any[v6])
                        f->flags |= SERVICE_DROP_IN;
        }
        f->in = use_pool(&m->state->ports[f->port], in);
        f->out = POOL_NONE;
}

static void add_addresses(struct making *m, uint16_t port, const struct pool_facts *facts)
{
        const struct svc_port *sp = &m->svc->ports[port];

        for (size_t i = 0; i < m->svc->naddrs; i++) {
                const struct svc_addr *a = &m->svc->addrs[i];
                bool v6 = !address_is_v4(&a->addr);
                struct frontend_state f = {.key = {.addr = a->addr, .port = htons(sp->port), .proto = sp->proto},
                                           .port = port,
                                           .flags = m->svc->affinity_s ? SERVICE_AFFINITY : 0};

                if (a->kind == SVC_CLUSTER_IP)
                        set_internal_pool(m, facts, &f, v6);
                else
                        set_external_pools(m, facts, &f, v6);
                if (a->kind == SVC_LOAD_BALANCER && m->svc->flags & (v6 ? SVC_RANGES_V6 : SVC_RANGES_V4))
                        f.flags |= SERVICE_RANGES;
                add_frontend(m, &f);
        }
}

/* A service has the families of its cluster IPs. */
static bool has_family(const struct svc_view *svc, bool v6)
{
        for (size_t i = 0; i < svc->naddrs; i++)
                if (svc->addrs[i].kind == SVC_CLUSTER_IP && address_is_v4(&svc->addrs[i].addr) == !v6)
                        return true;
        return false;
}

static void add_node_port(struct making *m, uint16_t port, const struct pool_facts *facts)
{
        const struct svc_port *sp = &m->svc->ports[port];

        for (int v6 = 0; sp->node_port && v6 < 2; v6++) {
                struct frontend_state f = {
                        .key = {.addr = any_address(v6), .port = htons(sp->node_port), .proto = sp->proto},
                        .port = port,
                        .flags = m->svc->affinity_s ? SERVICE_AFFINITY : 0};

                if (!has_family(m->svc, v6))
                        continue;
                set_external_pools(m, facts, &f, v6);
                add_frontend(m, &f);
        }
}

/* The address itself, so that its other ports are refused: but not one of the node's own, whose other ports are the
 * node's. */
static void claim_addresses(struct making *m)
{
        for (size_t i = 0; m->state->nports && i < m->svc->naddrs; i++) {
                const struct svc_addr *a = &m->svc->addrs[i];

                if (is_own_address(m->env, &a->addr))
                        continue;
                add_frontend(m, &(struct frontend_state){.key = {.addr = a->addr},
                                                         .flags = SERVICE_ADDRESS |
                                                                  (a->kind == SVC_CLUSTER_IP ? 0 : SERVICE_EXTERNAL),
                                                         .in = POOL_NONE,
                                                         .out = POOL_NONE});
        }
}

static int compare_frontends(const void *a, const void *b)
{
        return service_key_compare(&((const struct frontend_state *)a)->key, &((const struct frontend_state *)b)->key);
}

/* Two ports with one NodePort. */
static void sort_frontends(struct making *m)
{
        struct service_state *s = m->state;
        uint16_t n = 0;

        if (s->nfrontends)
                qsort(s->frontends, s->nfrontends, sizeof(*s->frontends), compare_frontends);
        for (uint16_t i = 0; i < s->nfrontends; i++) {
                if (n && !compare_frontends(&s->frontends[n - 1], &s->frontends[i]))
                        skips_add(&m->problems, "port %u: another port of the service has the same nodePort",
                                  s->ports[s->frontends[i].port].number);
                else
                        s->frontends[n++] = s->frontends[i];
        }
        s->nfrontends = n;
}

static int compare_ranges(const void *a, const void *b)
{
        return svc_range_compare(a, b);
}

static void set_ranges(struct making *m)
{
        struct service_state *s = m->state;
        uint16_t n = 0;

        s->ranges = arena_array(m->arena, struct svc_range, m->svc->nranges);
        if (!m->svc->nranges)
                return;
        memcpy(s->ranges, m->svc->ranges, m->svc->nranges * sizeof(*s->ranges));
        qsort(s->ranges, m->svc->nranges, sizeof(*s->ranges), compare_ranges);
        for (uint16_t i = 0; i < m->svc->nranges; i++)
                if (!n || compare_ranges(&s->ranges[n - 1], &s->ranges[i]))
                        s->ranges[n++] = s->ranges[i];
        s->nranges = n;
}

static void take_problems(struct making *m, const struct slice_view *const *slices, size_t nslices)
{
        for (size_t i = 0; i < m->svc->nproblems; i++)
                skips_add(&m->problems, "%s", m->svc->problems[i]);
        for (size_t i = 0; i < nslices; i++)
                for (size_t k = 0; k < slices[i]->nproblems; k++)
                        skips_add(&m->problems, "EndpointSlice %s: %s", slices[i]->name, slices[i]->problems[k]);
}

void desired_service(const struct svc_view *svc, const struct slice_view *const *slices, size_t nslices,
                     const struct desired_env *env, struct arena *arena, struct service_state *ret)
{
        struct making m = {.svc = svc, .env = env, .arena = arena, .state = ret, .problems = {.arena = arena}};
        size_t room = (size_t)svc->nports * (svc->naddrs + 2U) + svc->naddrs;

        m.room = (uint16_t)MIN(room, FRONTENDS_MAX);
        *ret = (struct service_state){
                .key = arena_printf(arena, "%s/%s", svc->ns, svc->name),
                .affinity_s = svc->affinity_s,
                .nports = svc->nports,
                .ports = arena_array(arena, struct port_state, svc->nports),
                .frontends = arena_array(arena, struct frontend_state, m.room),
        };
        take_problems(&m, slices, nslices);
        for (uint16_t i = 0; i < svc->nports; i++) {
                struct pool_facts facts;

                desired_pools(svc, i, slices, nslices, env, arena, &ret->ports[i], &facts);
                add_addresses(&m, i, &facts);
                add_node_port(&m, i, &facts);
        }
        claim_addresses(&m);
        sort_frontends(&m);
        set_ranges(&m);
        skips_end(&m.problems);
        ret->nproblems = m.problems.count;
        ret->problems = arena_alloc(arena, sizeof(m.problems.text));
        memcpy((void *)ret->problems, m.problems.text, sizeof(m.problems.text));
}

/* ---- hostPorts ---- */

const char *desired_host_port_key(const struct host_port *p, char buf[static HOST_PORT_KEY_SIZE])
{
        struct addr any = any_address(!address_is_v4(&p->pod_ip));
        char text[ADDRESS_TEXT];

        snprintf(buf, HOST_PORT_KEY_SIZE, HOST_PORT_PREFIX "%s",
                 address_text(address_is_zero(&p->host_ip) ? &any : &p->host_ip, text));
        return buf;
}

static void set_host_port(const struct host_port *h, struct arena *arena, struct port_state *p,
                          struct frontend_state *f)
{
        bool v6 = !address_is_v4(&h->pod_ip);
        unsigned pool = v6 ? POOL_V6 : 0;

        *p = (struct port_state){.name = arena_printf(arena, "%u", h->host_port),
                                 .number = h->host_port,
                                 .proto = h->proto,
                                 .pools = (uint8_t)(1U << pool),
                                 .nbackends = 1,
                                 .backends = arena_new(arena, struct backend_state)};
        p->backends[0] = (struct backend_state){.addr = h->pod_ip,
                                                .port = htons(h->container_port),
                                                .flags = BACKEND_LOCAL,
                                                .scopes = SCOPE_CLUSTER,
                                                .weight = 1};
        *f = (struct frontend_state){
                .key = {.addr = address_is_zero(&h->host_ip) ? any_address(v6) : h->host_ip,
                        .port = htons(h->host_port),
                        .proto = h->proto},
                .flags = SERVICE_EXTERNAL | SERVICE_LOCAL_OUT | SERVICE_HOSTPORT,
                .in = (uint8_t)pool,
                .out = (uint8_t)pool,
        };
}

void desired_host_ports(const struct host_port *ports, size_t n, struct arena *arena, struct service_state *ret)
{
        struct skips problems = {.arena = arena};
        char key[HOST_PORT_KEY_SIZE];

        n = MIN(n, FRONTENDS_MAX);
        *ret = (struct service_state){
                .key = arena_strdup(arena, n ? desired_host_port_key(ports, key) : ""),
                .ports = arena_array(arena, struct port_state, n),
                .frontends = arena_array(arena, struct frontend_state, n),
        };
        for (size_t i = 0; i < n; i++) {
                const struct host_port *h = &ports[i];

                if (i && h[-1].host_port == h->host_port && h[-1].proto == h->proto) {
                        skips_add(&problems, "port %u/%s of pod %s: another pod has it", h->host_port,
                                  protocol_text(h->proto), h->owner);
                        continue;
                }
                set_host_port(h, arena, &ret->ports[ret->nports], &ret->frontends[ret->nports]);
                ret->frontends[ret->nports].port = ret->nports;
                ret->nports++;
        }
        ret->nfrontends = ret->nports;
        if (ret->nfrontends)
                qsort(ret->frontends, ret->nfrontends, sizeof(*ret->frontends), compare_frontends);
        skips_end(&problems);
        ret->nproblems = problems.count;
        ret->problems = arena_alloc(arena, sizeof(problems.text));
        memcpy((void *)ret->problems, problems.text, sizeof(problems.text));
}
