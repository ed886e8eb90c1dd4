/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/status.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "datapath/address.h"

#define INTERVAL_MS 1000
#define REFRESH_MS  15000 /* what nobody tells of, such as repairs */
#define SKIPPED_MAX 300
#define NODES_MAX   2000

struct status {
        struct status_opts opts;
        struct loop_timer *timer;
        char *path;
        char started[CLOCK_TEXT_SIZE];
        uint64_t written_ms;
        bool pending, ready, synced; /* the last two as they were written */
};

static const char *attach_text(enum attach_mode mode)
{
        static const char *const texts[] = {
                [ATTACH_NONE] = "",
                [ATTACH_TCX] = "tcx",
                [ATTACH_CLSACT] = "clsact",
                [ATTACH_XDP_NATIVE] = "native",
                [ATTACH_XDP_GENERIC] = "generic",
        };

        return texts[mode];
}

static void add_features(const struct status *s, struct json_object *o)
{
        struct json_object *features = json_object_new_object(), *fallbacks = json_object_new_array();
        const struct features *f = s->opts.features;

#define X(name, necessary, use, without)                                                                               \
        if (f) {                                                                                                       \
                json_set_bool(features, #name, f->name);                                                               \
                if (!f->name && *(without))                                                                            \
                        json_object_array_add(fallbacks,                                                               \
                                              json_object_new_string("no " #name " (" use "): instead " without));     \
        }
        FEATURES(X)
#undef X
        json_set(o, "features", features);
        json_set(o, "fallbacks", fallbacks);
}

static void add_config(const struct status *s, struct json_object *o)
{
        const struct agent_config *c = s->opts.config;
        struct json_object *t = json_object_new_object();

        json_set_str(o, "routing", c->routing == ROUTING_VXLAN ? "vxlan" : "native");
        json_set_bool(o, "socketPath", c->socket_path);
        json_set_i64(t, "tcp_syn", c->timeouts.tcp_syn);
        json_set_i64(t, "tcp_established", c->timeouts.tcp_established);
        json_set_i64(t, "tcp_closing", c->timeouts.tcp_closing);
        json_set_i64(t, "udp", c->timeouts.udp);
        json_set_i64(t, "udp_stream", c->timeouts.udp_stream);
        json_set_i64(t, "icmp", c->timeouts.icmp);
        json_set(o, "timeouts", t);
}

/* How to run the same program with the same settings. */
static void add_program(const struct status *s, struct json_object *o)
{
        struct json_object *arguments = json_object_new_array();
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (n > 0) {
                path[n] = '\0';
                json_set_str(o, "program", path);
        }
        if (getcwd(path, sizeof(path)))
                json_set_str(o, "folder", path);
        for (size_t i = 0; s->opts.arguments && s->opts.arguments[i]; i++)
                json_object_array_add(arguments, json_object_new_string(s->opts.arguments[i]));
        json_set(o, "arguments", arguments);
}

static void add_network(const struct status *s, struct json_object *o)
{
        struct json_object *uplinks = json_object_new_array(), *problems = json_object_new_array();
        const struct uplink_status *u = NULL;
        struct network_stats n = {0};
        size_t count = 0;

        if (s->opts.network) {
                network_stats(s->opts.network, &n);
                count = network_uplinks(s->opts.network, &u);
        }
        json_set_i64(o, "podMTU", n.pod_mtu);
        json_set_i64(o, "pods", n.pods);
        json_set_i64(o, "nodes", n.nodes);
        json_set_i64(o, "repairs", (int64_t)n.repairs);
        for (size_t i = 0; i < count; i++) {
                struct json_object *e = json_object_new_object();

                json_set_str(e, "name", u[i].name);
                json_set_str(e, "tc", attach_text(u[i].tc));
                json_set_str(e, "xdp", attach_text(u[i].xdp));
                json_object_array_add(uplinks, e);
        }
        json_set(o, "uplinks", uplinks);
        if (*n.problem)
                json_object_array_add(problems, json_object_new_string(n.problem));
        json_set(o, "problems", problems);
}

/* Only the maps' addresses are left when the agent is not: this is what `fairctl node list` calls them then. */
static void add_node(void *userdata, const char *name, const struct addr *addresses, size_t count)
{
        struct json_object *nodes = userdata, *list;
        char text[ADDRESS_TEXT];

        if (json_object_object_length(nodes) >= NODES_MAX)
                return;
        list = json_object_new_array();
        for (size_t i = 0; i < count; i++)
                json_object_array_add(list, json_object_new_string(address_text(&addresses[i], text)));
        json_set(nodes, name, list);
}

static void add_nodes(const struct status *s, struct json_object *o)
{
        struct json_object *nodes = json_object_new_object();

        if (s->opts.network)
                network_each_node(s->opts.network, add_node, nodes);
        json_set(o, "nodeAddresses", nodes);
}

static void add_skipped(void *userdata, const char *object, const char *reason)
{
        struct json_object *list = userdata, *e;

        if (json_len(list) >= SKIPPED_MAX)
                return;
        e = json_object_new_object();
        json_set_str(e, "object", object);
        json_set_str(e, "reason", reason);
        json_object_array_add(list, e);
}

static void add_services(const struct status *s, struct json_object *o)
{
        static const char *const names[] = {
#define X(ID, name) #name,
                DATAPATH_MAPS(X)
#undef X
        };
        struct json_object *skipped = json_object_new_array(), *full = json_object_new_array();
        struct services_stats stats;

        services_stats(s->opts.services, &stats);
        if (stats.skipped)
                services_each_skipped(s->opts.services, add_skipped, skipped);
        for (unsigned id = 0; id < MAP_COUNT; id++)
                if (stats.full >> id & 1)
                        json_object_array_add(full, json_object_new_string(names[id]));
        json_set_bool(o, "synced", services_is_synced(s->opts.services));
        json_set(o, "skipped", skipped);
        json_set_i64(o, "skippedCount", (int64_t)stats.skipped);
        json_set(o, "full", full);
}

static bool is_ready(const struct status *s)
{
        const struct node_view *node = s->opts.network ? network_node(s->opts.network) : NULL;

        return services_is_synced(s->opts.services) && (!node || node->ready);
}

void status_write(struct status *s)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct err err = ERR_NULL;

        s->pending = false;
        s->ready = is_ready(s);
        s->synced = services_is_synced(s->opts.services);
        s->written_ms = clock_mono_ms();
        loop_timer_set(s->timer, REFRESH_MS);
        json_set_str(o, "version", FAIRLEAD_VERSION);
        json_set_str(o, "node", s->opts.config->node_name);
        json_set_i64(o, "pid", getpid());
        json_set_str(o, "started", s->started);
        json_set_bool(o, "ready", s->ready);
        add_services(s, o);
        add_program(s, o);
        add_config(s, o);
        add_features(s, o);
        add_network(s, o);
        add_nodes(s, o);
        json_write(&b, o);
        strbuf_add_char(&b, '\n');
        if (file_write_atomic(s->path, b.data, b.len, 0644, &err))
                log_limited(LOG_LEVEL_WARN, 60000, "the status cannot be written", "error=%s", err.msg);
}

static void on_timer(void *userdata)
{
        status_write(userdata);
}

void status_changed(struct status *s)
{
        uint64_t now = clock_mono_ms(), age = now - s->written_ms;

        /* What people wait for. */
        if (s->ready != is_ready(s) || s->synced != services_is_synced(s->opts.services)) {
                status_write(s);
                return;
        }
        if (s->pending)
                return;
        s->pending = true;
        loop_timer_set(s->timer, age < INTERVAL_MS ? INTERVAL_MS - age : 0);
}

int status_new(const struct status_opts *opts, struct status **ret, struct err *reterr)
{
        struct status *s = mem_new(struct status);
        int r;

        s->opts = *opts;
        s->path = mem_printf("%s/status.json", opts->config->run_dir);
        clock_now(s->started);
        r = loop_timer_new(opts->loop, on_timer, s, &s->timer);
        if (r) {
                status_free(s);
                return err_set(reterr, r, "no timer for the status file");
        }
        *ret = s;
        return 0;
}

void status_free(struct status *s)
{
        if (!s)
                return;
        loop_timer_free(s->timer);
        free(s->path);
        free(s);
}
