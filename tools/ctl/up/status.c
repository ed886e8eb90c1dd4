/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl status of clusters: machines, what runs on them, which nodes are Ready. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "ctl/up/command.h"
#include "ctl/up/services.h"
#include "ctl/up/spec.h"
#include "ctl/up/status.h"
#include "kube/client.h"

#define FILE_LIMIT (1 << 20)
#define ASK_MS     1000

static const struct column columns[] = {
        {"CLUSTER", "cluster", COLUMN_TEXT, false, ""}, {"MACHINE", "machine", COLUMN_TEXT, false, ""},
        {"POWER", NULL, COLUMN_TEXT, false, ""},        {NULL, "on", COLUMN_JSON, false, ""},
        {"PID", "pid", COLUMN_NUMBER, true, ""},        {"ADDRESSES", "addresses", COLUMN_TEXT, false, ""},
        {"NODE", "ready", COLUMN_TEXT, false, ""},      {"MEMORY", NULL, COLUMN_TEXT, false, ""},
        {NULL, "memory", COLUMN_NUMBER, false, ""},     {"PROGRAMS", NULL, COLUMN_TEXT, false, ""},
        {NULL, "programs", COLUMN_JSON, false, ""},     {"PROBLEM", "problem", COLUMN_TEXT, false, ""},
};

struct overview {
        struct view *view;
        struct table table;
        const struct cluster *cluster;
        struct hierarchies hierarchies;
        struct json_object *nodes; /* {name: "Ready"} */
        bool answers;              /* the API server */
        size_t problems;
};

/* ---- what the API server says of nodes */

static int note_node(void *userdata, struct json_object *node)
{
        struct overview *o = userdata;
        const char *ready = "NotReady";

        json_array_foreach (json_at(node, "status.conditions"), i, condition)
                if (str_eq(json_get_str(condition, "type"), "Ready") &&
                    str_eq(json_get_str(condition, "status"), "True"))
                        ready = "Ready";
        json_set_str(o->nodes, json_at_str(node, "metadata.name") ?: "", ready);
        return 0;
}

static void ask_nodes(struct overview *o)
{
        _cleanup_free_ char *path = mem_printf("%s/kubeconfig", o->cluster->folder);
        _cleanup_kubeconfig_ struct kubeconfig *k = NULL;
        struct kube_client_opts opts = {.timeout_ms = ASK_MS, .retries = 1};
        struct kube_client *client = NULL;

        json_object_put(o->nodes);
        o->nodes = json_object_new_object();
        o->answers = false;
        if (kubeconfig_load(path, NULL, &k, NULL))
                return;
        opts.config = k;
        if (kube_client_new(&opts, &client, NULL) == 0)
                o->answers = kube_list(client, "/api/v1/nodes", NULL, note_node, o, NULL) == 0;
        kube_client_free(client);
}

/* ---- memory: a page that n processes share counts for each as an n-th */

static uint64_t share_of(const char *pid)
{
        _cleanup_free_ char *path = mem_printf("/proc/%s/smaps_rollup", pid), *text = NULL;
        const char *pss;
        unsigned long long kib = 0;

        if (file_read(path, 65536, &text, NULL, NULL))
                return 0;
        pss = strstr(text, "\nPss:");
        return pss && sscanf(pss, "\nPss: %llu", &kib) == 1 ? kib * 1024 : 0;
}

static void add_memory(void *userdata, const char *pid)
{
        *(uint64_t *)userdata += share_of(pid);
}

static uint64_t memory_of(const struct overview *o, const struct machine *m)
{
        _cleanup_free_ char *group = machine_group(o->cluster, m);
        uint64_t bytes = 0;

        groups_each_process(&o->hierarchies, group, add_memory, &bytes);
        return bytes;
}

/* ---- a row */

struct programs {
        const struct machine *machine;
        struct strbuf text, problem;
        struct json_object *list;
};

static int note_program(void *userdata, const struct service_state *s)
{
        struct programs *p = userdata;
        struct json_object *o;

        if (!str_eq(s->machine.name, p->machine->name))
                return 0;
        o = json_object_new_object();
        json_set_str(o, "name", s->name);
        json_set_i64(o, "pid", s->pid);
        json_set_i64(o, "starts", s->starts);
        if (s->last)
                json_set_str(o, "last", s->last);
        json_object_array_add(p->list, o);
        strbuf_printf(&p->text, "%s%s", p->text.len ? "," : "", s->name);
        if (!s->pid)
                strbuf_printf(&p->problem, "%s%s does not run (%s)", p->problem.len ? "; " : "", s->name,
                              s->last ?: "not started yet");
        return 0;
}

/* What a person should know of that machine: why it does not do what it is there for. */
static void judge(const struct overview *o, const struct machine *m, pid_t pid, const char *ready, struct strbuf *b)
{
        if (!pid)
                strbuf_add_str(b, "it is off");
        else if (!b->len && m->role == MACHINE_CONTROL_PLANE && !o->answers)
                strbuf_add_str(b, "the API server does not answer");
        else if (!b->len && m->role == MACHINE_NODE && o->answers && !str_eq(ready, "Ready"))
                strbuf_add_str(b, ready ? "the node is not Ready" : "the node has not registered");
}

static void add_row(struct overview *o, const struct machine *m, const struct programs *p, pid_t pid, const char *ready)
{
        uint64_t bytes = pid ? memory_of(o, m) : 0;
        _cleanup_free_ char *programs = json_text(p->list);
        struct table *t = &o->table;
        char addresses[2 * PLAN_SIZE];

        table_text(t, o->cluster->name);
        table_text(t, m->name);
        table_cell_in(t, pid ? TONE_GOOD : TONE_BAD, "%s", pid ? "on" : "off");
        table_text(t, pid ? "true" : "false");
        if (pid)
                table_number(t, (uint64_t)pid);
        else
                table_none(t);
        table_text(t, machine_addresses(o->cluster, m, addresses));
        if (m->role == MACHINE_NODE && o->answers)
                table_cell_in(t, str_eq(ready, "Ready") ? TONE_GOOD : TONE_BAD, "%s", ready ?: "absent");
        else
                table_none(t);
        table_cell(t, "%.1f MB", (double)bytes / 1e6);
        table_number(t, bytes);
        table_text(t, p->text.len ? p->text.data : "-");
        table_text(t, programs);
        if (p->problem.len)
                table_cell_in(t, TONE_BAD, "%s", p->problem.data);
        else
                table_none(t);
}

static int show_machine(void *userdata, const struct machine *m)
{
        struct overview *o = userdata;
        struct programs p = {.machine = m, .list = json_object_new_array()};
        pid_t pid = machine_pid(o->cluster, m);
        const char *ready = m->role == MACHINE_NODE ? json_get_str(o->nodes, m->name) : NULL;

        services_each(o->cluster, note_program, &p);
        judge(o, m, pid, ready, &p.problem);
        add_row(o, m, &p, pid, ready);
        o->problems += p.problem.len > 0;
        strbuf_deinit(&p.text);
        strbuf_deinit(&p.problem);
        json_object_put(p.list);
        return 0;
}

static int show_cluster(void *userdata, const char *name)
{
        struct overview *o = userdata;
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        struct err err = ERR_NULL;

        if (cluster_load(name, &c, &err)) {
                fprintf(stderr, "fairctl status: %s: `fairctl down --name %s` removes what is left of it\n", err.msg,
                        name);
                o->problems++;
                return 0;
        }
        o->cluster = &c;
        ask_nodes(o);
        machines_each(&c, show_machine, o);
        o->cluster = NULL;
        return 0;
}

int cluster_status(struct view *v)
{
        struct overview o = {.view = v};
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        struct err err = ERR_NULL;
        int r = view_is_set(v, "--name") ? command_load(v, &c) : 0;

        if (r)
                return r;
        if (hierarchies_find(&o.hierarchies, &err))
                return command_failed(v, &err);
        table_init(&o.table, columns, ARRAY_SIZE(columns), v->format, v->color);
        if (view_is_set(v, "--name"))
                show_cluster(&o, c.name);
        else
                clusters_each(show_cluster, &o);
        json_object_put(o.nodes);
        r = view_print(v, &o.table);
        return r ?: o.problems > 0;
}
