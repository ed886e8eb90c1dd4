/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl status: one look at a node's dataplane: the agent, what is attached where, the maps, what is wrong. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/fill.h"
#include "ctl/hooks.h"
#include "ctl/up/command.h"
#include "ctl/up/status.h"
#include "ctl/view.h"

struct overview {
        struct view *view;
        const struct json_object *agent; /* status.json, or NULL */
        bool running, synced;
        struct knobs knobs;
        bool knobs_known;
        struct hooks hooks;
        struct flow_census flows;
        struct flow_counters flow_counters;
        struct table maps;
        uint64_t drops, refused;
        char **problems;
        size_t problems_n;
};

static void __attribute__((format(printf, 2, 3))) problem(struct overview *o, const char *fmt, ...)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&b, fmt, ap);
        va_end(ap);
        o->problems = mem_realloc(o->problems, o->problems_n + 1, sizeof(*o->problems));
        o->problems[o->problems_n++] = strbuf_take(&b, NULL);
}

/* ---- gathering */

/* At sockets a refusal is counted beside its reason, in packets only by its reason: so by the reason. */
static bool is_refusal(uint32_t reason)
{
        return reason == REASON_NO_ENDPOINTS || reason == REASON_UNKNOWN_PORT;
}

static void sum_drops(struct overview *o)
{
        for (uint32_t i = (REASON_REFUSED + 1) * HOOK_COUNT; i < REASON_COUNT * HOOK_COUNT; i++) {
                uint64_t sum[2];

                if (view_sum(o->view, MAP_COUNTERS, i, sum, 2))
                        continue;
                if (is_refusal(i / HOOK_COUNT))
                        o->refused += sum[0];
                else
                        o->drops += sum[0];
        }
}

static void take_census(struct overview *o)
{
        struct flow_timeouts timeouts;
        struct flow_reader reader;
        struct err err = ERR_NULL;

        view_sum(o->view, MAP_FLOW_COUNTERS, 0, (uint64_t *)&o->flow_counters, sizeof(o->flow_counters) / 8);
        if (flow_reader_open(&reader, o->view->maps.m[MAP_FLOWS], &err)) {
                problem(o, "%s", err.msg);
                return;
        }
        view_timeouts(o->view, &timeouts);
        flow_census(&reader, &timeouts, flow_now(), &o->flows);
        flow_reader_close(&reader);
}

/* A device that is gone takes its programs along; one that is there has lost them. */
static void judge_hooks(struct overview *o)
{
        if (o->hooks.sockets_missing)
                problem(o,
                        "%" PRIu32 " of %" PRIu32 " programs of the cgroup are not attached any more: sockets are not "
                        "translated",
                        o->hooks.sockets_missing, o->hooks.sockets);
        for (size_t i = 0; i < o->hooks.devices_n; i++)
                if (o->hooks.devices[i].missing && o->hooks.devices[i].name[0])
                        problem(o, "%" PRIu32 " programs are not attached to %s any more: somebody has taken them away",
                                o->hooks.devices[i].missing, o->hooks.devices[i].name);
}

static void take_texts(struct overview *o, const struct json_object *list, const char *fmt)
{
        json_array_foreach (list, i, text) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

                strbuf_printf(&b, "%s%s", fmt, json_is_string(text) ? json_object_get_string(text) : "?");
                problem(o, "%s", b.data);
        }
}

static void gather(struct overview *o)
{
        struct view *v = o->view;

        o->agent = view_agent_status(v);
        o->running = view_agent_runs(v);
        o->synced = json_get_bool(o->agent, "synced", false);
        o->knobs_known = pinned_knobs(v->pin_root, &o->knobs) == 0;
        if (!o->running)
                problem(o, "the agent is not running: what is loaded goes on as it is, and changes of the API are not "
                           "followed");
        else if (!o->synced)
                problem(o, "the agent is NOT YET in step with the API");
        hooks_read(v, &o->hooks);
        judge_hooks(o);
        take_texts(o, json_get(o->agent, "problems"), "");
        take_texts(o, json_get(o->agent, "full"), "FULL: map ");
        take_census(o);
        sum_drops(o);
        table_init(&o->maps, fill_columns, FILL_COLUMNS, v->format, v->color);
        fill_rows(v, &o->flows, &o->maps);
}

/* ---- for people */

static void say(const struct overview *o, enum tone tone, const char *label, const char *text)
{
        printf("%-10s%s%s%s\n", label, tone_begin(tone, o->view->color), text, tone_end(tone, o->view->color));
}

static void print_agent(const struct overview *o)
{
        int64_t pid = json_get_i64(o->agent, "pid", 0);
        char text[128];

        if (!o->running)
                say(o, TONE_BAD, "agent:", "NOT RUNNING");
        else if (!o->agent)
                say(o, TONE_WARN, "agent:", "running; it has not told its status (is --run-dir right?)");
        else {
                snprintf(text, sizeof(text), "running, %s (pid %" PRId64 ")",
                         o->synced ? "in step with the API" : "NOT YET in step with the API", pid);
                say(o, o->synced ? TONE_GOOD : TONE_WARN, "agent:", text);
        }
        if (o->agent)
                printf("%-10s%s, version %s\n", "node:", json_get_str(o->agent, "node") ?: "?",
                       json_get_str(o->agent, "version") ?: "?");
}

static void print_datapath(const struct overview *o)
{
        _cleanup_strbuf_ struct strbuf devices = STRBUF_NULL;
        bool on = o->hooks.sockets > o->hooks.sockets_missing;

        if (o->knobs_known)
                printf("%-10s%s to other nodes; masquerade %s\n",
                       "routing:", o->knobs.flags & KNOB_TUNNEL ? "VXLAN" : "native routes",
                       o->knobs.flags & KNOB_MASQUERADE ? "on" : "off");
        printf("%-10s%s", "sockets:", on ? "translated at connect()" : "not translated: every packet is");
        if (on)
                printf(", by %" PRIu32 " programs of the cgroup", o->hooks.sockets - o->hooks.sockets_missing);
        hooks_text(&o->hooks, &devices);
        printf("\n%-10s%s\n", "devices:", devices.data);
}

static void print_texts(const struct overview *o)
{
        for (size_t i = 0; i < o->problems_n; i++)
                say(o, TONE_BAD, "PROBLEM:", o->problems[i]);
        json_array_foreach (json_get(o->agent, "fallbacks"), i, text)
                say(o, TONE_PLAIN, "fallback:", json_is_string(text) ? json_object_get_string(text) : "?");
        json_array_foreach (json_get(o->agent, "skipped"), k, item)
                printf("%-10s%s: %s\n", "skipped:", json_get_str(item, "object") ?: "?",
                       json_get_str(item, "reason") ?: "?");
}

static void print_flows(const struct overview *o)
{
        const struct flow_counters *c = &o->flow_counters;

        printf("%-10s%" PRIu32 " connections; so far %llu, of which %llu gave way to others, %llu found no room\n",
               "flows:", o->flows.connections, (unsigned long long)c->inserted, (unsigned long long)c->evicted,
               (unsigned long long)c->full);
}

static void print_text(struct overview *o)
{
        print_agent(o);
        print_datapath(o);
        print_texts(o);
        printf("%-10s%" PRIu64 " dropped, %" PRIu64 " refused (fairctl drops)\n", "packets:", o->drops, o->refused);
        print_flows(o);
        putchar('\n');
        table_print(&o->maps, stdout);
}

/* ---- for programs */

static void add_flows(const struct overview *o, struct strbuf *b)
{
        const struct flow_counters *c = &o->flow_counters;
        const struct flow_census *f = &o->flows;

        strbuf_printf(b,
                      ",\n\"flows\":{\"connections\":%" PRIu32 ",\"entriesUsed\":%" PRIu32
                      ",\"entriesTimedOut\":%" PRIu32 ",\"entries\":%" PRIu32 ",\"sets\":%" PRIu32
                      ",\"fullSets\":%" PRIu32,
                      f->connections, f->used, f->over, f->size, f->sets, f->full_sets);
        strbuf_printf(b,
                      ",\"inserted\":%llu,\"evicted\":%llu,\"expired\":%llu,\"noRoom\":%llu,\"stale\":%llu,"
                      "\"portCollisions\":%llu,\"portsTakenOver\":%llu}",
                      (unsigned long long)c->inserted, (unsigned long long)c->evicted, (unsigned long long)c->expired,
                      (unsigned long long)c->full, (unsigned long long)c->stale, (unsigned long long)c->port_collisions,
                      (unsigned long long)c->taken_over);
}

static void add_datapath(const struct overview *o, struct strbuf *b)
{
        strbuf_add_str(b, ",\n\"datapath\":{");
        if (o->knobs_known)
                strbuf_printf(b, "\"routing\":\"%s\",\"masquerade\":%s,",
                              o->knobs.flags & KNOB_TUNNEL ? "vxlan" : "native",
                              o->knobs.flags & KNOB_MASQUERADE ? "true" : "false");
        strbuf_printf(b,
                      "\"socketPath\":%s,\"hooks\":", o->hooks.sockets > o->hooks.sockets_missing ? "true" : "false");
        hooks_json(&o->hooks, b);
        strbuf_add_char(b, '}');
}

static void print_json(const struct overview *o)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b,
                      "{\"running\":%s,\"synced\":%s,\"dropped\":%" PRIu64 ",\"refused\":%" PRIu64 ",\n\"problems\":[",
                      o->running ? "true" : "false", o->running && o->synced ? "true" : "false", o->drops, o->refused);
        for (size_t i = 0; i < o->problems_n; i++) {
                strbuf_add_str(&b, i ? "," : "");
                strbuf_add_json_str(&b, o->problems[i], strlen(o->problems[i]));
        }
        strbuf_add_char(&b, ']');
        add_datapath(o, &b);
        add_flows(o, &b);
        strbuf_add_str(&b, ",\n\"maps\":");
        table_json(&o->maps, &b);
        strbuf_add_str(&b, ",\n\"agent\":");
        json_write(&b, o->agent);
        printf("%s}\n", b.data);
}

static int run_node(struct view *v)
{
        struct overview o = {.view = v};
        int r = view_need_maps(v);

        if (r)
                return r;
        gather(&o);
        if (v->json)
                print_json(&o);
        else
                print_text(&o);
        r = o.problems_n > 0 || fflush(stdout);
        for (size_t i = 0; i < o.problems_n; i++)
                free(o.problems[i]);
        free(o.problems);
        table_deinit(&o.maps);
        hooks_deinit(&o.hooks);
        return r;
}

/* Of the cluster that is named, else of this node, else of all clusters that this machine has. */
static int run(struct view *v)
{
        bool cluster = view_is_set(v, "--name") || (v->maps_result && command_any_cluster());

        return cluster ? cluster_status(v) : run_node(v);
}

static const struct cli_flag flags[] = {CLUSTER_FLAG, {0}};

const struct cli_command ctl_status = {
        .name = "status",
        .summary = "this node's dataplane at a glance, or the clusters of `fairctl up`",
        .flags = flags,
        .about = "On a node: the agent and whether it is in step with the API; how packets go and where programs are "
                 "attached; "
                 "what is\n"
                 "wrong, and which objects were skipped; how full the maps are. The exit status is 0 when all is well "
                 "and 1\n"
                 "when there is a problem.\n"
                 "\n"
                 "With --name, and on a machine without an agent that has clusters: their machines, what runs on each "
                 "and\n"
                 "which nodes are Ready. Fields of -o json: cluster, machine, on, pid, addresses, ready, programs "
                 "(name, "
                 "pid,\n"
                 "starts, last), memory (bytes; proportional share of what is shared), problem.\n"
                 "\n"
                 "Fields of -o json on a node: running, synced, dropped, refused, problems, datapath (routing, "
                 "masquerade, "
                 "socketPath,\n"
                 "hooks: program, device, ifindex, mode, attached), flows (connections, entriesUsed, entriesTimedOut, "
                 "entries,\n"
                 "sets, fullSets, inserted, evicted, expired, noRoom, stale, portCollisions, portsTakenOver),\n"
                 "maps (map, used, max, full: 0 to 1), agent (what the agent wrote into <run-dir>/status.json).\n",
        .examples = "fairctl status && echo healthy\n"
                    "fairctl status --name fairlead\n"
                    "fairctl status -o json | jq '.maps[] | select(.full > 0.8)'\n",
        .prints = true,
        .has_maps = true,
        .maps_optional = true,
        .run = run,
};
