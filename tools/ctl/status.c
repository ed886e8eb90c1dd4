/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl status: one look at a node's dataplane: the agent, the maps and how full they are, what is wrong. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/view.h"

static const char help[] = "fairctl status [flags]: this node's dataplane at a glance\n"
                           "\n" VIEW_HELP "\n"
                           "The exit status is 0 when all is well and 1 when something is wrong (it is named).\n"
                           "\n"
                           "Example:\n"
                           "  fairctl status && echo healthy\n";

static const struct column columns[] = {
        {"MAP", "map", false}, {"USED", "used", true}, {"OF", "max", true}, {"FULL", "full", false}};

struct overview {
        struct view *view;
        struct json_object *agent; /* status.json, or NULL */
        bool running;
        struct table maps;
        uint64_t drops, refused;
        unsigned int problems;
};

static int count_entry(void *userdata, const void *key, const void *value)
{
        ++*(uint64_t *)userdata;
        return 0;
}

static int count_backend(void *userdata, const void *key, const void *value)
{
        *(uint64_t *)userdata += ((const struct backend *)value)->service != 0;
        return 0;
}

static int count_pod(void *userdata, const void *key, const void *value)
{
        *(uint64_t *)userdata += ((const struct pod *)value)->ifindex != 0;
        return 0;
}

static void add_map(struct overview *o, enum map_id id, int (*count)(void *, const void *, const void *))
{
        struct map *m = o->view->maps.m[id];
        uint64_t used = 0, max = map_info(m)->max_entries;

        if (map_each(m, count, &used))
                return;
        table_cell(&o->maps, "%s", map_info(m)->name);
        table_cell(&o->maps, "%" PRIu64, used);
        table_cell(&o->maps, "%" PRIu64, max);
        table_cell(&o->maps, "%.0f%%", 100.0 * (double)used / (double)max);
}

static void sum_drops(struct overview *o)
{
        for (uint32_t i = (REASON_FORWARDED + 1) * HOOK_COUNT; i < REASON_COUNT * HOOK_COUNT; i++) {
                uint64_t sum[2];

                if (view_sum(o->view, MAP_COUNTERS, i, sum, 2))
                        continue;
                if (i / HOOK_COUNT == REASON_REFUSED)
                        o->refused += sum[0];
                else
                        o->drops += sum[0];
        }
}

static void gather(struct overview *o)
{
        pid_t pid;

        o->agent = view_agent_status(o->view);
        pid = (pid_t)json_get_i64(o->agent, "pid", 0);
        o->running = pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
        table_init(&o->maps, columns, ARRAY_SIZE(columns));
        add_map(o, MAP_SERVICES, count_entry);
        add_map(o, MAP_BACKENDS, count_backend);
        add_map(o, MAP_ROUTES, count_entry);
        add_map(o, MAP_PODS, count_pod);
        add_map(o, MAP_SOURCE_RANGES, count_entry);
        add_map(o, MAP_AFFINITY, count_entry);
        sum_drops(o);
        o->problems = (unsigned int)(json_len(json_get(o->agent, "problems")) + json_len(json_get(o->agent, "full"))) +
                      !o->running + (o->running && !json_get_bool(o->agent, "synced", false));
}

static const char *agent_text(const struct overview *o)
{
        if (!o->running)
                return "NOT RUNNING; what is loaded goes on as it is, and changes of the API are not followed";
        return json_get_bool(o->agent, "synced", false) ? "running, in step with the API"
                                                        : "running, NOT YET in step with the API";
}

static void print_texts(const struct json_object *list, const char *prefix)
{
        json_array_foreach (list, i, text)
                printf("%s%s\n", prefix, json_is_string(text) ? json_object_get_string(text) : "?");
}

static void print_uplinks(const struct json_object *list)
{
        json_array_foreach (list, i, uplink) {
                const char *tc = json_get_str(uplink, "tc"), *xdp = json_get_str(uplink, "xdp");

                printf("uplink:   %s, tc by %s, xdp %s\n", json_get_str(uplink, "name") ?: "?",
                       str_empty(tc) ? "nothing" : tc, str_empty(xdp) ? "off" : xdp);
        }
}

static void print_skipped(const struct json_object *list)
{
        json_array_foreach (list, i, item)
                printf("skipped:  %s: %s\n", json_get_str(item, "object") ?: "?", json_get_str(item, "reason") ?: "?");
}

static void print_text(const struct overview *o)
{
        printf("agent:    %s\n", agent_text(o));
        if (o->agent) {
                printf("node:     %s, %s, socket path %s, version %s\n", json_get_str(o->agent, "node") ?: "?",
                       json_get_str(o->agent, "routing") ?: "?",
                       json_get_bool(o->agent, "socketPath", false) ? "on" : "off",
                       json_get_str(o->agent, "version") ?: "?");
                print_uplinks(json_get(o->agent, "uplinks"));
                print_texts(json_get(o->agent, "fallbacks"), "fallback: ");
                print_texts(json_get(o->agent, "problems"), "PROBLEM:  ");
                print_texts(json_get(o->agent, "full"), "FULL:     map ");
                print_skipped(json_get(o->agent, "skipped"));
        }
        printf("packets:  %" PRIu64 " dropped, %" PRIu64 " refused (fairctl drops)\n\n", o->drops, o->refused);
        table_print(&o->maps, stdout);
}

static void print_json(const struct overview *o)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "{\"running\":%s,\"dropped\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"maps\":",
                      o->running ? "true" : "false", o->drops, o->refused);
        table_json(&o->maps, &b);
        strbuf_add_str(&b, ",\"agent\":");
        json_write(&b, o->agent);
        printf("%s}\n", b.data);
}

int ctl_status(int argc, char **argv)
{
        struct view v = {.command = "status"};
        struct overview o = {.view = &v};
        const struct view_flag flags[] = {{NULL, NULL, NULL}};
        int r = view_open(&v, argc, argv, flags, help);

        if (r)
                return view_exit(r);
        gather(&o);
        if (v.json)
                print_json(&o);
        else
                print_text(&o);
        table_deinit(&o.maps);
        json_object_put(o.agent);
        view_close(&v);
        return o.problems > 0;
}
