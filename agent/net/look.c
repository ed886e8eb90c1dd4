/* SPDX-License-Identifier: Apache-2.0 */
/* What a round decides on: informers and kernel become one struct net_inputs. */
#include <string.h>

#include "agent/net/network_state.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

static void on_node(void *userdata, const char *key, void *value)
{
        struct network *n = userdata;
        const struct node_summary *s = value;

        if (str_eq(s->name, n->opts.own_node))
                return;
        if (n->inputs.others_n == n->others_cap) {
                n->others_cap = MAX(16, n->others_cap * 2);
                n->others = mem_realloc(n->others, n->others_cap, sizeof(*n->others));
        }
        n->others[n->inputs.others_n++] = s;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp((*(const struct node_summary *const *)a)->name, (*(const struct node_summary *const *)b)->name);
}

static void look_at_nodes(struct network *n, struct problems *problems)
{
        const struct node_summary *own = informer_get(n->opts.nodes, n->opts.own_node);

        n->inputs.others_n = 0;
        informer_each(n->opts.nodes, on_node, n);
        if (n->inputs.others_n)
                qsort(n->others, n->inputs.others_n, sizeof(*n->others), compare_names);
        n->inputs.others = n->others;
        for (size_t i = 0; i < n->inputs.others_n; i++)
                if (*n->others[i]->skipped)
                        problems_add(problems, "node %s: %s", n->others[i]->name, n->others[i]->skipped);
        if (own) {
                n->own = *own;
                n->own_known = true;
        }
        n->view.found = own != NULL;
        n->inputs.own = n->own_known ? &n->own : NULL;
        if (n->synced && !own)
                problems_add(problems, "there is no Node %s; set nodeName to the name of this host's Node",
                             n->opts.own_node);
        if (own && *own->skipped)
                problems_add(problems, "Node %s: %s", own->name, own->skipped);
        if (own && !own->cidrs_n)
                problems_add(problems,
                             "Node %s has no spec.podCIDRs: run the cluster's controller with --allocate-node-cidrs "
                             "and --cluster-cidr",
                             own->name);
}

static void on_service_cidr(void *userdata, const char *key, void *value)
{
        struct network *n = userdata;
        const struct service_cidr_summary *s = value;

        for (size_t i = 0; i < s->cidrs_n; i++) {
                if (n->inputs.service_cidrs_n == n->service_cidrs_cap) {
                        n->service_cidrs_cap = MAX(8, n->service_cidrs_cap * 2);
                        n->service_cidrs =
                                mem_realloc(n->service_cidrs, n->service_cidrs_cap, sizeof(*n->service_cidrs));
                }
                n->service_cidrs[n->inputs.service_cidrs_n++] = s->cidrs[i];
        }
}

static void look_at_service_cidrs(struct network *n)
{
        n->inputs.service_cidrs_n = 0;
        if (n->opts.service_cidrs)
                informer_each(n->opts.service_cidrs, on_service_cidr, n);
        n->inputs.service_cidrs = n->service_cidrs;
}

static bool any_is_here(const struct network *n, const struct addr *candidates, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (net_address_find(&n->state, &candidates[i]))
                        return true;
        return false;
}

static void look_at_own_addresses(struct network *n, struct problems *problems)
{
        const struct addr *candidates = n->settings.node_ips;
        size_t count = n->settings.node_ips_n;

        if (!count && n->own_known) {
                candidates = n->own.addresses;
                count = n->own.addresses_n;
        }
        if (count) /* else the Node is not known yet, or says nothing: what was adopted stays */
                node_own_addresses(candidates, count, &n->state, &n->v4, &n->v6);
        else if (n->own_known)
                problems_add(problems, "Node %s has no InternalIP; set nodeIPs, or have its kubelet report one",
                             n->own.name);
        if (count && !any_is_here(n, candidates, count))
                problems_add(problems, "no NIC of this host has %s; set nodeIPs to addresses that are here",
                             n->settings.node_ips_n ? "one of nodeIPs" : "an InternalIP of its Node");
        n->inputs.v4 = n->v4;
        n->inputs.v6 = n->v6;
}

bool network_look_again(struct network *n, struct problems *problems)
{
        struct err err = ERR_NULL;

        if (kernel_dump(n->rtnl, &n->state, &err) == 0)
                return true;
        problems_add(problems, "%s", err.msg);
        return false;
}

bool network_look(struct network *n, struct problems *problems)
{
        if (!network_look_again(n, problems))
                return false;
        n->inputs.settings = &n->settings;
        n->inputs.state = &n->state;
        n->inputs.vxlan_ifindex = n->vxlan_ifindex;
        look_at_nodes(n, problems);
        look_at_service_cidrs(n);
        look_at_own_addresses(n, problems);
        return true;
}
