/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/kubelet/node/impl.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"

#define TELL_MS      (5UL * 60 * 1000) /* unchanged status; the Lease says meanwhile that the node lives */
#define NOT_READY_MS 200               /* how often a node that is not ready looks whether it is */

void node_event(struct node *n, bool warning, const char *reason, const char *fmt, ...)
{
        /* As upstream has it, the uid of a Node in Events is its name: it is known before there is a Node. */
        const struct event_object about = {
                .api_version = "v1", .kind = "Node", .name = n->opts.name, .uid = n->opts.name};
        struct strbuf b = STRBUF_NULL;
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&b, fmt, ap);
        va_end(ap);
        events_record(n->opts.events, &about, warning, reason, "%s", b.data);
        strbuf_deinit(&b);
}

/* ---- what the node is ---- */

static uint64_t disk_bytes(const char *folder)
{
        struct statvfs fs;

        return folder && !statvfs(folder, &fs) ? (uint64_t)fs.f_blocks * fs.f_frsize : 0;
}

static void read_capacity(struct node *n)
{
        struct capacity c = {
                .machine = &n->machine, .fs_bytes = disk_bytes(n->opts.root_dir), .max_pods = n->opts.max_pods};

        machine_read(n->opts.cgroups, n->opts.cgroup_root, &n->machine);
        json_object_put(n->capacity);
        json_object_put(n->allocatable);
        n->capacity = capacity_all(&c);
        n->allocatable = capacity_allocatable(&c, &n->reserved, &n->thresholds);
}

static void read_health(struct node *n)
{
        const char *problem = n->opts.network_problem ? n->opts.network_problem(n->opts.userdata) : NULL;

        str_copy(n->network_problem, sizeof(n->network_problem), problem ? problem : "");
        n->health.network_problem = problem ? n->network_problem : NULL;
}

static void read_facts(void *userdata, struct node_facts *ret)
{
        struct node *n = userdata;

        read_capacity(n);
        read_health(n);
        json_object_put(n->images);
        n->images = node_images(n->opts.images);
        if (addresses_find(n->opts.ips, n->opts.api_server, &n->ips, NULL))
                log_limited(LOG_LEVEL_WARN, 60000, "the node's addresses cannot be read", "kept=%s", n->ips.text[0]);
        *ret = (struct node_facts){
                .name = n->opts.name,
                .ips = &n->ips,
                .labels = n->opts.labels,
                .taints = n->opts.taints,
                .provider_id = n->opts.provider_id,
                .machine = &n->machine,
                .runtime_version = n->opts.runtime->ops->version(n->opts.runtime->rt),
                .port = n->port,
                .capacity = n->capacity,
                .allocatable = n->allocatable,
                .images = n->images,
                .health = n->health,
        };
}

/* ---- what the API has ---- */

static void look_at_boot(struct node *n, const struct json_object *node)
{
        const char *boot = json_at_str(node, "status.nodeInfo.bootID");

        if (!n->asked_boot && !str_empty(boot) && !str_eq(boot, n->machine.boot_id))
                node_event(n, true, "Rebooted", "Node %s has been rebooted, boot id: %s", n->opts.name,
                           n->machine.boot_id);
        n->asked_boot = true;
}

/* What decides whether pods fit. */
static bool fits_differ(const struct json_object *a, const struct json_object *b)
{
        static const char *const parts[] = {"metadata.labels", "spec", "status.allocatable"};

        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                if (!json_equal(json_at(a, parts[i]), json_at(b, parts[i])))
                        return true;
        return false;
}

static void take_node(struct node *n, struct json_object *node)
{
        if (!n->told)
                n->told = json_object_get(json_at(node, "status.conditions"));
        look_at_boot(n, node);
        heartbeat_owner(n->heartbeat, json_at_str(node, "metadata.uid") ?: "");
        json_object_put(n->node);
        n->node = json_object_get(node);
}

static void on_seen(void *userdata, struct json_object *node)
{
        struct node *n = userdata;
        bool news = !n->seen || (node && fits_differ(node, n->node));

        n->seen = true;
        if (node)
                take_node(n, node);
        if (news && n->opts.changed)
                n->opts.changed(n->opts.userdata);
}

static void on_change(void *userdata, const char *reason)
{
        struct node *n = userdata;

        log_info("the node's state changed", "node=%s now=%s", n->opts.name, reason);
        node_event(n, false, reason, "Node %s status is now: %s", n->opts.name, reason);
}

static void on_told(void *userdata, const struct json_object *conditions, bool created)
{
        struct node *n = userdata;

        conditions_changes(created ? NULL : n->told, conditions, on_change, n);
        json_object_put(n->told);
        n->told = json_object_get((struct json_object *)conditions);
        n->registered |= !*n->network_problem;
}

static void on_back(void *userdata)
{
        struct node *n = userdata;

        log_info("the API answers again", "node=%s", n->opts.name);
        registrar_poke(n->registrar, true);
        heartbeat_poke(n->heartbeat);
        if (n->opts.pods)
                pods_tell_again(n->opts.pods);
}

/* ---- time ---- */

static void look(struct node *n)
{
        n->looked_ms = clock_mono_ms();
        evictor_look(n->evictor, n->looked_ms);
        pressure_scan(n);
        log_links_follow(n);
        collect_leftovers(n);
}

static void on_tick(void *userdata)
{
        struct node *n = userdata;
        const char *problem = n->opts.network_problem ? n->opts.network_problem(n->opts.userdata) : NULL;

        if (!str_eq(problem ? problem : "", n->network_problem))
                registrar_poke(n->registrar, false);
        if (clock_mono_ms() - n->looked_ms >= n->opts.monitor_period_ms)
                look(n);
        loop_timer_set(n->tick, MIN(problem ? NOT_READY_MS : UINT64_MAX, n->opts.monitor_period_ms));
}

/* ---- life ---- */

/* "/var/log/pods" -> "/var/log/containers". */
static char *beside(const char *folder, const char *name)
{
        const char *slash = strrchr(folder, '/');

        return slash ? mem_printf("%.*s/%s", (int)(slash - folder), folder, name) : mem_strdup(name);
}

static void take_opts(struct node *n, const struct node_opts *opts)
{
        n->opts = *opts;
        n->opts.cgroup_root = opts->cgroup_root ? opts->cgroup_root : "";
        n->opts.log_dir = opts->log_dir ? opts->log_dir : "/var/log/pods";
        n->links_dir = opts->log_links_dir ? mem_strdup(opts->log_links_dir) : beside(n->opts.log_dir, "containers");
        n->opts.max_pods = opts->max_pods ? opts->max_pods : 110;
        n->opts.image_gc_high_percent = opts->image_gc_high_percent ? opts->image_gc_high_percent : 85;
        n->opts.image_gc_low_percent = opts->image_gc_low_percent ? opts->image_gc_low_percent : 80;
        n->opts.image_gc_min_age_s = opts->image_gc_min_age_s ? opts->image_gc_min_age_s : 120;
        n->opts.lease_duration_s = opts->lease_duration_s ? opts->lease_duration_s : 40;
        n->opts.status_period_ms = opts->status_period_ms ? opts->status_period_ms : 10000;
        n->opts.monitor_period_ms = opts->monitor_period_ms ? opts->monitor_period_ms : 1000;
        n->opts.eviction_transition_ms = opts->eviction_transition_ms ? opts->eviction_transition_ms : 300000;
}

static int check_opts(struct node *n, struct err *reterr)
{
        int r = facts_check(n->opts.labels, n->opts.taints, reterr);

        if (!r && reserved_parse(n->opts.reserved, &n->reserved, reterr))
                r = err_prefix(reterr, -EINVAL, "--system-reserved, --kube-reserved");
        if (!r)
                r = thresholds_parse(n->opts.eviction_hard, n->opts.eviction_reclaim, &n->thresholds, reterr);
        if (!r)
                r = addresses_find(n->opts.ips, n->opts.api_server, &n->ips, reterr);
        return r;
}

static int make_parts(struct node *n)
{
        const struct registrar_opts registrar = {.loop = n->opts.loop,
                                                 .client = n->opts.client,
                                                 .retry = &n->retry,
                                                 .name = n->opts.name,
                                                 .create = n->opts.register_node,
                                                 .look_ms = n->opts.status_period_ms,
                                                 .tell_ms = TELL_MS,
                                                 .facts = read_facts,
                                                 .seen = on_seen,
                                                 .told = on_told,
                                                 .back = on_back,
                                                 .userdata = n};
        const struct heartbeat_opts heartbeat = {.loop = n->opts.loop,
                                                 .client = n->opts.client,
                                                 .retry = &n->retry,
                                                 .name = n->opts.name,
                                                 .duration_s = n->opts.lease_duration_s,
                                                 .back = on_back,
                                                 .userdata = n};
        int r = loop_timer_new(n->opts.loop, on_tick, n, &n->tick);

        if (!r)
                r = pressure_new(n);
        if (!r)
                r = heartbeat_new(&heartbeat, &n->heartbeat);
        return r ? r : registrar_new(&registrar, &n->registrar);
}

int node_new(const struct node_opts *opts, struct node **ret, struct err *reterr)
{
        _cleanup_(node_freep) struct node *n = mem_new(struct node);
        int r;

        hashmap_init(&n->linked, HASHMAP_STR_OWNED);
        take_opts(n, opts);
        r = check_opts(n, reterr);
        if (r)
                return r;
        r = make_parts(n);
        if (r)
                return err_set(reterr, r, "the node's timers: %s", strerror(-r));
        *ret = TAKE_PTR(n);
        return 0;
}

void node_start(struct node *n, uint16_t port)
{
        struct node_facts facts;

        n->port = port;
        read_facts(n, &facts);
        n->node = object_make(&facts, clock_wall_s());
        node_event(n, false, "Starting", "Starting kubelet.");
        enforce_allocatable(n);
        if (!disk_bytes(n->opts.image_dir))
                node_event(n, true, "InvalidDiskCapacity", "invalid capacity 0 on image filesystem");
        registrar_start(n->registrar);
        on_tick(n);
}

void node_free(struct node *n)
{
        if (!n)
                return;
        registrar_free(n->registrar);
        heartbeat_free(n->heartbeat);
        evictor_free(n->evictor);
        disk_free(n->disk);
        if (n->sweeping)
                child_forget(n->sweeping);
        loop_timer_free(n->tick);
        hashmap_deinit(&n->linked);
        free(n->links_dir);
        free(n->candidates);
        json_object_put(n->node);
        json_object_put(n->capacity);
        json_object_put(n->allocatable);
        json_object_put(n->images);
        json_object_put(n->told);
        free(n);
}

void node_poke(struct node *n)
{
        registrar_poke(n->registrar, false);
}

void node_sources_ready(struct node *n)
{
        n->sources_ready = true;
}

const struct node_ips *node_addresses(const struct node *n)
{
        return &n->ips;
}

const struct json_object *node_object(const struct node *n)
{
        return n->node;
}

bool node_is_seen(const struct node *n)
{
        return n->seen;
}

bool node_registered(const struct node *n)
{
        return n->registered;
}
