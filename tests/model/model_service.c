// SPDX-License-Identifier: Apache-2.0
/*
 * Services as Kubernetes means them: who owns an address, which endpoints serve whom
 * (https://kubernetes.io/docs/reference/networking/virtual-ips/, docs/dataplane.md).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "model/model_impl.h"

/* --- addresses */

static bool has_family(const struct svc *s, bool v6)
{
        return v6 ? s->v6 : s->v4;
}

enum svc_address { ADDRESS_CLUSTER, ADDRESS_EXTERNAL, ADDRESS_BALANCER, ADDRESS_KINDS };

static bool svc_address(const struct model *m, int slot, enum svc_address kind, bool v6, struct addr *ret)
{
        const struct svc *s = &m->world->services[slot];

        if (!s->present || !has_family(s, v6) || (kind == ADDRESS_EXTERNAL && !s->external) ||
            (kind == ADDRESS_BALANCER && !s->balancer))
                return false;
        if (kind == ADDRESS_EXTERNAL && s->external == 2)
                *ret = place_addr(PLACE_NODE, 0, v6);
        else
                *ret = place_addr(kind == ADDRESS_CLUSTER    ? PLACE_VIP
                                  : kind == ADDRESS_EXTERNAL ? PLACE_EXTERNAL
                                                             : PLACE_BALANCER,
                                  (unsigned)slot, v6);
        return true;
}

static bool is_node_address(const struct addr *a)
{
        struct addr own = place_addr(PLACE_NODE, 0, !is_v4(a));

        return same_addr(a, &own);
}

bool service_owns(const struct model *m, const struct addr *a)
{
        struct addr is;

        for (int slot = 0; slot < WORLD_SERVICES; slot++)
                for (int kind = 0; kind < ADDRESS_KINDS; kind++)
                        if (svc_address(m, slot, (enum svc_address)kind, !is_v4(a), &is) && same_addr(a, &is) &&
                            !(m->world->node_v4 && is_v4(a) && is_node_address(a)) &&
                            !(m->world->node_v6 && !is_v4(a) && is_node_address(a)))
                                return true;
        return false;
}

static bool exact_front(const struct model *m, const struct tuple *t, struct front *ret)
{
        struct addr is;

        for (int slot = 0; slot < WORLD_SERVICES; slot++) {
                const struct svc *s = &m->world->services[slot];

                for (int kind = 0; kind < ADDRESS_KINDS; kind++) {
                        if (!svc_address(m, slot, (enum svc_address)kind, !is_v4(&t->dst), &is) ||
                            !same_addr(&is, &t->dst))
                                continue;
                        for (int i = 0; i < s->nports; i++) {
                                if (s->ports[i].proto != t->proto || htons(s->ports[i].port) != t->dport)
                                        continue;
                                *ret = (struct front){slot, i, kind == ADDRESS_CLUSTER, kind == ADDRESS_BALANCER,
                                                      kind == ADDRESS_EXTERNAL};
                                return true;
                        }
                }
        }
        return false;
}

static bool host_port_has(const struct model *m, int i, bool v6)
{
        const struct host_port_spec *h = &m->world->host_ports[i];

        return h->pod && m->world->pods[h->pod - 1].present &&
               (v6 ? m->world->pods[h->pod - 1].v6 : m->world->pods[h->pod - 1].v4);
}

/* exact: by hostIP; else those of all node addresses. */
static bool host_port_front(const struct model *m, const struct tuple *t, bool exact, struct front *ret)
{
        for (int i = 0; i < WORLD_HOSTPORTS; i++) {
                const struct host_port_spec *h = &m->world->host_ports[i];
                struct addr is = place_addr((enum place)h->place, 0, !is_v4(&t->dst));

                if (!host_port_has(m, i, !is_v4(&t->dst)) || h->proto != t->proto || htons(h->port) != t->dport)
                        continue;
                if (exact ? !h->place || !same_addr(&is, &t->dst) : h->place)
                        continue;
                *ret = (struct front){.slot = -1, .number = i};
                return true;
        }
        return false;
}

static bool node_port_front(const struct model *m, const struct tuple *t, struct front *ret)
{
        for (int slot = 0; slot < WORLD_SERVICES; slot++) {
                const struct svc *s = &m->world->services[slot];

                for (int i = 0; s->present && has_family(s, !is_v4(&t->dst)) && i < s->nports; i++) {
                        if (s->ports[i].proto != t->proto || !s->ports[i].node_port ||
                            htons(s->ports[i].node_port) != t->dport)
                                continue;
                        *ret = (struct front){.slot = slot, .number = i};
                        return true;
                }
        }
        return false;
}

/* A process of this host that asks its own loopback address for a NodePort. */
static bool is_own_loopback(const struct walk *w)
{
        return w->e->hook == HOOK_TO_LO && !world_has(w->m->world, KNOB_SOCK) &&
               world_has(w->m->world, KNOB_NODEPORT_LOOPBACK) && is_loopback(&w->p.tuple.dst);
}

enum front_kind service_front(const struct walk *w, struct front *ret)
{
        const struct tuple *t = &w->p.tuple;
        bool own = is_own_loopback(w), other = false;
        const struct prefix *route;
        struct prefix room;

        if (!own && is_loopback(&t->dst))
                return FRONT_NONE;
        if (exact_front(w->m, t, ret) || host_port_front(w->m, t, true, ret))
                return FRONT_FOUND;
        route = route_of(w, &t->dst, &room);
        if (route && route->route.flags & ROUTE_NODEPORT) {
                own |= route->route.type == ROUTE_HOST;
                other = route->route.type == ROUTE_NODE;
        }
        if ((own || other) && node_port_front(w->m, t, ret))
                return FRONT_FOUND;
        if (own && host_port_front(w->m, t, false, ret)) /* another node's pods are not ours to know */
                return FRONT_FOUND;
        if (is_own_loopback(w) || !service_owns(w->m, &t->dst))
                return FRONT_NONE;
        if (route && (route->route.type == ROUTE_HOST || route->route.type == ROUTE_NODE))
                return FRONT_NONE;
        return has_ports(t->proto) || check_offset(t->proto, true) == 2 || check_offset(t->proto, false) == 2
                       ? FRONT_UNKNOWN_PORT
                       : FRONT_UNSUPPORTED;
}

/* --- who may ask */

static bool in_ranges(const struct svc *s, const struct addr *client)
{
        for (int i = 0; i < SERVICE_CIDRS; i++) {
                bool v6 = !is_v4(client);
                struct addr prefix = place_addr((enum place)s->ranges[i].place, 0, v6);

                if (s->ranges[i].place && in_prefix(client, &prefix, 96U + s->ranges[i].bits))
                        return true;
        }
        return false;
}

static bool has_ranges(const struct svc *s)
{
        return s->ranges[0].place || s->ranges[1].place;
}

/* Clients inside may use everything; those outside not the ClusterIP, and a load balancer's address only from the
 * ranges that it names. */
bool service_admits(const struct model *m, const struct front *f, const struct addr *client, bool outside,
                    enum reason *ret_why)
{
        const struct svc *s = f->slot < 0 ? NULL : &m->world->services[f->slot];

        *ret_why = f->cluster_ip ? REASON_UNKNOWN_PORT : REASON_SOURCE_RANGE;
        if (!outside || !s)
                return true;
        return !f->cluster_ip && !(f->balancer && has_ranges(s) && !in_ranges(s, client));
}

/* --- endpoints */

static bool is_local(const struct end *e)
{
        return (e->place >= PLACE_POD_A && e->place <= PLACE_GHOST) || e->place == PLACE_NODE;
}

/* What goes away serves only while nothing is ready (KEP-1669). */
static bool is_draining(const struct end *e)
{
        return !e->ready && e->serving && e->terminating;
}

static bool is_external(const struct svc *s, int number)
{
        return s->external || s->balancer || s->ports[number].node_port;
}

/* Endpoints elsewhere of what only serves its own node are nothing to it. */
static bool is_kept(const struct svc *s, int number, const struct end *e)
{
        if (!e->place || !(e->ready || is_draining(e)))
                return false;
        return is_local(e) || !s->internal_local || is_external(s, number);
}

static int find_instance(const struct model *m, int slot, int front, uint8_t proto, const struct addr *a, uint16_t port)
{
        for (size_t i = 0; i < m->instances.n; i++) {
                const struct instance *is = &m->instances.of[i];

                if (is->alive && is->slot == slot && is->front == front && is->proto == proto && is->port == port &&
                    same_addr(&is->addr, a))
                        return (int)i;
        }
        return -1;
}

/* Ready ones, or else those that drain; local: of this node only. */
static bool is_in(const struct svc *s, const struct end *e, bool local)
{
        bool ready = false;

        for (int i = 0; i < SERVICE_ENDS; i++)
                ready |= s->ends[i].place && s->ends[i].ready && (!local || is_local(&s->ends[i]));
        if (local && !is_local(e))
                return false;
        return ready ? e->ready : is_draining(e);
}

static bool is_idle(const struct svc *s, int number, const struct end *e)
{
        bool external = is_external(s, number);

        if ((!s->internal_local || external) && is_in(s, e, false))
                return false;
        return !((s->internal_local || (external && s->external_local)) && is_in(s, e, true));
}

size_t service_pool(const struct model *m, const struct front *f, bool v6, bool outside, int ret[POOL_MAX],
                    bool *ret_local, bool *ret_elsewhere)
{
        const struct svc *s;
        size_t n = 0;

        *ret_local = *ret_elsewhere = false;
        if (f->slot < 0) {
                const struct host_port_spec *h = &m->world->host_ports[f->number];
                struct addr a = place_addr(PLACE_POD_A + h->pod - 1U, 0, v6);

                ret[0] = find_instance(m, -1, f->number, h->proto, &a, h->target);
                return ret[0] >= 0;
        }
        s = &m->world->services[f->slot];
        *ret_local = outside ? s->external_local : f->cluster_ip && s->internal_local;
        for (int i = 0; i < SERVICE_ENDS; i++) {
                const struct end *e = &s->ends[i];
                struct addr a = place_addr((enum place)e->place, 0, v6);

                *ret_elsewhere |= e->place && (e->ready || is_draining(e));
                if (e->place && is_in(s, e, *ret_local))
                        ret[n++] = find_instance(m, f->slot, f->number, s->ports[f->number].proto, &a,
                                                 s->ports[f->number].target[e->slice]);
        }
        return n;
}

static struct instance *revive(struct model *m, int slot, int front, uint8_t proto, const struct addr *a, uint16_t port)
{
        int i = find_instance(m, slot, front, proto, a, port);
        struct instance *is;

        if (i >= 0)
                return &m->instances.of[i];
        is = LIST_ADD(&m->instances);
        *is = (struct instance){.slot = slot, .front = front, .proto = proto, .addr = *a, .port = port};
        return is;
}

static void reconcile_service(struct model *m, int slot, bool *kept)
{
        const struct svc *s = &m->world->services[slot];

        for (int number = 0; s->present && number < s->nports; number++)
                for (int i = 0; i < 2 * SERVICE_ENDS; i++) {
                        const struct end *e = &s->ends[i / 2];
                        struct addr a = place_addr((enum place)e->place, 0, i % 2);
                        struct instance *is;

                        if (!is_kept(s, number, e))
                                continue;
                        is = revive(m, slot, number, s->ports[number].proto, &a, s->ports[number].target[e->slice]);
                        is->alive = true;
                        is->local = is_local(e);
                        is->host = e->place == PLACE_NODE && (i % 2 ? m->world->node_v6 : m->world->node_v4);
                        is->idle = is_idle(s, number, e);
                        kept[is - m->instances.of] = true;
                }
}

static void reconcile_host_port(struct model *m, int i, bool *kept)
{
        const struct host_port_spec *h = &m->world->host_ports[i];

        for (int v6 = 0; v6 < 2; v6++) {
                struct addr a = place_addr(PLACE_POD_A + h->pod - 1U, 0, v6);
                struct instance *is;

                if (!host_port_has(m, i, v6))
                        continue;
                is = revive(m, -1, i, h->proto, &a, h->target);
                is->alive = is->local = true;
                kept[is - m->instances.of] = true;
        }
}

void service_reconcile(struct model *m)
{
        bool kept[4096] = {false};

        for (int slot = 0; slot < WORLD_SERVICES; slot++)
                reconcile_service(m, slot, kept);
        for (int i = 0; i < WORLD_HOSTPORTS; i++)
                reconcile_host_port(m, i, kept);
        for (size_t i = 0; i < m->instances.n; i++)
                m->instances.of[i].alive &= kept[i];
        m->picks.n = 0; /* another table */
}

uint32_t front_id(const struct walk *w, const struct front *f)
{
        if (f->slot < 0)
                return w->m->ids->host_port[f->number][!!(w->p.flags & PKT_V6)];
        return w->m->ids->service[f->slot][f->number];
}

uint16_t front_affinity(const struct model *m, const struct front *f)
{
        return f->slot < 0 ? 0 : m->world->services[f->slot].affinity_s;
}

bool front_hashed(const struct model *m, const struct front *f, bool outside)
{
        uint8_t how = f->slot < 0 ? BALANCING_RANDOM : m->world->services[f->slot].balancing;

        return how == BALANCING_MAGLEV || (how == BALANCING_DEFAULT && outside);
}

/* --- which one */

static struct affinity_row *affinity_of(struct walk *w, uint32_t service, bool outside)
{
        for (size_t i = 0; i < w->m->affinity.n; i++) {
                struct affinity_row *a = &w->m->affinity.of[i];

                if (a->service == service && a->outside == outside && same_addr(&a->client, &w->p.tuple.src))
                        return a;
        }
        return NULL;
}

static struct pick *pick_of(struct walk *w, const struct front *f, bool local)
{
        bool by_client = front_affinity(w->m, f);

        for (size_t i = 0; i < w->m->picks.n; i++) {
                struct pick *p = &w->m->picks.of[i];

                if (p->service == front_id(w, f) && p->local == local && p->by_client == by_client &&
                    (by_client ? same_addr(&p->who.src, &w->p.tuple.src) : same_tuple(&p->who, &w->p.tuple)))
                        return p;
        }
        return NULL;
}

/* A client keeps its endpoint while that serves anybody new, and the policy lets it. */
static bool affinity_holds(const struct walk *w, const struct affinity_row *a, uint32_t limit_s, bool local)
{
        const struct instance *is;

        if (a->instance < 0 || w->m->now - a->seen > limit_s)
                return false;
        is = &w->m->instances.of[a->instance];
        return is->alive && !is->idle && (!local || is->local);
}

size_t service_narrow(struct walk *w, const struct front *f, bool outside, int pool[POOL_MAX], size_t n, bool local)
{
        uint16_t affinity_s = front_affinity(w->m, f);
        struct affinity_row *a = affinity_of(w, front_id(w, f), outside);
        struct pick *p = pick_of(w, f, local);
        char text[128];

        if (affinity_s && a && affinity_holds(w, a, affinity_s, local)) {
                pool[0] = a->instance;
                say(w, "affinity: the client had %s %u s ago", instance_text(w->m, pool[0], text), w->m->now - a->seen);
                return 1;
        }
        if (affinity_s && a && a->instance < 0)
                return n;
        if (front_hashed(w->m, f, outside) && p) {
                pool[0] = p->instance;
                say(w, "the permutation table gave %s before", instance_text(w->m, pool[0], text));
                return 1;
        }
        return n;
}

void service_chosen(struct walk *w, const struct front *f, bool outside, int instance, bool local)
{
        uint32_t service = front_id(w, f);
        struct affinity_row *a = affinity_of(w, service, outside);
        bool by_affinity = a && front_affinity(w->m, f) && affinity_holds(w, a, front_affinity(w->m, f), local);

        if (front_affinity(w->m, f)) {
                if (!a) {
                        a = LIST_ADD(&w->m->affinity);
                        *a = (struct affinity_row){.client = w->p.tuple.src, .service = service, .outside = outside};
                }
                a->instance = instance;
                a->seen = w->m->now;
        }
        if (instance >= 0 && !by_affinity && front_hashed(w->m, f, outside) && !pick_of(w, f, local)) {
                struct pick *p = LIST_ADD(&w->m->picks);

                *p = (struct pick){service, front_affinity(w->m, f), local, w->p.tuple, instance};
        }
}

const char *instance_text(const struct model *m, int instance, char buf[static 128])
{
        const struct instance *is = &m->instances.of[instance];
        char place[PLACE_TEXT];

        if (instance < 0)
                snprintf(buf, 128, "nobody");
        else
                snprintf(buf, 128, "%s port %u", place_text(&is->addr, place), is->port);
        return buf;
}
