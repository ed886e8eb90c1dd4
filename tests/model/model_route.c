// SPDX-License-Identifier: Apache-2.0
/* Where a packet goes: by the cluster's prefixes, and by the kernel's routes for what leaves by a NIC. */
#include <string.h>

#include "model/model_impl.h"

bool is_loopback(const struct addr *a)
{
        static const uint8_t none[15];

        if (is_v4(a))
                return a->b[12] == 127 || (!a->b[12] && !a->b[13] && !a->b[14] && !a->b[15]);
        return memcmp(a->b, none, sizeof(none)) == 0 && a->b[15] <= 1;
}

bool is_group(const struct addr *a)
{
        return is_v4(a) ? a->b[12] >= 224 : a->b[0] == 0xff;
}

struct addr own_address(const struct model *m, bool v6)
{
        if (v6 ? m->world->node_v6 : m->world->node_v4)
                return place_addr(PLACE_NODE, 0, v6);
        return (struct addr){0};
}

/* The longest prefix. room: for the result. */
const struct prefix *route_of(const struct walk *w, const struct addr *a, struct prefix *room)
{
        static _Thread_local struct prefix all[PREFIXES_MAX];
        size_t n = world_prefixes(w->m->world, w->m->devices, all);
        const struct prefix *best = NULL;

        for (size_t i = 0; i < n; i++)
                if (in_prefix(a, &all[i].addr, all[i].bits) && (!best || all[i].bits > best->bits))
                        best = &all[i];
        if (!best)
                return NULL;
        *room = *best;
        return room;
}

static const struct kernel_route *kernel_lookup(const struct addr *a)
{
        const struct kernel_route *best = NULL;
        unsigned best_bits = 0;

        for (size_t i = 0; i < kernel_routes_n; i++) {
                const struct kernel_route *r = &kernel_routes[i];
                struct addr prefix = place_addr(r->place, 0, !is_v4(a));
                unsigned bits = is_v4(a) ? ADDR_V4_BITS + r->bits4 : r->bits6;

                if (in_prefix(a, &prefix, bits) && (!best || bits > best_bits)) {
                        best = r;
                        best_bits = bits;
                }
        }
        return best;
}

/* Of IPv6 the kernel forwards nothing that is bound to one link. */
static bool stays_on_link(const struct addr *a)
{
        return !is_v4(a) &&
               (is_group(a) || (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80) || (is_loopback(a) && !is_zero(a)));
}

/* A link's broadcast address, and of IPv6 that of all its routers (RFC 4291, 2.6.1): this host's, too. */
static bool is_of_all(const struct kernel_route *r, const struct addr *a)
{
        bool v4 = is_v4(a);
        unsigned from = (v4 ? ADDR_V4_BITS + r->bits4 : r->bits6) / 8;

        for (unsigned i = from; i < 16 && r->kind == KERNEL_LINK; i++)
                if (a->b[i] != (v4 ? 0xff : 0))
                        return false;
        return r->kind == KERNEL_LINK;
}

enum fib kernel_route_of(struct walk *w, struct fib_result *ret)
{
        const struct kernel_route *r = kernel_lookup(&w->to.dst);
        uint32_t length = (uint32_t)(w->p.end - w->p.l3);

        if (stays_on_link(&w->to.dst) || stays_on_link(&w->to.src))
                return FIB_NONE;
        if (!r || r->kind == KERNEL_UNREACHABLE || r->kind == KERNEL_LOCAL || is_of_all(r, &w->to.dst))
                return FIB_NONE;
        if (!w->e->gso && length > (r->mtu ? r->mtu : KERNEL_MTU)) {
                w->mtu = r->mtu ? r->mtu : KERNEL_MTU;
                return FIB_TOO_BIG;
        }
        ret->nic = r->nic;
        ret->next = r->kind == KERNEL_VIA ? place_addr(r->gateway, 0, !is_v4(&w->to.dst)) : w->to.dst;
        ret->mac = kernel_neighbour(&ret->next);
        ret->ifindex = r->kind == KERNEL_POD ? w->m->devices->pods[r->nic] : w->m->devices->uplinks[r->nic];
        ret->own = mac_uplinks[r->nic];
        return FIB_OK;
}

/* --- limits of bandwidth: a bucket that holds so many bits */

bool police(struct walk *w, unsigned pod, bool egress)
{
        const struct pod_spec *spec = &w->m->world->pods[pod];
        uint32_t limit = egress ? spec->egress_bits : spec->ingress_bits;
        uint32_t *debt = &w->m->debt[pod][egress], bits = 8 * (uint32_t)(w->p.end - w->p.l3);

        if (!limit)
                return true;
        if (*debt + bits > limit) {
                say(w, "the pod has used up its bandwidth");
                return false;
        }
        *debt += bits;
        return true;
}

/* --- deciding */

enum way_kind { WAY_KERNEL, WAY_POD, WAY_TUNNEL, WAY_NEIGHBOUR };

struct way {
        enum way_kind kind;
        unsigned pod;
        struct fib_result hop;
        struct addr peer;
};

static bool by_packets(const struct walk *w)
{
        return !world_has(w->m->world, KNOB_SOCK);
}

static bool at_lo(const struct walk *w)
{
        return by_packets(w) && w->e->hook == HOOK_TO_LO;
}

/* By the kernel's table. What was not translated the kernel may route itself, and complain. */
static enum reason by_kernel(struct walk *w, struct way *ret)
{
        bool ours = w->translated || w->rewritten;

        switch (kernel_route_of(w, &ret->hop)) {
        case FIB_OK:
                ret->kind = WAY_NEIGHBOUR;
                return REASON_FORWARDED;
        case FIB_TOO_BIG:
                return ours ? REASON_TOO_BIG : REASON_FORWARDED;
        default:
                return ours ? REASON_NO_ROUTE : REASON_FORWARDED;
        }
}

static enum reason outside(struct walk *w, struct way *ret, bool may_masquerade)
{
        const struct world *world = w->m->world;
        bool v6 = w->p.flags & PKT_V6;
        enum place own = PLACE_NODE;
        struct addr addr;
        enum reason r;

        if (is_group(&w->to.dst))
                return REASON_FORWARDED;
        r = by_kernel(w, ret);
        if (r != REASON_FORWARDED || ret->kind == WAY_KERNEL || w->translated || w->rewritten)
                return r;
        if (ret->hop.ifindex != w->m->devices->uplinks[ret->hop.nic] || !world->uplinks[ret->hop.nic]) {
                ret->kind = WAY_KERNEL; /* a network of this host's own */
                return r;
        }
        own = ret->hop.nic ? PLACE_NODE_B : PLACE_NODE;
        if (!may_masquerade || !(v6 ? world->uplink_v6 : world->uplink_v4))
                return r;
        addr = place_addr(own, 0, v6);
        r = masquerade(w, &addr);
        return r == REASON_OK || r == REASON_TRANSLATED ? REASON_FORWARDED : r;
}

/* Of GSO packets the segments count. */
static bool fits(const struct walk *w, uint32_t mtu)
{
        if (w->e->gso)
                return w->e->gso + (w->p.l4 - w->p.l3) + 20 <= mtu;
        return w->p.end - w->p.l3 <= mtu;
}

static bool fits_pods(struct walk *w)
{
        uint32_t mtu = w->m->world->knobs.pod_mtu ? w->m->world->knobs.pod_mtu : w->m->world->pod_mtu;

        w->mtu = mtu;
        return !mtu || fits(w, mtu);
}

/* Hosts among each other never use the tunnel. */
static bool by_tunnel(const struct walk *w, const struct prefix *p)
{
        struct addr own = own_address(w->m, w->p.flags & PKT_V6);

        if (!world_has(w->m->world, KNOB_TUNNEL) || !(p->route.flags & ROUTE_TUNNEL))
                return false;
        return !(p->route.type == ROUTE_NODE && !is_zero(&own) && same_addr(&own, &w->to.src));
}

static enum reason to_pod(struct walk *w, const struct prefix *p, struct way *ret)
{
        for (unsigned i = 0; i < WORLD_PODS; i++)
                if (w->m->devices->pods[i] == p->route.ifindex)
                        ret->pod = i;
        if (at_lo(w) && !fits_pods(w))
                return REASON_TOO_BIG;
        ret->kind = WAY_POD;
        return REASON_FORWARDED;
}

static enum reason decide(struct walk *w, struct way *ret)
{
        bool may_masquerade = w->e->hook == HOOK_FROM_POD && world_has(w->m->world, KNOB_MASQUERADE);
        struct prefix room;
        const struct prefix *p = route_of(w, &w->to.dst, &room);

        *ret = (struct way){.kind = WAY_KERNEL};
        if (by_packets(w) && (w->translated || w->rewritten) && is_loopback(&w->to.dst))
                return REASON_FORWARDED; /* an answer to a process of this host */
        if (!p)
                return outside(w, ret, may_masquerade);
        switch (p->route.type) {
        case ROUTE_POD:
                return to_pod(w, p, ret);
        case ROUTE_HOST:
                return REASON_FORWARDED;
        case ROUTE_NODE:
        case ROUTE_REMOTE:
                if (!by_tunnel(w, p))
                        return by_kernel(w, ret);
                if ((w->p.flags & PKT_DF || at_lo(w)) && !fits_pods(w))
                        return REASON_TOO_BIG;
                ret->kind = WAY_TUNNEL;
                ret->peer = p->route.peer;
                return REASON_FORWARDED;
        case ROUTE_SERVICE:
                say(w, "no service has that address");
                return REASON_UNKNOWN_PORT;
        case ROUTE_BLACKHOLE:
                say(w, "no pod has that address");
                return REASON_NO_ROUTE;
        default:
                return outside(w, ret, false);
        }
}

/* --- sending */

static enum reason sent(struct walk *w, enum expected_way way)
{
        w->x->verdict = V_SENT;
        w->x->way = way;
        return REASON_FORWARDED;
}

static enum reason send_pod(struct walk *w, const struct way *way)
{
        bool ingress = w->e->hook == HOOK_FROM_POD || w->e->hook == HOOK_OVERLAY || w->e->hook == HOOK_UPLINK;

        say(w, "into pod %c", 'A' + way->pod);
        if (world_has(w->m->world, KNOB_REDIRECT_PEER) && ingress && !police(w, way->pod, false))
                return REASON_RATE_LIMIT; /* else its own device's program asks */
        write_macs(w, mac_pods[way->pod], mac_gateway);
        w->x->to.ifindex = w->m->devices->pods[way->pod];
        return sent(w, TO_POD);
}

/* Into this node's own stack, as if it came by that NIC. */
static enum reason send_by_nic(struct walk *w, unsigned nic)
{
        say(w, "into the host's stack, as by a NIC");
        write_macs(w, mac_uplinks[nic], mac_uplinks[nic]);
        return sent(w, TO_DEVICE);
}

/* Answers to the host's own processes whose packets went through lo have an address of the host as their source. */
static bool is_los(const struct walk *w)
{
        struct prefix room;
        const struct prefix *p = route_of(w, &w->to.src, &room);

        return by_packets(w) && (w->translated || w->rewritten) &&
               ((p && p->route.type == ROUTE_HOST) || is_loopback(&w->to.src));
}

static enum reason send_kernel(struct walk *w)
{
        static const uint8_t none[6];
        const struct world *world = w->m->world;
        bool ours = w->translated || w->rewritten;

        if (at_lo(w))
                return REASON_TRANSLATED;
        if (is_los(w)) {
                say(w, "into the host's stack by lo");
                write_macs(w, none, none);
                return sent(w, TO_DEVICE);
        }
        if (w->e->hook == HOOK_TO_UPLINK && ours)
                return world->uplinks[w->e->nic] ? send_by_nic(w, w->e->nic) : REASON_INTERNAL;
        /* An IPv4 stack that filters by the reverse path takes a service's address from no pod's device. */
        if (world->uplinks[0] && w->e->hook != HOOK_UPLINK && !(w->p.flags & PKT_V6) && ours &&
            (w->rewritten || !same_addr(&w->to.src, &w->p.tuple.src)))
                return send_by_nic(w, 0);
        return ours ? REASON_TRANSLATED : REASON_OK;
}

enum reason forward(struct walk *w)
{
        struct way way;
        enum reason r = decide(w, &way);
        bool leaves;

        if (r != REASON_FORWARDED)
                return r;
        leaves = way.kind == WAY_TUNNEL || way.kind == WAY_NEIGHBOUR;
        if (leaves && w->p.ttl <= 1)
                return REASON_TTL;
        write_packet(w, leaves);
        switch (way.kind) {
        case WAY_POD:
                return send_pod(w, &way);
        case WAY_TUNNEL:
                if (w->m->world->no_vxlan)
                        return REASON_NO_ENCAP;
                say(w, "by the tunnel");
                w->x->marked = true;
                w->x->to.tunnel_id = w->m->world->knobs.vni;
                w->x->to.remote = way.peer;
                return sent(w, TO_TUNNEL);
        case WAY_NEIGHBOUR:
                say(w, "out of a NIC");
                w->x->marked = true;
                w->x->to.ifindex = way.hop.ifindex;
                w->x->to.next = way.hop.next;
                return sent(w, TO_NEIGHBOUR);
        default:
                return send_kernel(w);
        }
}
