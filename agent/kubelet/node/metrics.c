/* SPDX-License-Identifier: Apache-2.0 */
/* What dashboards of nodes ask for, by upstream's names; where there is no such name, fairlead_kubelet_. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/kubelet/node/impl.h"
#include "base/clock.h"
#include "base/file.h"

static void head(struct strbuf *b, const char *name, const char *kind, const char *help)
{
        strbuf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void one(struct strbuf *b, const char *name, const char *kind, const char *help, uint64_t value)
{
        head(b, name, kind, help);
        strbuf_printf(b, "%s %llu\n", name, (unsigned long long)value);
}

static void evictions(const struct node *n, struct strbuf *b)
{
        struct evictor_stats stats;

        evictor_stats(n->evictor, &stats);
        head(b, "kubelet_evictions", "counter", "Pods that had to go, by what was short.");
        for (size_t i = 0; i < EVICTION_SIGNALS; i++)
                strbuf_printf(b, "kubelet_evictions{eviction_signal=\"%s\"} %llu\n",
                              eviction_signal_name((enum eviction_signal)i), (unsigned long long)stats.evictions[i]);
        one(b, "fairlead_kubelet_storage_limit_evictions_total", "counter",
            "Pods that had to go since they wrote more than their limits.", stats.limits);
        one(b, "kubelet_preemptions", "counter", "Pods that had to go for critical ones.", n->preemptions);
}

static void calls(const struct node *n, struct strbuf *b)
{
        struct registrar_stats r;
        struct heartbeat_stats h;

        registrar_stats(n->registrar, &r);
        heartbeat_stats(n->heartbeat, &h);
        one(b, "fairlead_kubelet_node_creations_total", "counter", "How often the Node was made.", r.creations);
        one(b, "fairlead_kubelet_node_patches_total", "counter", "Changes of the Node that were told.", r.patches);
        one(b, "fairlead_kubelet_node_failures_total", "counter", "Calls about the Node without success.", r.failures);
        one(b, "fairlead_kubelet_lease_renewals_total", "counter", "Renewals of the node's Lease.", h.renewals);
        one(b, "fairlead_kubelet_lease_failures_total", "counter", "Renewals without success.", h.failures);
        one(b, "fairlead_kubelet_lease_renewed_timestamp_seconds", "gauge", "When the Lease was renewed last.",
            (uint64_t)h.last_s);
        one(b, "fairlead_kubelet_api_down", "gauge", "Whether the API does not answer.", n->retry.down);
}

static uint64_t open_files(void)
{
        DIR *dir = opendir("/proc/self/fd");
        uint64_t count = 0;

        while (dir && readdir(dir))
                count++;
        if (dir)
                closedir(dir);
        return count > 3 ? count - 3 : 0; /* ".", "..", and the folder itself */
}

static void process(struct strbuf *b)
{
        unsigned long long pages = 0, resident = 0;
        _cleanup_free_ char *statm = NULL;
        struct rusage u;
        size_t n;

        if (!file_read("/proc/self/statm", 4096, &statm, &n, NULL))
                sscanf(statm, "%llu %llu", &pages, &resident);
        getrusage(RUSAGE_SELF, &u);
        head(b, "process_cpu_seconds_total", "counter", "Processor time of this process.");
        strbuf_printf(b, "process_cpu_seconds_total %.6f\n",
                      (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                              (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
        one(b, "process_resident_memory_bytes", "gauge", "Memory of this process.",
            resident * (unsigned long long)sysconf(_SC_PAGESIZE));
        one(b, "process_virtual_memory_bytes", "gauge", "Address space of this process.",
            pages * (unsigned long long)sysconf(_SC_PAGESIZE));
        one(b, "process_open_fds", "gauge", "Open descriptors.", open_files());
}

void node_metrics(const struct node *n, struct strbuf *b)
{
        head(b, "kubelet_node_name", "gauge", "The node's name.");
        strbuf_printf(b, "kubelet_node_name{node=\"%s\"} 1\n", n->opts.name);
        head(b, "kubernetes_build_info", "gauge", "What this program is.");
        strbuf_printf(b, "kubernetes_build_info{git_version=\"%s\",major=\"1\",minor=\"36\"} 1\n", KUBELET_VERSION);
        evictions(n, b);
        one(b, "fairlead_kubelet_image_bytes_freed_total", "counter", "Bytes of images that were removed for room.",
            n->images_freed);
        calls(n, b);
        process(b);
}
