// SPDX-License-Identifier: Apache-2.0
/* The hooks: what each program does with a packet, as docs/dataplane.md has it. */
#include "model/model.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_impl.h"

void list_grow(void **of, size_t *n, size_t *room, size_t size)
{
        if (*n == *room) {
                *room = *room ? 2 * *room : 64;
                *of = realloc(*of, *room * size);
                if (!*of)
                        abort();
        }
        memset((char *)*of + *n * size, 0, size);
        ++*n;
}

static void append(char *to, const char *format, va_list args)
{
        size_t at = strlen(to);

        if (at && at + 2 < WHY_MAX) {
                memcpy(to + at, "; ", 3);
                at += 2;
        }
        vsnprintf(to + at, WHY_MAX - at, format, args);
}

void say_(struct walk *w, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        append(w->x->why, format, args);
        va_end(args);
}

void wrong(struct walk *w, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        append(w->x->wrong, format, args);
        va_end(args);
}

/* --- life */

struct model *model_new(const struct devices *devices)
{
        struct model *m = calloc(1, sizeof(*m));

        if (!m)
                abort();
        m->devices = devices;
        return m;
}

void model_free(struct model *m)
{
        free(m->conns.of);
        free(m->instances.of);
        free(m->affinity.of);
        free(m->picks.of);
        free(m->fragments.of);
        free(m->stats.of);
        free(m);
}

void model_begin(struct model *m, const struct world *world, const struct ids *ids)
{
        m->world = world;
        m->ids = ids;
        m->now = 1000000;
        m->conns.n = m->instances.n = m->affinity.n = m->picks.n = m->fragments.n = m->stats.n = 0;
        memset(m->debt, 0, sizeof(m->debt));
        memset(m->answers, 0, sizeof(m->answers));
        model_changed(m);
}

static bool is_given(const struct ids *ids, uint32_t id)
{
        for (int i = 0; i < WORLD_SERVICES * SERVICE_PORTS; i++)
                if (ids->service[i / SERVICE_PORTS][i % SERVICE_PORTS] == id)
                        return true;
        for (int i = 0; i < 2 * WORLD_HOSTPORTS; i++)
                if (ids->host_port[i / 2][i % 2] == id)
                        return true;
        return false;
}

void model_changed(struct model *m)
{
        service_reconcile(m);
        for (size_t i = 0; i < m->stats.n; i++) {
                struct stats_row *row = &m->stats.of[i];
                bool given = is_given(m->ids, row->id);

                if (given && !row->given) /* to another service */
                        row->stats = (struct service_stats){0};
                row->given = given;
        }
}

void model_clock(struct model *m, uint32_t seconds)
{
        m->now += seconds;
        for (size_t i = 0; i < m->conns.n; i++) {
                struct conn *c = &m->conns.of[i];

                if (c->live && m->now - c->seen > conn_timeout(m, c->half[THERE].key.proto, c->half[THERE].state))
                        conn_remove(c);
        }
        for (int pod = 0; pod < WORLD_PODS; pod++)
                for (int way = 0; way < 2; way++)
                        m->debt[pod][way] -= m->debt[pod][way] < 8 * seconds ? m->debt[pod][way] : 8 * seconds;
        memset(m->answers, 0, sizeof(m->answers));
}

void model_spend_answers(struct model *m)
{
        for (int i = 0; i < ANSWER_SOURCES; i++)
                m->answers[i][0] = m->answers[i][1] = 1U << 30;
}

uint32_t model_debt(const struct model *m, unsigned pod, bool egress)
{
        return m->debt[pod][egress];
}

struct service_stats *stats_of(struct model *m, uint32_t id)
{
        struct stats_row *row;

        for (size_t i = 0; i < m->stats.n; i++)
                if (m->stats.of[i].id == id)
                        return &m->stats.of[i].stats;
        row = LIST_ADD(&m->stats);
        row->id = id;
        row->given = true;
        return &row->stats;
}

bool model_stats(const struct model *m, size_t i, uint32_t *ret_id, struct service_stats *ret)
{
        if (i >= m->stats.n)
                return false;
        *ret_id = m->stats.of[i].id;
        *ret = m->stats.of[i].stats;
        return true;
}

/* --- the hooks */

/* Neighbour discovery and reports of groups, which are between the pod and the kernel. */
static bool is_link_business(const struct pkt *p)
{
        static const uint8_t types[] = {131, 132, 133, 135, 136, 143};
        const struct addr *s = &p->tuple.src;

        if (!(p->flags & PKT_V6) || p->tuple.proto != IPPROTO_ICMPV6 || p->flags & PKT_LATER)
                return false;
        if (!is_zero(s) && !(s->b[0] == 0xfe && (s->b[1] & 0xc0) == 0x80))
                return false;
        return memchr(types, p->icmp, sizeof(types));
}

static enum reason check_pod(struct walk *w)
{
        const struct pod_spec *pod = &w->m->world->pods[w->e->nic];
        struct addr own = place_addr(PLACE_POD_A + w->e->nic, 0, w->p.flags & PKT_V6);

        if (memcmp(w->e->in.b + 6, mac_pods[w->e->nic], 6) != 0) {
                say(w, "the link address is not the pod's");
                return REASON_SPOOFED;
        }
        if (w->p.flags & PKT_TAGGED || (w->p.flags & PKT_IP && w->p.l3 != ETH_HEAD))
                return REASON_UNSUPPORTED;
        if (!(w->p.flags & PKT_IP))
                return REASON_OK;
        if ((w->p.flags & PKT_V6 ? pod->v6 : pod->v4) && same_addr(&w->p.tuple.src, &own))
                return REASON_OK;
        say(w, "the address is not the pod's");
        return REASON_SPOOFED;
}

static enum reason from_pod(struct walk *w)
{
        enum reason r;

        if (!w->m->world->pods[w->e->nic].present) {
                say(w, "nobody is attached there");
                w->x->unread = true;
                return REASON_SPOOFED;
        }
        if (w->p.flags & PKT_BAD)
                return REASON_MALFORMED;
        r = check_pod(w);
        if (r == REASON_SPOOFED && is_link_business(&w->p) && memcmp(w->e->in.b + 6, mac_pods[w->e->nic], 6) == 0)
                return REASON_OK;
        if (r != REASON_OK || !(w->p.flags & PKT_IP))
                return r;
        if (!police(w, w->e->nic, true))
                return REASON_RATE_LIMIT;
        r = translate(w, false);
        return r == REASON_OK || r == REASON_TRANSLATED ? forward(w) : r;
}

static bool is_foreign(const struct walk *w)
{
        return !(w->p.flags & PKT_IP) || w->p.flags & PKT_TAGGED || w->p.l3 != ETH_HEAD;
}

static enum reason to_pod_(struct walk *w)
{
        enum reason r;

        if (w->p.flags & PKT_BAD)
                return REASON_MALFORMED;
        if (w->m->world->pods[w->e->nic].present && w->p.flags & PKT_IP && !police(w, w->e->nic, false))
                return REASON_RATE_LIMIT;
        if (is_foreign(w))
                return REASON_OK;
        r = translate(w, false);
        if (r == REASON_TRANSLATED)
                write_packet(w, false);
        return r;
}

static enum reason from_overlay(struct walk *w)
{
        const struct prefix *p;
        struct prefix room;
        enum reason r;

        if (w->p.flags & PKT_BAD)
                return REASON_MALFORMED;
        if (is_foreign(w))
                return REASON_OK;
        r = translate(w, false);
        if (r != REASON_OK)
                return r == REASON_TRANSLATED ? forward(w) : r;
        p = route_of(w, &w->p.tuple.dst, &room);
        return p && (p->route.type == ROUTE_POD || p->route.type == ROUTE_HOST) ? forward(w) : REASON_OK;
}

static enum reason to_overlay(struct walk *w)
{
        const struct prefix *p;
        struct prefix room;
        enum reason r;

        if (w->p.flags & PKT_BAD)
                return REASON_MALFORMED;
        if (is_foreign(w))
                return REASON_OK;
        r = translate(w, false);
        if (r != REASON_OK && r != REASON_TRANSLATED)
                return r;
        if (is_group(&w->to.dst))
                return REASON_OK;
        p = route_of(w, &w->to.dst, &room);
        if (!p || !(p->route.flags & ROUTE_TUNNEL))
                return REASON_NO_ROUTE;
        write_packet(w, false);
        w->x->marked = true;
        w->x->to.tunnel_id = w->m->world->knobs.vni;
        w->x->to.remote = p->route.peer;
        w->x->way = TO_TUNNEL;
        return r;
}

/* An address of services that nobody has would go round and round by the default route. */
static enum reason refuse_service_range(struct walk *w)
{
        struct prefix room;
        const struct prefix *p = route_of(w, &w->p.tuple.dst, &room);

        return p && p->route.type == ROUTE_SERVICE ? REASON_UNKNOWN_PORT : REASON_OK;
}

static enum reason from_uplink(struct walk *w)
{
        const struct prefix *p;
        struct prefix room;
        enum reason r;

        if (w->p.flags & PKT_BAD)
                return REASON_MALFORMED;
        if (is_foreign(w))
                return REASON_OK;
        r = translate(w, true);
        if (r != REASON_OK)
                return r == REASON_TRANSLATED ? forward(w) : r;
        p = route_of(w, &w->p.tuple.dst, &room);
        return p && p->route.type == ROUTE_POD ? forward(w) : refuse_service_range(w);
}

static enum reason to_uplink(struct walk *w)
{
        enum reason r;

        if (w->p.flags & PKT_BAD || is_foreign(w))
                return REASON_OK;
        r = translate(w, false);
        if (r == REASON_OK && !world_has(w->m->world, KNOB_SOCK))
                return refuse_service_range(w);
        if (r != REASON_TRANSLATED)
                return r;
        if (!same_addr(&w->to.dst, &w->p.tuple.dst) && !w->rewritten)
                return forward(w);
        write_packet(w, false);
        return r;
}

static enum reason to_lo(struct walk *w)
{
        enum reason r;

        if (w->p.flags & PKT_BAD || is_foreign(w))
                return REASON_OK;
        r = translate(w, false);
        if (r != REASON_TRANSLATED)
                return r;
        r = forward(w);
        if (r == REASON_TOO_BIG && w->p.flags & PKT_V6 && w->mtu >= 1280 + 8)
                w->mtu -= 8; /* IPv6 heeds only an MTU that is less than the NIC's */
        return r;
}

static bool looks_partial(const struct walk *w)
{
        size_t at = check_offset(w->p.tuple.proto, w->p.flags & PKT_V6);

        return at && get16(w->e->in.b + w->p.l4 + at) ==
                             pseudo_sum(&w->p.tuple.src, &w->p.tuple.dst, w->p.tuple.proto, w->p.end - w->p.l4);
}

/* Sends on what passes through to another node without a tunnel; leaves everything else to the uplink's program. */
static enum reason edge(struct walk *w)
{
        const uint32_t not_here = PKT_BAD | PKT_FIRST | PKT_LATER | PKT_ERROR | PKT_TAGGED | PKT_PRIORITY;
        struct fib_result hop;
        const struct prefix *p;
        struct prefix room;
        struct conn *c;
        enum reason r;
        int way;

        if (!(w->p.flags & PKT_IP) || w->p.flags & not_here || !has_ports(w->p.tuple.proto) || looks_partial(w))
                return REASON_OK;
        r = translate(w, true);
        if (r == REASON_SOURCE_RANGE || r == REASON_NO_LOCAL_ENDPOINTS)
                return r;
        if (r != REASON_TRANSLATED || w->p.ttl <= 1)
                return REASON_OK;
        p = route_of(w, &w->to.dst, &room);
        if (p && p->route.type != ROUTE_NODE && p->route.type != ROUTE_REMOTE)
                return REASON_OK;
        if (kernel_route_of(w, &hop) != FIB_OK || !hop.mac)
                return REASON_OK;
        c = conn_find(w->m, &w->p.tuple, &way);
        conn_account(w, c, way);
        write_packet(w, true);
        write_macs(w, hop.mac, hop.own);
        say(w, "straight back out");
        w->x->verdict = hop.ifindex == w->e->ifindex ? V_TX : V_SENT;
        w->x->way = TO_DEVICE;
        return REASON_FORWARDED;
}

static enum reason walk(struct walk *w)
{
        switch (w->e->hook) {
        case HOOK_FROM_POD:
                return from_pod(w);
        case HOOK_TO_POD:
                return to_pod_(w);
        case HOOK_OVERLAY:
                return from_overlay(w);
        case HOOK_TO_OVERLAY:
                return to_overlay(w);
        case HOOK_UPLINK:
                return from_uplink(w);
        case HOOK_TO_UPLINK:
                return to_uplink(w);
        case HOOK_TO_LO:
                return to_lo(w);
        default:
                return edge(w);
        }
}

/* What the dataplane has sent itself is not looked at again; the edge does not work beside a tunnel. */
static bool is_none_of_it(const struct model *m, const struct event *e)
{
        if (e->hook == HOOK_EDGE)
                return world_has(m->world, KNOB_TUNNEL);
        return e->marked && (e->hook == HOOK_TO_UPLINK || e->hook == HOOK_TO_OVERLAY);
}

void model_packet(struct model *m, const struct event *e, const struct observed *o, struct expect *ret)
{
        struct walk w = {.m = m, .e = e, .o = o, .x = ret, .out = e->in};
        bool marked;

        *ret = (struct expect){.verdict = V_PASS};
        for (size_t i = 0; i < m->conns.n; i++)
                m->conns.of[i].touched = false;
        if (is_none_of_it(m, e)) {
                ret->not_counted = true;
                ret->out = e->in;
                ret->marked = e->marked;
                return;
        }
        frame_read(&e->in, e->gso, &w.p);
        ret->reason = walk(&w);
        marked = ret->marked;
        if (ret->reason <= REASON_FORWARDED)
                ret->out = w.out;
        else
                answer(&w, ret->reason);
        ret->marked |= marked || e->marked;
}
