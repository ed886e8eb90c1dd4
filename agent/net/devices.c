/* SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <net/if.h>
#include <string.h>

#include "agent/net/devices.h"
#include "base/str.h"
#include "datapath/address.h"

static bool is_ours(const struct net_link *l)
{
        return str_eq(l->name, VXLAN_DEVICE) || net_is_host_side(l->name);
}

static bool has_default_route(const struct net_state *s, uint32_t ifindex)
{
        for (size_t i = 0; i < s->routes_n; i++) {
                const struct net_route *r = &s->routes[i];

                if (r->ifindex == ifindex && r->bits == (address_is_v4(&r->dst) ? ADDR_V4_BITS : 0))
                        return true;
        }
        return false;
}

static bool has_address(const struct net_state *s, uint32_t ifindex, const struct addr *a)
{
        for (size_t i = 0; i < s->addresses_n; i++)
                if (s->addresses[i].ifindex == ifindex && address_equal(&s->addresses[i].addr, a))
                        return true;
        return false;
}

static bool is_configured(const struct string_list *configured, const char *name)
{
        for (size_t i = 0; i < configured->count; i++)
                if (fnmatch(configured->items[i], name, 0) == 0)
                        return true;
        return false;
}

static bool is_uplink(const struct net_inputs *in, const struct string_list *configured, const struct net_link *l)
{
        if (is_ours(l) || !(l->flags & IFF_UP))
                return false;
        if (configured->count)
                return is_configured(configured, l->name);
        return !(l->flags & IFF_LOOPBACK) &&
               (has_default_route(in->state, l->ifindex) || has_address(in->state, l->ifindex, &in->v4) ||
                has_address(in->state, l->ifindex, &in->v6));
}

/* What masqueraded packets get: the node's address if it is there, else the NIC's first one, else the node's. */
static struct addr source_of(const struct net_inputs *in, uint32_t ifindex, bool v4)
{
        const struct addr own = v4 ? in->v4 : in->v6;

        if (has_address(in->state, ifindex, &own))
                return own;
        for (size_t i = 0; i < in->state->addresses_n; i++) {
                const struct net_address *a = &in->state->addresses[i];

                if (a->ifindex == ifindex && a->usable && !a->secondary && address_is_v4(&a->addr) == v4 &&
                    node_address_usable(&a->addr))
                        return a->addr;
        }
        return own;
}

static void add_uplink(const struct net_inputs *in, const struct net_link *l, struct uplinks *ret)
{
        struct uplink *u = &ret->items[ret->count++];
        uint32_t at = ret->count - 1;

        while (at && ret->items[at - 1].ifindex > l->ifindex)
                at--;
        memmove(&ret->items[at + 1], &ret->items[at], (size_t)(u - &ret->items[at]) * sizeof(*u));
        u = &ret->items[at];
        memset(u, 0, sizeof(*u));
        u->ifindex = l->ifindex;
        u->mtu = l->mtu;
        memcpy(u->mac, l->mac, sizeof(u->mac));
        u->v4 = source_of(in, l->ifindex, true);
        u->v6 = source_of(in, l->ifindex, false);
}

static void report_missing(const struct net_inputs *in, const struct string_list *configured, struct problems *problems)
{
        for (size_t i = 0; i < configured->count; i++) {
                bool found = false;

                for (size_t k = 0; k < in->state->links_n && !found; k++)
                        found = in->state->links[k].flags & IFF_UP &&
                                fnmatch(configured->items[i], in->state->links[k].name, 0) == 0;
                if (!found)
                        problems_add(problems, "devices: no device %s is up on this host", configured->items[i]);
        }
}

void uplinks_choose(const struct net_inputs *in, const struct string_list *configured, struct uplinks *ret,
                    struct problems *problems)
{
        memset(ret, 0, sizeof(*ret));
        for (size_t i = 0; i < in->state->links_n; i++) {
                const struct net_link *l = &in->state->links[i];

                if (!is_uplink(in, configured, l))
                        continue;
                if (ret->count < UPLINKS_MAX)
                        add_uplink(in, l, ret);
                else
                        problems_add(problems, "%s is one NIC too many (%d at most); name those that matter in devices",
                                     l->name, UPLINKS_MAX);
        }
        report_missing(in, configured, problems);
        if (!ret->count && !configured->count)
                problems_add(problems, "no NIC has a default route or this node's address; name one in devices");
}

uint32_t uplink_for_services(const struct net_inputs *in, const struct uplinks *uplinks)
{
        static const uint8_t none[6];
        uint32_t any = 0;

        for (uint32_t i = 0; i < uplinks->count; i++) {
                const struct uplink *u = &uplinks->items[i];

                if (memcmp(u->mac, none, sizeof(none)) == 0) /* not of Ethernet's kind */
                        continue;
                if (has_address(in->state, u->ifindex, &in->v4) || has_address(in->state, u->ifindex, &in->v6))
                        return u->ifindex;
                any = any ? any : u->ifindex;
        }
        return any;
}

const char *uplink_name(const struct net_state *state, const struct uplink *u)
{
        const struct net_link *l = net_link_by_index(state, u->ifindex);

        return l ? l->name : NULL;
}

bool underlay_is_v6(const struct net_inputs *in)
{
        if (address_is_zero(&in->v4))
                return !address_is_zero(&in->v6);
        for (size_t i = 0; i < in->others_n; i++) {
                const struct addr *peer = node_peer(&in->v4, &in->v6, in->others[i]);

                if (peer && !address_is_v4(peer))
                        return true;
        }
        return false;
}

uint32_t pod_mtu(const struct uplinks *uplinks, enum routing_mode routing, bool v6, uint32_t configured,
                 struct problems *problems)
{
        const uint32_t overhead = routing != ROUTING_VXLAN ? 0 : v6 ? VXLAN_OVERHEAD_V6 : VXLAN_OVERHEAD_V4;
        uint32_t least = 0;

        for (uint32_t i = 0; i < uplinks->count; i++)
                if (!least || uplinks->items[i].mtu < least)
                        least = uplinks->items[i].mtu;
        if (configured) {
                if (least && configured + overhead > least)
                        problems_add(problems, "mtu: %u does not fit into the NICs' %u (at most %u)", configured, least,
                                     least > overhead ? least - overhead : 0);
                return configured;
        }
        if (!least)
                return 0;
        if (least < POD_MTU_MIN + overhead) {
                problems_add(problems, "a NIC's MTU of %u leaves pods less than %d: IPv6 will not work", least,
                             POD_MTU_MIN);
                return least > overhead + 68 ? least - overhead : 68;
        }
        return least - overhead;
}

enum vxlan_verdict vxlan_check(const struct net_state *state, const struct vxlan_want *want, const char **why)
{
        const struct net_link *l = net_link_by_name(state, VXLAN_DEVICE);

        *why = "is missing";
        if (!l)
                return VXLAN_MISSING;
        *why = "is of another kind";
        if (!str_eq(l->kind, "vxlan"))
                return VXLAN_REPLACE;
        *why = "has other settings";
        if (!l->vxlan.external || l->vxlan.port != want->port || l->vxlan.learning || !l->vxlan.zero_csum6_rx)
                return VXLAN_REPLACE;
        *why = "is part of a bridge or bond";
        if (l->master)
                return VXLAN_ADJUST;
        *why = "is down";
        if (!(l->flags & IFF_UP))
                return VXLAN_ADJUST;
        *why = "has another MTU";
        if (l->mtu != want->mtu)
                return VXLAN_ADJUST;
        *why = "resolves neighbours";
        return l->flags & IFF_NOARP ? VXLAN_FITS : VXLAN_ADJUST;
}
