/* SPDX-License-Identifier: Apache-2.0 */
/* /stats/summary, in the shape of k8s.io/kubelet/pkg/apis/stats/v1alpha1. */
#include <sys/stat.h>

#include "agent/kubelet/server/samples.h"
#include "agent/kubelet/server/usage.h"
#include "agent/kubelet/volumes/volumes.h"
#include "base/clock.h"
#include "base/str.h"

struct summary {
        struct kubelet_server *s;
        struct node_usage node;
        uint64_t mono_ns;
        char now[CLOCK_TEXT_SIZE];
        struct json_object *pods;
};

static void set_u64(struct json_object *o, const char *key, uint64_t v)
{
        json_set(o, key, json_object_new_uint64(v));
}

static void set_time(struct json_object *o, const char *key, int64_t wall_ns)
{
        char text[CLOCK_TEXT_SIZE];

        json_set_str(o, key, clock_format(wall_ns / (int64_t)NS_PER_S, text));
}

static void set_cpu(struct summary *y, struct json_object *o, const char *key, uint64_t cpu_ns)
{
        struct json_object *cpu = json_ensure(o, "cpu");
        uint64_t rate;

        json_set_str(cpu, "time", y->now);
        if (samples_rate(y->s->samples, key, cpu_ns, y->mono_ns, &rate))
                set_u64(cpu, "usageNanoCores", rate);
        set_u64(cpu, "usageCoreNanoSeconds", cpu_ns);
}

static struct json_object *set_memory(const struct summary *y, struct json_object *o, uint64_t usage,
                                      uint64_t working_set)
{
        struct json_object *memory = json_ensure(o, "memory");

        json_set_str(memory, "time", y->now);
        set_u64(memory, "usageBytes", usage);
        set_u64(memory, "workingSetBytes", working_set);
        return memory;
}

/* Bytes of a filesystem: -1 where nobody counts. */
static void set_fs(const struct summary *y, struct json_object *o, const char *key, uint64_t used)
{
        struct json_object *fs = json_ensure(o, key);

        json_set_str(fs, "time", y->now);
        set_u64(fs, "availableBytes", y->node.fs_available);
        set_u64(fs, "capacityBytes", y->node.fs_bytes);
        set_u64(fs, "usedBytes", used);
        set_u64(fs, "inodesFree", y->node.fs_inodes_free);
        set_u64(fs, "inodes", y->node.fs_inodes);
}

static uint64_t size_of(const char *path)
{
        struct stat st;

        return path && !stat(path, &st) ? (uint64_t)st.st_blocks * 512 : 0;
}

static struct json_object *container_stats(struct summary *y, const struct container_usage *c, uint64_t *logs)
{
        struct json_object *o = json_object_new_object();
        uint64_t size = size_of(c->log_path);

        json_set_str(o, "name", c->name);
        set_time(o, "startTime", c->started_ns);
        set_cpu(y, o, c->id, c->cpu_ns);
        set_memory(y, o, c->memory, c->working_set);
        set_fs(y, o, "logs", size);
        *logs += size;
        return o;
}

static void add_pod(void *userdata, const struct pod_usage *u)
{
        struct summary *y = userdata;
        struct json_object *o = json_object_new_object(), *ref = json_ensure(o, "podRef"),
                           *list = json_object_new_array();
        const char *start = json_get_str(u->pod->status, "startTime");
        uint64_t logs = 0;

        json_set_str(ref, "name", u->pod->name);
        json_set_str(ref, "namespace", u->pod->ns);
        json_set_str(ref, "uid", u->pod->uid);
        json_set_str(o, "startTime", start ?: y->now);
        for (size_t i = 0; i < u->n; i++)
                json_object_array_add(list, container_stats(y, &u->containers[i], &logs));
        json_set(o, "containers", list);
        set_cpu(y, o, u->pod->uid, u->cpu_ns);
        set_memory(y, o, u->memory, u->working_set);
        set_fs(y, o, "ephemeral-storage",
               logs + (y->s->opts.volumes ? volumes_usage(y->s->opts.volumes, u->pod->uid, NULL) : 0));
        json_object_array_add(y->pods, o);
}

static struct json_object *node_stats(struct summary *y)
{
        const struct node_usage *n = &y->node;
        struct json_object *o = json_object_new_object(), *memory, *rlimit, *image;

        json_set_str(o, "nodeName", y->s->opts.node_name ?: "");
        set_time(o, "startTime", n->boot_ns);
        set_cpu(y, o, "", n->cpu_ns);
        memory = set_memory(y, o, n->memory_bytes, n->working_set_bytes);
        set_u64(memory, "availableBytes", n->memory_available);
        set_fs(y, o, "fs", n->fs_bytes - MIN(n->fs_available, n->fs_bytes));
        image = json_ensure(json_ensure(o, "runtime"), "imageFs");
        json_set_str(image, "time", y->now);
        set_u64(image, "availableBytes", n->image_fs_available);
        set_u64(image, "capacityBytes", n->image_fs_bytes);
        set_u64(image, "usedBytes", n->image_bytes);
        rlimit = json_ensure(o, "rlimit");
        json_set_str(rlimit, "time", y->now);
        set_u64(rlimit, "maxpid", n->max_pids);
        set_u64(rlimit, "curproc", n->pids);
        return o;
}

void stats_get(struct ask *a)
{
        struct summary y = {.s = a->s, .mono_ns = clock_mono_ns()};
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct strbuf b = STRBUF_NULL;

        if (!str_eq(a->segments[0], "summary")) {
                ask_fail(a, 404, "404 page not found");
                return;
        }
        clock_now(y.now);
        y.pods = json_object_new_array();
        node_usage(a->s->opts.node, &y.node);
        json_set(o, "node", node_stats(&y));
        usage_each_pod(a->s, add_pod, &y);
        json_set(o, "pods", y.pods);
        samples_expire(a->s->samples, y.mono_ns);
        json_write(&b, o);
        ask_answer(a, "application/json", &b);
}
