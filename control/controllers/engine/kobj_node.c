/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "controllers/engine/kobj_node.h"
#include "controllers/engine/kobj_pod.h"
#include "kube/quantity.h"

static const struct node_taint *pack_taints(struct pack *p, const struct jnode *list, uint16_t *ret_n)
{
        struct node_taint *all = pack_array(p, struct node_taint, jnode_len(list));
        uint16_t n = 0;

        jnode_foreach (list, t)
                all[n++] = (struct node_taint){.key = pack_text(p, jnode_str(t, "key")),
                                               .value = pack_text(p, jnode_str(t, "value")),
                                               .effect = pack_text(p, jnode_str(t, "effect")),
                                               .added_s = kobj_time(t, "timeAdded")};
        *ret_n = n;
        return all;
}

static const struct node_condition *pack_conditions(struct pack *p, const struct jnode *list, uint16_t *ret_n)
{
        struct node_condition *all = pack_array(p, struct node_condition, jnode_len(list));
        uint16_t n = 0;

        jnode_foreach (list, c)
                all[n++] = (struct node_condition){.type = pack_text(p, jnode_str(c, "type")),
                                                   .reason = pack_text(p, jnode_str(c, "reason")),
                                                   .status = kobj_tri(jnode_str(c, "status")),
                                                   .since_s = kobj_time(c, "lastTransitionTime"),
                                                   .heartbeat_s = kobj_time(c, "lastHeartbeatTime")};
        *ret_n = n;
        return all;
}

static const struct node_address *pack_addresses(struct pack *p, const struct jnode *list, uint16_t *ret_n)
{
        struct node_address *all = pack_array(p, struct node_address, jnode_len(list));
        uint16_t n = 0;

        jnode_foreach (list, a)
                all[n++] = (struct node_address){.type = pack_text(p, jnode_str(a, "type")),
                                                 .address = pack_text(p, jnode_str(a, "address"))};
        *ret_n = n;
        return all;
}

/* Old clients know of one range only. */
static const char *const *pack_cidrs(struct pack *p, const struct jnode *spec, uint16_t *ret_n)
{
        const struct jnode *list = jnode_get(spec, "podCIDRs");
        const char *single = jnode_str(spec, "podCIDR");
        const char **one;

        if (jnode_len(list) || str_empty(single))
                return kobj_pack_texts(p, list, ret_n);
        one = pack_array(p, const char *, 1);
        *one = pack_text(p, single);
        *ret_n = 1;
        return one;
}

static int64_t cpu_of(const char *text)
{
        struct quantity q;

        return text && !quantity_parse(text, &q, NULL) ? quantity_milli(&q) : 0;
}

const struct node *kobj_pack_node(struct pack *p, const struct jnode *o)
{
        const struct jnode *spec = jnode_get(o, "spec"), *status = jnode_get(o, "status");
        struct node *node = pack_array(p, struct node, 1);

        node->cpu_milli = cpu_of(jnode_at_str(status, "allocatable.cpu"));
        node->unschedulable = jnode_bool(spec, "unschedulable", false);
        node->provider_id = pack_text(p, jnode_str(spec, "providerID"));
        node->taints = pack_taints(p, jnode_get(spec, "taints"), &node->ntaints);
        node->pod_cidrs = pack_cidrs(p, spec, &node->npod_cidrs);
        node->conditions = pack_conditions(p, jnode_get(status, "conditions"), &node->nconditions);
        node->addresses = pack_addresses(p, jnode_get(status, "addresses"), &node->naddresses);
        return node;
}
