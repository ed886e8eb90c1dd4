/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/metrics.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

/* kube-proxy's, with finer ones below: there most of ours are. */
static const double sync_buckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
                                      0.064,  0.128,   0.256,  0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
static const double programming_buckets[] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1,   2,
                                             3,     4,      5,     10,   15,   20,   30,  45,   60,  120, 300};

struct histogram {
        const double *bounds;
        size_t n;
        uint64_t buckets[ARRAY_SIZE(programming_buckets)];
        uint64_t count;
        double sum;
};

struct metrics {
        struct services *services;
        struct maps *maps;
        struct histogram sync, programming;
        uint64_t probes[2][2]; /* healthz, livez; 200, 503 */
        int64_t start_s;
};

static void observe(struct histogram *h, double seconds)
{
        for (size_t i = 0; i < h->n; i++)
                h->buckets[i] += seconds <= h->bounds[i];
        h->count++;
        h->sum += seconds;
}

static void on_sync(void *userdata, double seconds)
{
        observe(&((struct metrics *)userdata)->sync, seconds);
}

static void on_programming(void *userdata, double seconds)
{
        observe(&((struct metrics *)userdata)->programming, seconds);
}

struct metrics *metrics_agent_new(struct services *services, struct maps *maps)
{
        struct metrics *m = mem_new(struct metrics);

        *m = (struct metrics){.services = services,
                              .maps = maps,
                              .sync = {.bounds = sync_buckets, .n = ARRAY_SIZE(sync_buckets)},
                              .programming = {.bounds = programming_buckets, .n = ARRAY_SIZE(programming_buckets)},
                              .start_s = clock_wall_s()};
        services_observe(services, &(struct services_observer){on_sync, on_programming, m});
        return m;
}

void metrics_agent_free(struct metrics *m)
{
        if (!m)
                return;
        services_observe(m->services, &(struct services_observer){0});
        free(m);
}

void metrics_agent_probe(struct metrics *m, const char *name, int status)
{
        m->probes[str_eq(name, "livez")][status != 200]++;
}

/* ---- the text format ---- */

static void head(struct strbuf *b, const char *name, const char *type, const char *help)
{
        strbuf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct strbuf *b, const char *name, const char *type, const char *help, double value)
{
        head(b, name, type, help);
        strbuf_printf(b, "%s %.15g\n", name, value);
}

static void histogram(struct strbuf *b, const char *name, const char *help, const struct histogram *h)
{
        head(b, name, "histogram", help);
        for (size_t i = 0; i < h->n; i++)
                strbuf_printf(b, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, h->bounds[i], h->buckets[i]);
        strbuf_printf(b, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.9g\n%s_count %" PRIu64 "\n", name, h->count,
                      name, h->sum, name, h->count);
}

/* ---- kube-proxy's ---- */

static void write_kube_proxy(const struct metrics *m, const struct services_stats *s, struct strbuf *b)
{
        histogram(b, "kubeproxy_sync_proxy_rules_duration_seconds", "Time to bring changed services into the tables",
                  &m->sync);
        histogram(b, "kubeproxy_network_programming_duration_seconds",
                  "From the change of an endpoint, as the EndpointSlice tells it, until it is in the tables",
                  &m->programming);
        number(b, "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge", "When the tables were last up to date",
               (double)s->synced_ns / (double)NS_PER_S);
        number(b, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "gauge", "When a change was last queued",
               (double)s->queued_ns / (double)NS_PER_S);
        number(b, "kubeproxy_sync_proxy_rules_service_changes_total", "counter", "Changes of Services",
               (double)s->service_changes);
        number(b, "kubeproxy_sync_proxy_rules_service_changes_pending", "gauge", "Those not yet in the tables",
               (double)s->service_changes_pending);
        number(b, "kubeproxy_sync_proxy_rules_endpoint_changes_total", "counter", "Changes of EndpointSlices",
               (double)s->endpoint_changes);
        number(b, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "gauge", "Those not yet in the tables",
               (double)s->endpoint_changes_pending);
        head(b, "kubeproxy_sync_proxy_rules_no_local_endpoints_total", "gauge",
             "Service ports with a Local policy and no endpoint on this node");
        strbuf_printf(b,
                      "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"internal\"} %zu\n"
                      "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"external\"} %zu\n",
                      s->no_local_internal, s->no_local_external);
        for (int i = 0; i < 2; i++) {
                const char *name = i ? "livez" : "healthz";

                strbuf_printf(
                        b,
                        "# HELP kubeproxy_proxy_%s_total Answers of /%s\n# TYPE kubeproxy_proxy_%s_total counter\n"
                        "kubeproxy_proxy_%s_total{code=\"200\"} %" PRIu64
                        "\nkubeproxy_proxy_%s_total{code=\"503\"} %" PRIu64 "\n",
                        name, name, name, name, m->probes[i][0], name, m->probes[i][1]);
        }
}

/* ---- of the programs ---- */

/* The sum over all CPUs of a value that consists of 64-bit counters. False when there is none. */
static bool read_counters(const struct map *m, uint32_t index, uint64_t *ret, size_t n)
{
        size_t stride = map_info(m)->value_size / sizeof(uint64_t);
        _cleanup_free_ uint64_t *values = mem_array(uint64_t, stride * (size_t)map_cpus());

        memset(ret, 0, n * sizeof(*ret));
        if (map_lookup(m, &index, values))
                return false;
        for (size_t cpu = 0; cpu < (size_t)map_cpus(); cpu++)
                for (size_t i = 0; i < n && i < stride; i++)
                        ret[i] += values[cpu * stride + i];
        return true;
}

static const char *const reason_labels[] = {
#define X(name, label, text) label,
        REASONS(X)
#undef X
};
static const char *const hook_labels[] = {
#define X(name, label) label,
        HOOKS(X)
#undef X
};

static void write_reasons(const struct metrics *m, struct strbuf *b)
{
        static const char *const names[] = {"fairlead_packets_total", "fairlead_packet_bytes_total"};
        uint64_t values[REASON_COUNT * HOOK_COUNT][2];

        for (uint32_t i = 0; i < REASON_COUNT * HOOK_COUNT; i++)
                read_counters(m->maps->m[MAP_COUNTERS], i, values[i], 2);
        for (int k = 0; k < 2; k++) {
                head(b, names[k], "counter", "What became of packets: all but ok, translated and forwarded are drops");
                for (uint32_t i = 0; i < REASON_COUNT * HOOK_COUNT; i++)
                        if (values[i][k])
                                strbuf_printf(b, "%s{reason=\"%s\",hook=\"%s\"} %" PRIu64 "\n", names[k],
                                              reason_labels[i / HOOK_COUNT], hook_labels[i % HOOK_COUNT], values[i][k]);
        }
}

static void write_flows(const struct metrics *m, struct strbuf *b)
{
        static const char *const names[] = {"inserted", "evicted",         "expired",   "full",
                                            "stale",    "port_collisions", "taken_over"};
        uint64_t values[ARRAY_SIZE(names)];

        if (!read_counters(m->maps->m[MAP_FLOW_COUNTERS], 0, values, ARRAY_SIZE(names)))
                return;
        head(b, "fairlead_flow_events_total", "counter", "What happened in the table of connections");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                strbuf_printf(b, "fairlead_flow_events_total{event=\"%s\"} %" PRIu64 "\n", names[i], values[i]);
}

/* ---- by service ---- */

enum { SERVICE_COUNTERS = sizeof(struct service_stats) / sizeof(uint64_t) };

static const char *const service_metrics[SERVICE_COUNTERS][2] = {
        {"fairlead_service_connections_total", "Connections that were given an endpoint"},
        {"fairlead_service_packets_total", "Packets to endpoints, where packets are translated"},
        {"fairlead_service_bytes_total", "Bytes of them"},
        {"fairlead_service_reply_packets_total", "Packets back"},
        {"fairlead_service_reply_bytes_total", "Bytes of them"},
        {"fairlead_service_refused_total", "Connections that found no endpoint"},
};

struct service_rows {
        const struct metrics *m;
        struct strbuf *lines; /* one for each metric: its rows must stand together */
};

static void add_service(void *userdata, const char *key, const struct port_state *port)
{
        struct service_rows *rows = userdata;
        const char *slash = strchr(key, '/');
        uint64_t values[SERVICE_COUNTERS];
        char text[16];

        if (!slash || !read_counters(rows->m->maps->m[MAP_SERVICE_STATS], port->id, values, SERVICE_COUNTERS))
                return;
        for (size_t i = 0; i < SERVICE_COUNTERS; i++)
                if (values[i])
                        strbuf_printf(&rows->lines[i],
                                      "%s{namespace=\"%.*s\",service=\"%s\",port=\"%s\",protocol=\"%s\"} %" PRIu64 "\n",
                                      service_metrics[i][0], (int)(slash - key), key, slash + 1,
                                      port_state_text(port, text), protocol_text(port->proto), values[i]);
}

static void write_services(const struct metrics *m, struct strbuf *b)
{
        struct strbuf lines[SERVICE_COUNTERS] = {0};
        struct service_rows rows = {.m = m, .lines = lines};

        services_each_port(m->services, add_service, &rows);
        for (size_t i = 0; i < SERVICE_COUNTERS; i++) {
                head(b, service_metrics[i][0], "counter", service_metrics[i][1]);
                strbuf_add(b, lines[i].data ? lines[i].data : "", lines[i].len);
                strbuf_deinit(&lines[i]);
        }
}

/* ---- the agent ---- */

static void write_tables(const struct services_stats *s, struct strbuf *b)
{
        const struct apply_stats *a = &s->apply;
        const struct {
                const char *map;
                uint32_t used, size;
        } rows[] = {
                {"services", a->frontends, a->max_frontends},
                {"service_names", a->service_ids, a->max_service_ids},
                {"backends", a->backends, a->max_backends},
                {"slots", a->slot_lines, a->max_slot_lines},
                {"source_ranges", a->source_ranges, a->max_source_ranges},
        };

        head(b, "fairlead_map_entries", "gauge", "Entries in use");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                strbuf_printf(b, "fairlead_map_entries{map=\"%s\"} %u\n", rows[i].map, rows[i].used);
        head(b, "fairlead_map_max_entries", "gauge", "Entries that there is room for");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                strbuf_printf(b, "fairlead_map_max_entries{map=\"%s\"} %u\n", rows[i].map, rows[i].size);
        head(b, "fairlead_map_full", "gauge", "1 while something waits for room in the map");
        for (unsigned id = 0; id < MAP_COUNT; id++)
                for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                        static const char *const names[] = {
#define X(ID, name) #name,
                                DATAPATH_MAPS(X)
#undef X
                        };

                        if (str_eq(names[id], rows[i].map))
                                strbuf_printf(b, "fairlead_map_full{map=\"%s\"} %u\n", names[id], s->full >> id & 1U);
                }
}

static void write_network(const struct network *network, struct strbuf *b)
{
        struct network_stats n;

        if (!network)
                return;
        network_stats(network, &n);
        number(b, "fairlead_pods", "gauge", "Pods of this node that are attached", n.pods);
        number(b, "fairlead_nodes", "gauge", "Nodes of the cluster", n.nodes);
        number(b, "fairlead_uplinks", "gauge", "NICs in use", n.uplinks);
        number(b, "fairlead_uplinks_xdp", "gauge", "Those served by XDP", n.uplinks_xdp);
        number(b, "fairlead_repairs_total", "counter", "Things that somebody else took away and that were put back",
               (double)n.repairs);
        number(b, "fairlead_attach_failures_total", "counter", "Programs that could not be attached",
               (double)n.attach_failures);
        number(b, "fairlead_network_problem", "gauge",
               "1 while something is wrong; /healthz and fairctl status say what", *n.problem != 0);
}

static double resident_bytes(void)
{
        FILE *f = fopen("/proc/self/statm", "re");
        unsigned long pages = 0;

        if (f) {
                if (fscanf(f, "%*u %lu", &pages) != 1)
                        pages = 0;
                fclose(f);
        }
        return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_process(const struct metrics *m, struct strbuf *b)
{
        struct rusage u = {0};

        getrusage(RUSAGE_SELF, &u);
        number(b, "process_resident_memory_bytes", "gauge", "Memory of the agent", resident_bytes());
        number(b, "process_cpu_seconds_total", "counter", "CPU time of the agent",
               (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
        number(b, "process_start_time_seconds", "gauge", "When the agent started", (double)m->start_s);
        strbuf_printf(b, "# HELP fairlead_build_info The version\n# TYPE fairlead_build_info gauge\n"
                         "fairlead_build_info{version=\"" FAIRLEAD_VERSION "\"} 1\n");
}

void metrics_agent_write(struct metrics *m, const struct network *network, struct strbuf *b)
{
        struct services_stats s;

        services_stats(m->services, &s);
        write_kube_proxy(m, &s, b);
        number(b, "fairlead_services", "gauge", "Services that are served", (double)s.services);
        number(b, "fairlead_endpoint_slices", "gauge", "EndpointSlices that are followed", (double)s.slices);
        number(b, "fairlead_skipped", "gauge", "Parts of Services that are left out; fairctl status says why",
               (double)s.skipped);
        number(b, "fairlead_services_without_room", "gauge", "Services that wait for room in a table",
               (double)s.degraded);
        number(b, "fairlead_map_writes_total", "counter", "Writes to the service tables", (double)s.apply.writes);
        number(b, "fairlead_map_write_failures_total", "counter", "Batches that could not be written",
               (double)s.apply.failures);
        write_tables(&s, b);
        write_reasons(m, b);
        write_flows(m, b);
        write_services(m, b);
        write_network(network, b);
        write_process(m, b);
}
