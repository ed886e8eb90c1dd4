/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/net/nodes.h"
#include "base/str.h"
#include "datapath/address.h"

/* Shorter prefixes are taken for a mistake: one would swallow the routes of everything else. */
#define CIDR_MIN_V4 8
#define CIDR_MIN_V6 16

bool node_address_usable(const struct addr *a)
{
        const uint8_t *b = a->b;

        if (address_is_v4(a))
                return b[12] != 0 && b[12] != 127 && b[12] < 224 && !(b[12] == 169 && b[13] == 254);
        return !address_is_zero(a) && b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80) &&
               !(a->w[0] == 0 && a->w[1] == 0 && a->w[2] == 0);
}

static void skip(char *skipped, size_t size, const char *where, const char *text, const char *why)
{
        if (!*skipped)
                snprintf(skipped, size, "%s \"%.64s\" %s", where, text, why);
}

static void read_addresses(const struct json_object *node, struct node_summary *ret)
{
        json_array_foreach (json_at(node, "status.addresses"), i, a) {
                const char *type = json_get_str(a, "type"), *text = json_get_str(a, "address");
                struct addr addr;

                if (!str_eq(type, "InternalIP") || !text)
                        continue;
                if (address_parse(text, &addr) < 0 || !node_address_usable(&addr))
                        skip(ret->skipped, sizeof(ret->skipped), "InternalIP", text, "is no usable IP address");
                else if (ret->addresses_n < NODE_ADDRESSES)
                        ret->addresses[ret->addresses_n++] = addr;
        }
}

static const char *read_cidr(const char *text, struct net_prefix *ret)
{
        struct addr a;
        uint32_t bits;

        if (!text || address_parse_cidr(text, false, &a, &bits) < 0)
                return "is no prefix such as 10.244.1.0/24";
        if (address_is_v4(&a) ? bits < ADDR_V4_BITS + CIDR_MIN_V4 : bits < CIDR_MIN_V6)
                return "is too wide for one node (at least /8, or /16 of IPv6)";
        a = address_mask(&a, bits);
        if (!node_address_usable(&a))
                return "is no range of unicast addresses";
        *ret = (struct net_prefix){a, bits};
        return NULL;
}

static void add_cidr(const char *text, struct node_summary *ret)
{
        struct net_prefix prefix;
        const char *why = read_cidr(text, &prefix);

        for (size_t i = 0; !why && i < ret->cidrs_n; i++)
                if (address_equal(&ret->cidrs[i].addr, &prefix.addr) && ret->cidrs[i].bits == prefix.bits)
                        return;
        if (why)
                skip(ret->skipped, sizeof(ret->skipped), "podCIDR", text ? text : "", why);
        else if (ret->cidrs_n < NODE_CIDRS)
                ret->cidrs[ret->cidrs_n++] = prefix;
}

/* KEP-3836: what the cluster autoscaler is about to take away is marked by a taint. */
static bool is_leaving(const struct json_object *node)
{
        if (json_at_str(node, "metadata.deletionTimestamp"))
                return true;
        json_array_foreach (json_at(node, "spec.taints"), i, taint)
                if (str_eq(json_get_str(taint, "key"), "ToBeDeletedByClusterAutoscaler"))
                        return true;
        return false;
}

void node_summary_read(const struct json_object *node, struct node_summary *ret)
{
        const struct json_object *labels = json_at(node, "metadata.labels");
        const char *zone = json_get_str(labels, "topology.kubernetes.io/zone");
        const char *name = json_at_str(node, "metadata.name"), *uid = json_at_str(node, "metadata.uid");
        const char *cidr = json_at_str(node, "spec.podCIDR");

        memset(ret, 0, sizeof(*ret));
        str_copy(ret->name, sizeof(ret->name), name ? name : "");
        str_copy(ret->uid, sizeof(ret->uid), uid ? uid : "");
        str_copy(ret->zone, sizeof(ret->zone), zone ? zone : "");
        ret->leaving = is_leaving(node);
        read_addresses(node, ret);
        json_array_foreach (json_at(node, "spec.podCIDRs"), i, c)
                add_cidr(json_is_string(c) ? json_object_get_string(c) : NULL, ret);
        if (!ret->cidrs_n && cidr)
                add_cidr(cidr, ret);
}

bool node_summary_equal(const struct node_summary *a, const struct node_summary *b)
{
        return str_eq(a->name, b->name) && str_eq(a->uid, b->uid) && str_eq(a->zone, b->zone) &&
               a->leaving == b->leaving && str_eq(a->skipped, b->skipped) && a->addresses_n == b->addresses_n &&
               a->cidrs_n == b->cidrs_n && memcmp(a->addresses, b->addresses, sizeof(a->addresses)) == 0 &&
               memcmp(a->cidrs, b->cidrs, sizeof(a->cidrs)) == 0;
}

void service_cidr_read(const struct json_object *o, struct service_cidr_summary *ret)
{
        memset(ret, 0, sizeof(*ret));
        json_array_foreach (json_at(o, "spec.cidrs"), i, c) {
                struct net_prefix prefix;

                if (json_is_string(c) && ret->cidrs_n < NODE_CIDRS && !read_cidr(json_object_get_string(c), &prefix))
                        ret->cidrs[ret->cidrs_n++] = prefix;
        }
}

const struct addr *node_address(const struct node_summary *n, bool v4)
{
        for (size_t i = 0; i < n->addresses_n; i++)
                if (address_is_v4(&n->addresses[i]) == v4)
                        return &n->addresses[i];
        return NULL;
}

static void choose(const struct addr *candidates, size_t n, const struct net_state *state, bool v4, struct addr *own)
{
        bool still = false;

        for (size_t i = 0; i < n; i++) {
                if (address_is_v4(&candidates[i]) != v4)
                        continue;
                if (net_address_find(state, &candidates[i])) {
                        *own = candidates[i];
                        return;
                }
                still = still || address_equal(&candidates[i], own);
        }
        if (!still)
                *own = (struct addr){0};
}

void node_own_addresses(const struct addr *candidates, size_t n, const struct net_state *state, struct addr *v4,
                        struct addr *v6)
{
        choose(candidates, n, state, true, v4);
        choose(candidates, n, state, false, v6);
}

const struct addr *node_peer(const struct addr *own_v4, const struct addr *own_v6, const struct node_summary *peer)
{
        const struct addr *v4 = node_address(peer, true), *v6 = node_address(peer, false);

        if (v4 && !address_is_zero(own_v4))
                return v4;
        return v6 && !address_is_zero(own_v6) ? v6 : NULL;
}
