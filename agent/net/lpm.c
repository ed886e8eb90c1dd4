/* SPDX-License-Identifier: Apache-2.0 */
#include <net/if.h>
#include <string.h>

#include "agent/net/lpm.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define EXACT 128

void lpm_table_deinit(struct lpm_table *t)
{
        free(t->entries);
        *t = LPM_TABLE_NULL;
}

static struct lpm_entry *append(struct lpm_table *t)
{
        if (t->count == t->cap) {
                t->cap = MAX(64, t->cap * 2);
                t->entries = mem_realloc(t->entries, t->cap, sizeof(*t->entries));
        }
        return &t->entries[t->count++];
}

void lpm_add(struct lpm_table *t, const struct addr *a, uint32_t bits, const struct route *value)
{
        struct lpm_entry *e = append(t);

        e->key.prefixlen = bits;
        e->key.addr = *a;
        e->value = *value;
}

static int compare_keys(const struct route_key *a, const struct route_key *b)
{
        int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

        return order ? order : a->prefixlen < b->prefixlen ? -1 : a->prefixlen > b->prefixlen;
}

static int compare(const void *a, const void *b)
{
        return compare_keys(&((const struct lpm_entry *)a)->key, &((const struct lpm_entry *)b)->key);
}

int lpm_compare(const struct lpm_entry *a, const struct lpm_entry *b)
{
        return compare_keys(&a->key, &b->key);
}

/* glibc's qsort is a merge sort while there is memory, but does not promise it: the place of each breaks ties. */
struct placed {
        struct lpm_entry entry;
        size_t place;
};

static int compare_placed(const void *a, const void *b)
{
        const struct placed *x = a, *y = b;
        int order = compare(&x->entry, &y->entry);

        return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

void lpm_sort(struct lpm_table *t)
{
        _cleanup_free_ struct placed *p = mem_array(struct placed, t->count + 1);
        size_t n = 0;

        for (size_t i = 0; i < t->count; i++)
                p[i] = (struct placed){t->entries[i], i};
        qsort(p, t->count, sizeof(*p), compare_placed);
        for (size_t i = 0; i < t->count; i++)
                if (!n || compare(&t->entries[n - 1], &p[i].entry))
                        t->entries[n++] = p[i].entry;
        t->count = n;
}

const struct lpm_entry *lpm_find(const struct lpm_table *t, const struct route_key *key)
{
        struct lpm_entry wanted = {.key = *key};

        return t->count ? bsearch(&wanted, t->entries, t->count, sizeof(wanted), compare) : NULL;
}

/* ---- what should be there */

static bool is_global(const struct net_inputs *in, const struct net_address *a)
{
        const struct net_link *l = net_link_by_index(in->state, a->ifindex);

        return node_address_usable(&a->addr) && !(l && net_is_host_side(l->name));
}

static void add_host(const struct net_inputs *in, struct lpm_table *t)
{
        const struct addr own[] = {in->v4, in->v6};

        for (size_t i = 0; i < ARRAY_SIZE(own) + in->state->addresses_n; i++) {
                const struct net_address *a = i < 2 ? NULL : &in->state->addresses[i - 2];
                const struct addr *addr = a ? &a->addr : &own[i];
                const struct route r = {
                        .type = ROUTE_HOST,
                        .flags = net_settings_nodeport(in->settings, addr) ? ROUTE_NODEPORT : 0,
                };

                if (a ? is_global(in, a) : !address_is_zero(addr))
                        lpm_add(t, addr, EXACT, &r);
        }
}

static void add_pods(const struct net_inputs *in, struct lpm_table *t)
{
        for (size_t i = 0; i < in->pods_n; i++) {
                const struct pod_place *p = &in->pods[i];
                struct route r = {.type = ROUTE_POD, .ifindex = p->ifindex};

                memcpy(r.mac, p->mac, sizeof(r.mac));
                if (!address_is_zero(&p->v4))
                        lpm_add(t, &p->v4, EXACT, &r);
                if (!address_is_zero(&p->v6))
                        lpm_add(t, &p->v6, EXACT, &r);
        }
}

static void add_blackholes(const struct net_inputs *in, struct lpm_table *t)
{
        const struct route r = {.type = ROUTE_BLACKHOLE};

        for (size_t i = 0; in->own && i < in->own->cidrs_n; i++)
                lpm_add(t, &in->own->cidrs[i].addr, in->own->cidrs[i].bits, &r);
}

static struct route remote_route(const struct net_inputs *in, const struct node_summary *n,
                                 const struct net_prefix *cidr, const struct addr *peer)
{
        const bool tunnel = in->settings->routing == ROUTING_VXLAN;
        const struct addr *via = tunnel ? peer : node_address(n, address_is_v4(&cidr->addr));

        return (struct route){.type = ROUTE_REMOTE, .flags = tunnel ? ROUTE_TUNNEL : 0, .peer = via ? *via : *peer};
}

static void add_node(const struct net_inputs *in, const struct node_summary *n, struct lpm_table *t,
                     struct problems *problems)
{
        const struct addr *peer = node_peer(&in->v4, &in->v6, n);
        const uint8_t tunnel = in->settings->routing == ROUTING_VXLAN ? ROUTE_TUNNEL : 0;

        if (!peer) {
                if (n->addresses_n || n->cidrs_n)
                        problems_add(problems, "node %s has no InternalIP of a family that this node has, too",
                                     n->name);
                return;
        }
        for (size_t i = 0; i < n->addresses_n; i++) {
                const struct addr *a = &n->addresses[i];
                const struct route r = {
                        .type = ROUTE_NODE,
                        .flags = tunnel | (net_settings_nodeport(in->settings, a) ? ROUTE_NODEPORT : 0),
                        .peer = tunnel ? *peer : *a,
                };

                lpm_add(t, a, EXACT, &r);
        }
        for (size_t i = 0; i < n->cidrs_n; i++) {
                const struct route r = remote_route(in, n, &n->cidrs[i], peer);

                if (net_believable(in, n, &n->cidrs[i], problems))
                        lpm_add(t, &n->cidrs[i].addr, n->cidrs[i].bits, &r);
        }
}

static void add_prefixes(struct lpm_table *t, const struct net_prefix *p, size_t n, enum route_type type)
{
        const struct route r = {.type = (uint8_t)type};

        for (size_t i = 0; i < n; i++)
                lpm_add(t, &p[i].addr, p[i].bits, &r);
}

/* Two nodes with the same range, or another's range on top of ours. */
static void report_conflict(const struct net_inputs *in, const struct lpm_table *t, const struct node_summary *n,
                            struct problems *problems)
{
        const struct addr *peer = node_peer(&in->v4, &in->v6, n);
        char text[ADDRESS_TEXT];

        for (size_t i = 0; peer && i < n->cidrs_n; i++) {
                const struct route_key key = {.prefixlen = n->cidrs[i].bits, .addr = n->cidrs[i].addr};
                const struct route wanted = remote_route(in, n, &n->cidrs[i], peer);
                const struct lpm_entry *e = lpm_find(t, &key);

                if (e && memcmp(&e->value, &wanted, sizeof(wanted)) != 0)
                        problems_add(problems, "podCIDR %s of node %s belongs to another node already",
                                     address_cidr_text(&key.addr, key.prefixlen, text), n->name);
        }
}

void lpm_desired(const struct net_inputs *in, struct lpm_table *ret, struct problems *problems)
{
        const struct prefix_list *service = &in->settings->service;

        lpm_table_deinit(ret);
        add_host(in, ret);
        add_pods(in, ret);
        add_blackholes(in, ret);
        for (size_t i = 0; i < in->others_n; i++)
                add_node(in, in->others[i], ret, problems);
        if (service->count)
                add_prefixes(ret, service->items, service->count, ROUTE_SERVICE);
        else
                add_prefixes(ret, in->service_cidrs, in->service_cidrs_n, ROUTE_SERVICE);
        add_prefixes(ret, in->settings->direct.items, in->settings->direct.count, ROUTE_DIRECT);
        lpm_sort(ret);
        for (size_t i = 0; i < in->others_n; i++)
                report_conflict(in, ret, in->others[i], problems);
}

/* ---- the way there */

void lpm_diff(const struct lpm_table *have, const struct lpm_table *want, struct lpm_diff *ret)
{
        size_t i = 0, j = 0;

        lpm_diff_deinit(ret);
        while (i < have->count || j < want->count) {
                const struct lpm_entry *h = i < have->count ? &have->entries[i] : NULL;
                const struct lpm_entry *w = j < want->count ? &want->entries[j] : NULL;
                int order = !h ? 1 : !w ? -1 : compare(h, w);

                if (order < 0)
                        *append(&ret->del) = *h;
                else if (order > 0 || memcmp(&h->value, &w->value, sizeof(w->value)) != 0)
                        *append(&ret->set) = *w;
                i += order <= 0;
                j += order >= 0;
        }
}

void lpm_diff_deinit(struct lpm_diff *d)
{
        lpm_table_deinit(&d->set);
        lpm_table_deinit(&d->del);
}
