// SPDX-License-Identifier: Apache-2.0
/* What a packet becomes: by the connection it is of, or the service it is to, or because it leaves the cluster. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "model/model_impl.h"

static bool is_syn(const struct pkt *p)
{
        return p->tuple.proto == IPPROTO_TCP && !(p->flags & PKT_LATER) &&
               (p->tcp & (TCP_F_SYN | TCP_F_ACK)) == TCP_F_SYN;
}

static bool is_stale(const struct model *m, const struct conn *c)
{
        return c->instance >= 0 && !m->instances.of[c->instance].alive;
}

/*
 * The client's own next packet shows whether the connection is over: UDP moves to another endpoint when its is gone;
 * a TCP client that begins anew where all was closed, or where the endpoint is gone, has a new connection.
 */
static bool is_over(const struct walk *w, const struct conn *c, int way)
{
        if (way == BACK)
                return false;
        if (w->p.tuple.proto == IPPROTO_UDP)
                return is_stale(w->m, c);
        return is_syn(&w->p) && (conn_is_closing(c->half[way].state) || is_stale(w->m, c));
}

static bool at_lo(const struct walk *w)
{
        return w->e->hook == HOOK_TO_LO && !world_has(w->m->world, KNOB_SOCK);
}

/* The answers must come back this way: a hairpin, a process that spoke to its own node, a client that the endpoint's
 * node would answer straight, or one that leaves the cluster for good. */
static bool needs_own_source(struct walk *w, const struct instance *is, bool outside)
{
        struct prefix room;

        if (same_addr(&is->addr, &w->p.tuple.src)) {
                say(w, "a client that is its own endpoint");
                return true;
        }
        if (at_lo(w))
                return true;
        if (outside || w->e->hook == HOOK_OVERLAY)
                return !is->local;
        return w->e->hook == HOOK_FROM_POD && world_has(w->m->world, KNOB_MASQUERADE) && !is->local &&
               !route_of(w, &is->addr, &room);
}

/* The connection to that endpoint. REASON_TRANSLATED: *ret; else why there can be none. */
static enum reason plan(struct walk *w, const struct front *f, int instance, bool outside, struct fresh *ret)
{
        const struct instance *is = &w->m->instances.of[instance];
        bool v6 = w->p.flags & PKT_V6;
        struct addr own = own_address(w->m, v6);

        *ret = (struct fresh){.key = w->p.tuple,
                              .to = w->p.tuple,
                              .flags = FLOW_DNAT | (outside ? FLOW_OUTSIDE : 0),
                              .rule = SOURCE_KEEP,
                              .instance = instance,
                              .service = front_id(w, f)};
        ret->to.dst = is->addr;
        ret->to.dport = htons(is->port);
        if (w->e->hook == HOOK_TO_UPLINK && is->host && is->local) {
                /* A connection of the host with itself: its answers must leave the host, to an address of nobody. */
                say(w, "the host speaks to itself, by the service's address");
                ret->to.src = w->p.tuple.dst;
                ret->flags |= FLOW_SNAT;
        } else if (needs_own_source(w, is, outside)) {
                if (is_zero(&own))
                        return REASON_NO_ROUTE;
                ret->to.src = own;
                ret->flags |= FLOW_SNAT;
                ret->rule = SOURCE_OF_RANGE;
        }
        if (w->p.tuple.proto == IPPROTO_SCTP) {
                ret->rule = SOURCE_FIXED;
                if (ret->to.dport != w->p.tuple.dport) /* its checksum is over all of the packet */
                        return REASON_UNSUPPORTED;
        }
        return REASON_TRANSLATED;
}

static bool leads_to(const struct seen_half *seen, const struct instance *is)
{
        return same_addr(&seen->to.dst, &is->addr) && seen->to.dport == htons(is->port);
}

/* Whom the programs chose. -1: that cannot be seen. */
static int chosen(struct walk *w, const struct front *f, const int *pool, size_t n, bool outside)
{
        const struct seen_half *seen = seen_added(w, &w->p.tuple);
        char text[PLACE_TEXT];
        struct fresh fresh;

        for (size_t i = 0; seen && i < n; i++) {
                struct instance *is = &w->m->instances.of[pool[i]];

                if (!leads_to(seen, is))
                        continue;
                if (!is->id) {
                        is->id = seen->backend;
                        is->generation = seen->generation;
                }
                return pool[i];
        }
        if (seen) {
                wrong(w, "the endpoint %s port %u is none of those that may serve", place_text(&seen->to.dst, text),
                      ntohs(seen->to.dport));
                return pool[0];
        }
        for (size_t i = 0; i < n; i++) { /* one that cannot be had, as the programs say */
                enum reason r = plan(w, f, pool[i], outside, &fresh);

                if (r == REASON_TRANSLATED && conn_may_fail(w, &fresh))
                        r = REASON_SNAT_PORTS;
                if (r != REASON_TRANSLATED && ((int)r == w->o->reason || w->e->hook == HOOK_EDGE))
                        return pool[i];
        }
        return pool[0];
}

static enum reason to_service(struct walk *w, const struct front *f, bool outside)
{
        int pool[POOL_MAX], taken;
        bool local, elsewhere, v6 = w->p.flags & PKT_V6;
        size_t n = service_pool(w->m, f, v6, outside, pool, &local, &elsewhere);
        struct service_stats *stats = stats_of(w->m, front_id(w, f));
        struct fresh fresh;
        struct conn *c;
        enum reason r;
        char text[128];

        if (!n) {
                stats->refused += w->e->hook != HOOK_EDGE; /* the uplink's program asks again */
                if (local && elsewhere) {
                        say(w, "the policy is Local and no endpoint is here");
                        return REASON_NO_LOCAL_ENDPOINTS;
                }
                say(w, "it has no endpoints");
                return REASON_NO_ENDPOINTS;
        }
        say(w, "%zu endpoints may serve", n);
        n = service_narrow(w, f, outside, pool, n, local);
        taken = chosen(w, f, pool, n, outside);
        r = plan(w, f, taken, outside, &fresh);
        service_chosen(w, f, outside, n > 1 && !seen_added(w, &w->p.tuple) ? -1 : taken, local);
        if (r != REASON_TRANSLATED)
                return r;
        c = conn_add(w, &fresh);
        if (!c)
                return REASON_SNAT_PORTS;
        say(w, "a new flow to %s", instance_text(w->m, taken, text));
        stats->connections++;
        if (w->e->hook != HOOK_EDGE)
                conn_account(w, c, THERE);
        w->to = c->half[THERE].to;
        w->translated = true;
        return REASON_TRANSLATED;
}

/*
 * A pod speaks straight to an endpoint whose answers would be taken for those of a connection to a service: one that is
 * over makes room; beside one that is not, the direct one gets another source port.
 */
static enum reason beside(struct walk *w)
{
        struct tuple answer = tuple_back(&w->p.tuple);
        struct fresh fresh = {
                .key = w->p.tuple, .to = w->p.tuple, .flags = FLOW_SNAT, .rule = SOURCE_KEEP, .instance = -1};
        int way;
        struct conn *c = conn_find(w->m, &answer, &way);

        if (!c || way != BACK)
                return REASON_OK;
        if (conn_is_closing(c->half[BACK].state)) {
                say(w, "a closed flow had its answers");
                conn_remove(c);
                return REASON_OK;
        }
        if (w->p.tuple.proto == IPPROTO_SCTP)
                fresh.rule = SOURCE_FIXED;
        say(w, "a flow has its answers: it gets another port");
        c = conn_add(w, &fresh);
        if (!c)
                return REASON_SNAT_PORTS;
        conn_account(w, c, THERE);
        w->to = c->half[THERE].to;
        w->translated = true;
        return REASON_TRANSLATED;
}

static void say_front(struct walk *w, const struct front *f)
{
        if (f->slot < 0)
                say(w, "it is to hostPort %d", f->number);
        else if (f->cluster_ip)
                say(w, "it is to the ClusterIP of service %d, port %d", f->slot, f->number);
        else if (f->balancer)
                say(w, "it is to the load balancer's address of service %d, port %d", f->slot, f->number);
        else if (f->external)
                say(w, "it is to the external IP of service %d, port %d", f->slot, f->number);
        else
                say(w, "it is to the NodePort of service %d, port %d", f->slot, f->number);
}

static enum reason by_service(struct walk *w, bool outside)
{
        struct front f;
        enum reason r;

        switch (service_front(w, &f)) {
        case FRONT_NONE:
                return REASON_OK;
        case FRONT_UNKNOWN_PORT:
                say(w, "the service's address has no such port");
                return REASON_UNKNOWN_PORT;
        case FRONT_UNSUPPORTED:
                say(w, "a protocol that services do not carry");
                return REASON_UNSUPPORTED;
        default:
                break;
        }
        say_front(w, &f);
        if (outside)
                say(w, "the client is outside");
        if (!service_admits(w->m, &f, &w->p.tuple.src, outside, &r)) {
                say(w, "who may not ask");
                return r;
        }
        return to_service(w, &f, outside);
}

static bool datagram_ports(struct walk *w)
{
        struct tuple name = w->p.tuple;
        struct fragment_row *row = NULL;

        name.sport = name.dport = 0;
        for (size_t i = 0; i < w->m->fragments.n && !row; i++)
                if (w->m->fragments.of[i].id == w->p.fragment_id && same_tuple(&w->m->fragments.of[i].datagram, &name))
                        row = &w->m->fragments.of[i];
        if (w->p.flags & PKT_FIRST) {
                if (!row)
                        row = LIST_ADD(&w->m->fragments);
                *row = (struct fragment_row){name, w->p.fragment_id, w->p.tuple.sport, w->p.tuple.dport};
                return true;
        }
        if (!row)
                return false;
        w->p.tuple.sport = row->sport;
        w->p.tuple.dport = row->dport;
        return true;
}

enum reason translate(struct walk *w, bool outside)
{
        struct conn *c;
        enum reason r;
        int way;

        w->to = w->p.tuple;
        if (w->p.flags & (PKT_FIRST | PKT_LATER) && !datagram_ports(w)) {
                say(w, "a fragment of an unknown datagram");
                return service_owns(w->m, &w->p.tuple.dst) ? REASON_FRAGMENT : REASON_OK;
        }
        w->to = w->p.tuple;
        if (w->p.flags & PKT_ERROR)
                return write_error(w);
        c = conn_find(w->m, &w->p.tuple, &way);
        if (c && !is_over(w, c, way)) {
                if (way == THERE)
                        say(w, "it is of a flow");
                else
                        say(w, "it is an answer of a flow");
                if (w->e->hook != HOOK_EDGE)
                        conn_account(w, c, way);
                w->to = c->half[way].to;
                w->translated = true;
                return REASON_TRANSLATED;
        }
        if (c) {
                say(w, "its flow is over");
                conn_remove(c);
                w->x->stale++;
        }
        r = by_service(w, outside);
        if (r == REASON_OK && w->e->hook == HOOK_FROM_POD && (is_syn(&w->p) || w->p.tuple.proto == IPPROTO_UDP))
                return beside(w);
        return r;
}

/* What a pod sends outside. What has neither ports nor an identifier could not be told apart on its way back. */
enum reason masquerade(struct walk *w, const struct addr *own)
{
        bool v6 = w->p.flags & PKT_V6;
        struct fresh fresh = {.key = w->p.tuple,
                              .to = w->p.tuple,
                              .flags = FLOW_SNAT | FLOW_MASQUERADE,
                              .rule = w->p.tuple.proto == IPPROTO_SCTP ? SOURCE_FIXED : SOURCE_OF_RANGE,
                              .instance = -1};
        struct conn *c;

        if (w->p.flags & PKT_LATER && !w->p.tuple.sport)
                return REASON_FRAGMENT;
        if (w->p.tuple.proto == IPPROTO_TCP && !is_syn(&w->p))
                return REASON_OK; /* of a connection from outside to the pod, whose answers keep their source */
        if (w->p.flags & PKT_ECHO && !is_echo_request(w->p.icmp, v6))
                return REASON_OK;
        if (!has_ports(w->p.tuple.proto) && !(w->p.flags & PKT_ECHO))
                return REASON_UNSUPPORTED;
        fresh.to.src = *own;
        say(w, "it leaves the cluster with the node's address");
        c = conn_add(w, &fresh);
        if (!c)
                return REASON_SNAT_PORTS;
        conn_account(w, c, THERE);
        w->to = c->half[THERE].to;
        w->translated = true;
        return REASON_TRANSLATED;
}
