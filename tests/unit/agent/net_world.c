/* SPDX-License-Identifier: Apache-2.0 */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"
#include "unit/agent/net_world.h"

struct addr addr_of(const char *text)
{
        struct addr a;

        if (address_parse(text, &a) < 0)
                abort();
        return a;
}

struct net_prefix prefix_of(const char *text)
{
        struct net_prefix p;

        if (address_parse_cidr(text, false, &p.addr, &p.bits) < 0)
                abort();
        p.addr = address_mask(&p.addr, p.bits);
        return p;
}

struct net_link *world_link(struct world *w, uint32_t ifindex, const char *name, const char *kind)
{
        struct net_link *l = net_state_add_link(&w->state);

        l->ifindex = ifindex;
        l->mtu = 1500;
        l->flags = IFF_UP;
        str_copy(l->name, sizeof(l->name), name);
        str_copy(l->kind, sizeof(l->kind), kind);
        return l;
}

struct net_address *world_address(struct world *w, uint32_t ifindex, const char *cidr)
{
        struct net_address *a = net_state_add_address(&w->state);
        struct net_prefix p;

        if (address_parse_cidr(cidr, false, &p.addr, &p.bits) < 0)
                abort();
        a->ifindex = ifindex;
        a->bits = p.bits;
        a->usable = true;
        _cleanup_free_ char *text = mem_strndup(cidr, strcspn(cidr, "/"));
        a->addr = addr_of(text);
        return a;
}

struct net_route *world_route(struct world *w, const char *cidr, uint32_t ifindex, const char *via)
{
        struct net_route *r = net_state_add_route(&w->state);
        struct net_prefix p = prefix_of(cidr);

        r->dst = p.addr;
        r->bits = p.bits;
        r->ifindex = ifindex;
        if (via)
                r->via = addr_of(via);
        return r;
}

static void fill_node(struct node_summary *n, const char *name, const char *addresses, const char *cidrs)
{
        struct str_span piece;

        memset(n, 0, sizeof(*n));
        str_copy(n->name, sizeof(n->name), name);
        for (const char *rest = addresses; *addresses && str_split(&rest, ',', &piece);) {
                _cleanup_free_ char *one = mem_strndup(piece.s, piece.n);

                n->addresses[n->addresses_n++] = addr_of(one);
        }
        for (const char *rest = cidrs; *cidrs && str_split(&rest, ',', &piece);) {
                _cleanup_free_ char *one = mem_strndup(piece.s, piece.n);

                n->cidrs[n->cidrs_n++] = prefix_of(one);
        }
}

struct node_summary *world_node(struct world *w, const char *name, const char *addresses, const char *cidrs)
{
        struct node_summary *n = &w->nodes[w->in.others_n];

        fill_node(n, name, addresses, cidrs);
        w->others[w->in.others_n++] = n;
        return n;
}

struct pod_place *world_pod(struct world *w, uint32_t ifindex, const char *v4, const char *v6)
{
        struct pod_place *p = &w->pods[w->in.pods_n++];

        memset(p, 0, sizeof(*p));
        p->ifindex = ifindex;
        p->mac[0] = 2;
        p->mac[5] = (uint8_t)ifindex;
        if (v4)
                p->v4 = addr_of(v4);
        if (v6)
                p->v6 = addr_of(v6);
        return p;
}

void world_init(struct world *w)
{
        memset(w, 0, sizeof(*w));
        w->in.settings = &w->settings;
        w->in.state = &w->state;
        w->in.own = &w->own;
        w->in.others = w->others;
        w->in.pods = w->pods;
        w->in.vxlan_ifindex = 4;
        fill_node(&w->own, "n1", "10.99.0.1,fd99::1", "10.244.1.0/24,fd00:1::/64");
        w->in.v4 = addr_of("10.99.0.1");
        w->in.v6 = addr_of("fd99::1");
        world_link(w, 1, "lo", "")->flags |= IFF_LOOPBACK;
        world_link(w, 2, "eth0", "");
        world_address(w, 1, "127.0.0.1/8");
        world_address(w, 1, "::1/128");
        world_address(w, 2, "10.99.0.1/24");
        world_address(w, 2, "fd99::1/64");
        world_address(w, 2, "fe80::2/64");
        world_route(w, "0.0.0.0/0", 2, "10.99.0.254");
}

void world_deinit(struct world *w)
{
        net_state_deinit(&w->state);
        problems_deinit(&w->problems);
}

const char *route_text(const struct route *r, char buf[static 128])
{
        static const char *const types[] = {"none", "pod", "host", "node", "remote", "service", "direct", "blackhole"};
        char peer[ADDRESS_TEXT] = "";
        char device[16] = "";

        if (!address_is_zero(&r->peer))
                address_text(&r->peer, peer);
        if (r->ifindex)
                snprintf(device, sizeof(device), " %u", r->ifindex);
        snprintf(buf, 128, "%s%s%s%s%s%s", types[r->type], r->flags & ROUTE_NODEPORT ? " nodeport" : "",
                 r->flags & ROUTE_TUNNEL ? " tunnel" : "", device, *peer ? " " : "", peer);
        return buf;
}

const char *host_route_text(const struct net_route *r, char buf[static 192])
{
        char via[ADDRESS_TEXT] = "", src[ADDRESS_TEXT] = "";

        if (!address_is_zero(&r->via))
                address_text(&r->via, via);
        if (!address_is_zero(&r->src))
                address_text(&r->src, src);
        if (r->unreachable)
                snprintf(buf, 192, "unreachable");
        else
                snprintf(buf, 192, "dev %u%s%s%s%s", r->ifindex, *via ? " via " : "", via, *src ? " src " : "", src);
        return buf;
}
