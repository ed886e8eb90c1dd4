/* SPDX-License-Identifier: Apache-2.0 */
/* The order is upstream's: the first plugin that rejects a node tells why, so it decides the messages, too. */
#include "scheduler/cycle.h"

const struct plugin *const plugins[PLUGIN_COUNT] = {
        [PLUGIN_SCHEDULING_GATES] = &plugin_scheduling_gates,
        [PLUGIN_PRIORITY_SORT] = &plugin_priority_sort,
        [PLUGIN_NODE_UNSCHEDULABLE] = &plugin_node_unschedulable,
        [PLUGIN_NODE_NAME] = &plugin_node_name,
        [PLUGIN_TAINT_TOLERATION] = &plugin_taint_toleration,
        [PLUGIN_NODE_AFFINITY] = &plugin_node_affinity,
        [PLUGIN_NODE_PORTS] = &plugin_node_ports,
        [PLUGIN_NODE_RESOURCES_FIT] = &plugin_node_resources_fit,
        [PLUGIN_VOLUME_BINDING] = &plugin_volume_binding,
        [PLUGIN_POD_TOPOLOGY_SPREAD] = &plugin_pod_topology_spread,
        [PLUGIN_INTER_POD_AFFINITY] = &plugin_inter_pod_affinity,
        [PLUGIN_DYNAMIC_RESOURCES] = &plugin_dynamic_resources,
        [PLUGIN_DEFAULT_PREEMPTION] = &plugin_default_preemption,
        [PLUGIN_NODE_RESOURCES_BALANCED_ALLOCATION] = &plugin_balanced_allocation,
        [PLUGIN_IMAGE_LOCALITY] = &plugin_image_locality,
};

void plugin_scale(struct cycle *c, int64_t *scores, bool reverse)
{
        int64_t max = 0;

        for (uint32_t i = 0; i < c->nfeasible; i++)
                max = MAX(max, scores[i]);
        for (uint32_t i = 0; i < c->nfeasible; i++) {
                if (max)
                        scores[i] = SCORE_MAX * scores[i] / max;
                if (reverse)
                        scores[i] = SCORE_MAX - scores[i];
        }
}
