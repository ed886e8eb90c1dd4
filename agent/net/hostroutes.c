/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "agent/net/hostroutes.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define EXACT 128
/* Of routes that any other one to the same destination comes before. */
#define LAST_METRIC 0x7fffffff
/*
 * A next hop that is nobody: to_uplink takes every packet to a service out of its way there. Without it a host without
 * a default route would not even begin to send. Nobody else has these addresses, on whatever network.
 */
static const struct addr service_gateways[] = {
        {.b = {[10] = 0xff, 0xff, 169, 254, 152, 152}},
        {.b = {0xfe, 0x80, [13] = 0x98, 0, 0x98}},
};
static const uint8_t service_gateway_mac[6] = {2, 'f', 'l', 'a', 'd', 1};

void host_routes_deinit(struct host_routes *r)
{
        free(r->items);
        *r = HOST_ROUTES_NULL;
}

void host_route_ops_deinit(struct host_route_ops *ops)
{
        free(ops->items);
        *ops = HOST_ROUTE_OPS_NULL;
}

static struct net_route *append(struct host_routes *r)
{
        if (r->count == r->cap) {
                r->cap = MAX(32, r->cap * 2);
                r->items = mem_realloc(r->items, r->cap, sizeof(*r->items));
        }
        r->items[r->count] = (struct net_route){.protocol = NET_ROUTE_PROTOCOL};
        return &r->items[r->count++];
}

static int compare(const struct net_route *a, const struct net_route *b)
{
        int order = memcmp(&a->dst, &b->dst, sizeof(a->dst));

        return order ? order : a->bits < b->bits ? -1 : a->bits > b->bits;
}

/* ---- what should be there */

static void add_pod(const struct net_inputs *in, const struct pod_place *p, struct host_routes *ret)
{
        const struct addr *own[] = {&p->v4, &p->v6};

        for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
                struct net_route *r;

                if (address_is_zero(own[i]))
                        continue;
                r = append(ret);
                r->dst = *own[i];
                r->bits = EXACT;
                r->ifindex = p->ifindex;
                r->src = net_own_source(in, address_is_v4(own[i]));
        }
}

static void add_own(const struct net_inputs *in, struct host_routes *ret)
{
        for (size_t i = 0; in->own && i < in->own->cidrs_n; i++) {
                struct net_route *r = append(ret);

                r->dst = in->own->cidrs[i].addr;
                r->bits = in->own->cidrs[i].bits;
                r->unreachable = true;
        }
}

/* The NIC in whose network the address is; 0: behind a router. */
static uint32_t neighbour_device(const struct net_inputs *in, const struct addr *a)
{
        for (size_t i = 0; i < in->state->addresses_n; i++) {
                const struct net_address *own = &in->state->addresses[i];
                const struct net_link *l = net_link_by_index(in->state, own->ifindex);

                if (own->usable && l && l->flags & IFF_UP && !(l->flags & IFF_LOOPBACK) && own->bits < EXACT &&
                    address_in(a, &own->addr, own->bits))
                        return own->ifindex;
        }
        return 0;
}

static bool next_hop(const struct net_inputs *in, const struct node_summary *n, const struct net_prefix *cidr,
                     struct net_route *r, struct problems *problems)
{
        const bool v4 = address_is_v4(&cidr->addr);
        const struct addr *peer;

        if (in->settings->routing == ROUTING_VXLAN) {
                r->ifindex = in->vxlan_ifindex;
                return r->ifindex && node_peer(&in->v4, &in->v6, n);
        }
        peer = node_address(n, v4);
        if (!peer) {
                problems_add(problems, "node %s has pods of IPv%d but no InternalIP of it to route them by", n->name,
                             v4 ? 4 : 6);
                return false;
        }
        r->via = *peer;
        r->ifindex = neighbour_device(in, peer);
        if (!r->ifindex)
                problems_add(problems,
                             "node %s is not in a network of this node's NICs: native routing does not get to its "
                             "pods; use routing: vxlan",
                             n->name);
        return r->ifindex;
}

static void add_node(const struct net_inputs *in, const struct node_summary *n, struct host_routes *ret,
                     struct problems *problems)
{
        for (size_t i = 0; i < n->cidrs_n; i++) {
                struct net_route r = {.dst = n->cidrs[i].addr, .bits = n->cidrs[i].bits};

                if (!net_believable(in, n, &n->cidrs[i], NULL) || !next_hop(in, n, &n->cidrs[i], &r, problems))
                        continue;
                r.src = net_own_source(in, address_is_v4(&r.dst));
                r.protocol = NET_ROUTE_PROTOCOL;
                *append(ret) = r;
        }
}

/* One that is as wide as all addresses, or has a node in it, is a mistake that would cut the host off. */
static bool is_sane(const struct net_inputs *in, const struct net_prefix *p)
{
        if (p->bits <= (address_is_v4(&p->addr) ? ADDR_V4_BITS : 0))
                return false;
        if (address_in(&in->v4, &p->addr, p->bits) || address_in(&in->v6, &p->addr, p->bits))
                return false;
        for (size_t i = 0; i < in->others_n; i++)
                for (size_t k = 0; k < in->others[i]->addresses_n; k++)
                        if (address_in(&in->others[i]->addresses[k], &p->addr, p->bits))
                                return false;
        return true;
}

static void add_services(const struct net_inputs *in, struct host_routes *ret)
{
        const bool set = in->settings->service.count;
        const struct net_prefix *cidrs = set ? in->settings->service.items : in->service_cidrs;
        const size_t n = set ? in->settings->service.count : in->service_cidrs_n;

        for (size_t i = 0; in->service_ifindex && i < n; i++) {
                const struct addr src = net_own_source(in, address_is_v4(&cidrs[i].addr));
                struct net_route *r;

                if (address_is_zero(&src) || !is_sane(in, &cidrs[i]))
                        continue;
                r = append(ret);
                r->dst = cidrs[i].addr;
                r->bits = cidrs[i].bits;
                r->ifindex = in->service_ifindex;
                r->via = service_gateways[!address_is_v4(&r->dst)];
                r->src = src;
                r->mtu = in->pod_mtu; /* an endpoint is a pod, mostly */
                r->last = true;
        }
}

struct placed {
        struct net_route route;
        size_t place;
};

static int compare_placed(const void *a, const void *b)
{
        const struct placed *x = a, *y = b;
        int order = compare(&x->route, &y->route);

        return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

/* Of the same prefix twice the first stays. */
static void sort(struct host_routes *r)
{
        _cleanup_free_ struct placed *p = mem_array(struct placed, r->count + 1);
        size_t n = 0;

        for (size_t i = 0; i < r->count; i++)
                p[i] = (struct placed){r->items[i], i};
        qsort(p, r->count, sizeof(*p), compare_placed);
        for (size_t i = 0; i < r->count; i++)
                if (!n || compare(&r->items[n - 1], &p[i].route))
                        r->items[n++] = p[i].route;
        r->count = n;
}

void host_routes_desired(const struct net_inputs *in, struct host_routes *ret, struct problems *problems)
{
        host_routes_deinit(ret);
        for (size_t i = 0; i < in->pods_n; i++)
                add_pod(in, &in->pods[i], ret);
        add_own(in, ret);
        for (size_t i = 0; i < in->others_n; i++)
                add_node(in, in->others[i], ret, problems);
        add_services(in, ret);
        sort(ret);
}

void host_routes_of_pod(const struct net_inputs *in, const struct pod_place *pod, struct host_routes *ret)
{
        host_routes_deinit(ret);
        add_pod(in, pod, ret);
        sort(ret);
}

/* ---- the way there */

static const struct net_route *find(const struct host_routes *r, const struct net_route *like)
{
        size_t low = 0, high = r->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = compare(&r->items[middle], like);

                if (order == 0)
                        return &r->items[middle];
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static bool same(const struct net_route *a, const struct net_route *b)
{
        if (compare(a, b) != 0 || a->unreachable != b->unreachable)
                return false;
        return a->unreachable || (a->ifindex == b->ifindex && a->mtu == b->mtu && address_equal(&a->via, &b->via) &&
                                  address_equal(&a->src, &b->src));
}

bool host_routes_have(const struct host_routes *r, const struct net_route *route)
{
        const struct net_route *found = find(r, route);

        return found && same(found, route);
}

static void add_op(struct host_route_ops *ops, enum host_route_verb verb, const struct net_route *route)
{
        if (ops->count == ops->cap) {
                ops->cap = MAX(16, ops->cap * 2);
                ops->items = mem_realloc(ops->items, ops->cap, sizeof(*ops->items));
        }
        ops->items[ops->count++] = (struct host_route_op){verb, *route};
}

enum { MISSING, OTHER, THERE };

void host_routes_diff(const struct net_state *have, const struct host_routes *want, struct host_route_ops *ret)
{
        _cleanup_free_ uint8_t *found = mem_zalloc(want->count + 1);

        host_route_ops_deinit(ret);
        for (size_t i = 0; i < have->routes_n; i++) {
                const struct net_route *h = &have->routes[i];
                const struct net_route *w;

                if (h->protocol != NET_ROUTE_PROTOCOL)
                        continue;
                w = find(want, h);
                if (!w || h->unreachable != w->unreachable || (found[w - want->items] && !same(h, w)))
                        add_op(ret, HOST_ROUTE_DELETE, h);
                else
                        found[w - want->items] = same(h, w) ? THERE : MAX(found[w - want->items], OTHER);
        }
        for (size_t i = 0; i < want->count; i++)
                if (found[i] != THERE)
                        add_op(ret, found[i] == OTHER ? HOST_ROUTE_REPLACE : HOST_ROUTE_ADD, &want->items[i]);
}

static bool has_neighbour(const struct net_state *s, const struct net_neighbour *n)
{
        for (size_t i = 0; i < s->neighbours_n; i++)
                if (s->neighbours[i].ifindex == n->ifindex && address_equal(&s->neighbours[i].addr, &n->addr))
                        return memcmp(s->neighbours[i].mac, n->mac, sizeof(n->mac)) == 0;
        return false;
}

static bool wants_gateway(const struct net_inputs *in, const struct addr *gateway)
{
        const struct addr src = net_own_source(in, address_is_v4(gateway));

        return in->service_ifindex && !address_is_zero(&src);
}

static size_t gateways_missing(const struct net_inputs *in, struct net_neighbour *ret)
{
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(service_gateways); i++) {
                struct net_neighbour wanted = {.ifindex = in->service_ifindex, .addr = service_gateways[i]};

                memcpy(wanted.mac, service_gateway_mac, sizeof(wanted.mac));
                if (wants_gateway(in, &wanted.addr) && !has_neighbour(in->state, &wanted))
                        ret[n++] = wanted;
        }
        return n;
}

bool host_neighbour_is_ours(const struct net_neighbour *n)
{
        for (size_t i = 0; i < ARRAY_SIZE(service_gateways); i++)
                if (address_equal(&n->addr, &service_gateways[i]))
                        return memcmp(n->mac, service_gateway_mac, sizeof(n->mac)) == 0;
        return false;
}

size_t host_neighbours_stale(const struct net_inputs *in, struct net_neighbour *ret)
{
        size_t n = 0;

        for (size_t i = 0; i < in->state->neighbours_n; i++) {
                const struct net_neighbour *h = &in->state->neighbours[i];

                if (host_neighbour_is_ours(h) && (h->ifindex != in->service_ifindex || !wants_gateway(in, &h->addr)))
                        ret[n++] = *h;
        }
        return n;
}

size_t host_neighbours_missing(const struct net_inputs *in, struct net_neighbour *ret)
{
        size_t n = gateways_missing(in, ret);

        for (size_t i = 0; i < in->pods_n; i++) {
                const struct pod_place *p = &in->pods[i];
                const struct addr *own[] = {&p->v4, &p->v6};

                for (size_t k = 0; k < ARRAY_SIZE(own); k++) {
                        struct net_neighbour wanted = {.ifindex = p->ifindex, .addr = *own[k]};

                        memcpy(wanted.mac, p->mac, sizeof(wanted.mac));
                        if (!address_is_zero(own[k]) && !has_neighbour(in->state, &wanted))
                                ret[n++] = wanted;
                }
        }
        return n;
}

/* ---- effects */

static void put_route(struct rtnl_msg *m, const struct net_route *r, bool deletion)
{
        struct rtmsg *rt = NLMSG_DATA(&m->header);
        const bool v4 = address_is_v4(&r->dst);

        rt->rtm_family = v4 ? AF_INET : AF_INET6;
        rt->rtm_dst_len = (uint8_t)(v4 ? r->bits - ADDR_V4_BITS : r->bits);
        rt->rtm_table = RT_TABLE_MAIN;
        rt->rtm_protocol = NET_ROUTE_PROTOCOL;
        rt->rtm_type = r->unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
        /* A deletion matches any scope. */
        rt->rtm_scope = deletion                                             ? RT_SCOPE_NOWHERE
                        : !v4 || r->unreachable || !address_is_zero(&r->via) ? RT_SCOPE_UNIVERSE
                                                                             : RT_SCOPE_LINK;
        rt->rtm_flags = r->last && v4 ? RTNH_F_ONLINK : 0;
        rtnl_put_addr(m, RTA_DST, &r->dst);
        if (r->unreachable || r->last)
                rtnl_put_u32(m, RTA_PRIORITY, LAST_METRIC);
        if (r->unreachable)
                return;
        rtnl_put_u32(m, RTA_OIF, r->ifindex);
        if (!address_is_zero(&r->via))
                rtnl_put_addr(m, RTA_GATEWAY, &r->via);
        if (!address_is_zero(&r->src) && !deletion)
                rtnl_put_addr(m, RTA_PREFSRC, &r->src);
        if (r->mtu && !deletion) {
                struct nlattr *metrics = rtnl_nest(m, RTA_METRICS);

                rtnl_put_u32(m, RTAX_MTU, r->mtu);
                rtnl_nest_end(m, metrics);
        }
}

int host_route_apply(struct rtnl *rtnl, const struct host_route_op *op, struct err *reterr)
{
        static const uint16_t flags[] = {
                [HOST_ROUTE_ADD] = NLM_F_CREATE | NLM_F_EXCL,
                [HOST_ROUTE_REPLACE] = NLM_F_CREATE | NLM_F_REPLACE,
                [HOST_ROUTE_DELETE] = 0,
        };
        const bool deletion = op->verb == HOST_ROUTE_DELETE;
        char text[ADDRESS_TEXT];
        struct rtnl_msg m;
        int res;

        rtnl_msg_init(&m, deletion ? RTM_DELROUTE : RTM_NEWROUTE, flags[op->verb], sizeof(struct rtmsg));
        put_route(&m, &op->route, deletion);
        res = rtnl_do(rtnl, &m, reterr);
        if (res == -ESRCH && deletion)
                return 0;
        if (res == -EEXIST)
                return err_set(reterr, res, "route %s exists already and is not fairlead's; remove it",
                               address_cidr_text(&op->route.dst, op->route.bits, text));
        return res < 0 ? err_prefix(reterr, res, "cannot %s route %s", deletion ? "remove" : "set",
                                    address_cidr_text(&op->route.dst, op->route.bits, text))
                       : 0;
}

static int apply_neighbour(struct rtnl *rtnl, const struct net_neighbour *n, uint16_t type, uint16_t flags,
                           struct err *reterr)
{
        struct rtnl_msg m;
        struct ndmsg *nd = rtnl_msg_init(&m, type, flags, sizeof(*nd));

        nd->ndm_family = address_is_v4(&n->addr) ? AF_INET : AF_INET6;
        nd->ndm_ifindex = (int)n->ifindex;
        nd->ndm_state = NUD_PERMANENT;
        rtnl_put_addr(&m, NDA_DST, &n->addr);
        rtnl_put(&m, NDA_LLADDR, n->mac, sizeof(n->mac));
        return rtnl_do(rtnl, &m, reterr);
}

int host_neighbour_set(struct rtnl *rtnl, const struct net_neighbour *n, struct err *reterr)
{
        int res = apply_neighbour(rtnl, n, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, reterr);
        char text[ADDRESS_TEXT];

        return res < 0 ? err_prefix(reterr, res, "cannot set neighbour %s", address_text(&n->addr, text)) : 0;
}

int host_neighbour_delete(struct rtnl *rtnl, const struct net_neighbour *n, struct err *reterr)
{
        int res = apply_neighbour(rtnl, n, RTM_DELNEIGH, 0, reterr);
        char text[ADDRESS_TEXT];

        if (res == -ENOENT || res == -ENODEV)
                return 0;
        return res < 0 ? err_prefix(reterr, res, "cannot remove neighbour %s", address_text(&n->addr, text)) : 0;
}
