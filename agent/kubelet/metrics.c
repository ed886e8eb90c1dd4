/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/metrics.h"

static void one(struct strbuf *b, const char *name, const char *kind, const char *help, uint64_t value)
{
        strbuf_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, kind, name,
                      (unsigned long long)value);
}

void kubelet_metrics(const struct pods *pods, const struct node *node, struct strbuf *b)
{
        struct pods_stats p;

        pods_stats(pods, &p);
        one(b, "kubelet_active_pods", "gauge", "Pods that this node has.", p.pods);
        one(b, "kubelet_running_containers", "gauge", "Containers that run.", p.containers_running);
        one(b, "kubelet_started_containers_total", "counter", "Containers that were started.", p.starts);
        one(b, "kubelet_started_containers_errors_total", "counter", "Containers that could not be started.",
            p.failures);
        one(b, "fairlead_kubelet_status_patches_total", "counter", "Pod statuses that were told to the API.",
            p.status_patches);
        one(b, "kubelet_node_registered", "gauge", "Whether the Node is known to the API.",
            node && node_registered(node));
        if (node)
                node_metrics(node, b);
}
