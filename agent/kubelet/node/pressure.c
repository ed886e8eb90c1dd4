/* SPDX-License-Identifier: Apache-2.0 */
/* The evictor's hooks on the real node: figures of the kernel, of the groups and of du; evictions by pods/. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/node/admission.h"
#include "agent/kubelet/node/impl.h"
#include "agent/kubelet/pods/resources.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define SCAN_MS       10000 /* at most so often; a scan that takes long is given ten times its time of rest */
#define SCAN_FRESH_MS 15000 /* for choosing who goes */

/* ---- what there is ---- */

static void look(void *userdata, struct eviction_view *ret)
{
        const struct node *n = userdata;
        struct node_usage u;

        node_usage(n, &u);
        *ret = (struct eviction_view){
                .available = {[EVICT_MEMORY] = u.memory_available,
                              [EVICT_NODEFS] = u.fs_available,
                              [EVICT_NODEFS_INODES] = u.fs_inodes_free,
                              [EVICT_IMAGEFS] = u.image_fs_available,
                              [EVICT_IMAGEFS_INODES] = u.image_fs_inodes_free,
                              [EVICT_PID] = u.max_pids - MIN(u.pids, u.max_pids)},
                .capacity = {[EVICT_MEMORY] = u.memory_total,
                             [EVICT_NODEFS] = u.fs_bytes,
                             [EVICT_NODEFS_INODES] = u.fs_inodes,
                             [EVICT_IMAGEFS] = u.image_fs_bytes,
                             [EVICT_IMAGEFS_INODES] = u.image_fs_inodes,
                             [EVICT_PID] = u.max_pids},
        };
}

static void collect(void *userdata, const struct pod_view *p)
{
        struct node *n = userdata;
        const char *phase = json_get_str(p->status, "phase");

        if (!p->admitted || p->ending || p->ended || str_eq(phase, "Failed") || str_eq(phase, "Succeeded") ||
            admission_is_critical(p->pod))
                return;
        n->candidates = mem_realloc(n->candidates, n->ncandidates + 1, sizeof(*n->candidates));
        n->candidates[n->ncandidates++] = (struct evictor_pod){.uid = p->uid, .pod = p->pod};
}

static void list_pods(void *userdata, struct evictor_pods *ret)
{
        struct node *n = userdata;

        n->ncandidates = 0;
        pods_each(n->opts.pods, collect, n);
        *ret = (struct evictor_pods){.pods = n->candidates, .n = n->ncandidates};
}

/* ---- what lies on the disk ---- */

/* What a container writes: to its root, and to its log folder. */
static void container_folder(const struct node *n, const char *id, char *ret, size_t size)
{
        snprintf(ret, size, "%s/containers/%s", n->opts.root_dir, id);
}

static void log_folder(const struct node *n, const struct json_object *pod, const char *container, char *ret,
                       size_t size)
{
        snprintf(ret, size, "%s/%s_%s_%s/%s", n->opts.log_dir, json_at_str(pod, "metadata.namespace"),
                 json_at_str(pod, "metadata.name"), json_at_str(pod, "metadata.uid"), container);
}

static bool volume_folder(const struct node *n, const struct json_object *pod, const struct json_object *volume,
                          char *ret, size_t size)
{
        const struct json_object *empty = json_get(volume, "emptyDir");
        const char *name = json_get_str(volume, "name");

        if (!empty || !name || str_eq(json_get_str(empty, "medium"), "Memory"))
                return false;
        snprintf(ret, size, "%s/pods/%s/volumes/emptyDir/%s", n->opts.root_dir, json_at_str(pod, "metadata.uid"), name);
        return true;
}

static void add_path(struct strbuf *b, const char *path)
{
        strbuf_add(b, path, strlen(path) + 1);
}

static void add_paths(const struct node *n, const struct evictor_pod *p, struct strbuf *b)
{
        struct runtime_list there;
        char path[1024];

        n->opts.runtime->ops->list(n->opts.runtime->rt, p->uid, &there);
        for (size_t i = 0; i < there.ncontainers; i++) {
                container_folder(n, there.containers[i].id, path, sizeof(path));
                add_path(b, path);
                log_folder(n, p->pod, there.containers[i].name, path, sizeof(path));
                add_path(b, path);
        }
        json_array_foreach (json_at(p->pod, "spec.volumes"), k, v)
                if (volume_folder(n, p->pod, v, path, sizeof(path)))
                        add_path(b, path);
}

static void on_scanned(void *userdata)
{
        struct node *n = userdata;

        n->scanned_all = n->scanning_all;
}

/* all: also pods that may write what they like, to choose among them. */
static void scan(struct node *n, bool all, bool inodes)
{
        _cleanup_strbuf_ struct strbuf paths = STRBUF_NULL;
        struct evictor_pods pods;

        list_pods(n, &pods);
        for (size_t i = 0; i < pods.n; i++)
                if (all || storage_is_limited(pods.pods[i].pod))
                        add_paths(n, &pods.pods[i], &paths);
        if (!paths.len)
                return;
        n->scanning_all = all;
        if (disk_scan(n->disk, &paths, inodes, on_scanned, n))
                log_limited(LOG_LEVEL_WARN, 60000, "what pods wrote cannot be counted", "node=%s", n->opts.name);
}

void pressure_scan(struct node *n)
{
        uint64_t now = clock_mono_ms(), took, rest;

        disk_scanned_ms(n->disk, &took, NULL);
        rest = MAX(took * 10, (uint64_t)SCAN_MS);
        if (disk_is_busy(n->disk) || (n->scan_begun_ms && now - n->scan_begun_ms < rest + took))
                return;
        n->scan_begun_ms = now;
        scan(n, false, false);
}

static bool usage_ready(void *userdata, enum eviction_signal s)
{
        struct node *n = userdata;
        bool inodes, wanted = s == EVICT_NODEFS_INODES || s == EVICT_IMAGEFS_INODES;
        uint64_t ended;

        if (s == EVICT_MEMORY || s == EVICT_PID)
                return true;
        ended = disk_scanned_ms(n->disk, NULL, &inodes);
        if (ended && n->scanned_all && inodes == wanted && clock_mono_ms() - ended < SCAN_FRESH_MS)
                return true;
        if (!disk_is_busy(n->disk))
                scan(n, true, wanted);
        return false;
}

/* ---- what a pod uses ---- */

static uint64_t memory_of(const struct node *n, const struct container_status *c)
{
        uint64_t cpu, memory, working_set;

        if (n->opts.runtime->ops->usage(n->opts.runtime->rt, c->id, &cpu, &memory, &working_set))
                return 0;
        return working_set;
}

static uint64_t disk_of(const struct node *n, const struct json_object *pod, const struct container_status *c)
{
        char path[1024], logs[1024];

        container_folder(n, c->id, path, sizeof(path));
        log_folder(n, pod, c->name, logs, sizeof(logs));
        return disk_used(n->disk, path) + disk_used(n->disk, logs);
}

static uint64_t processes_of(const struct node *n, const struct json_object *pod, const struct container_status *c)
{
        static const char *const folders[] = {
                [QOS_GUARANTEED] = "", [QOS_BURSTABLE] = "burstable/", [QOS_BEST_EFFORT] = "besteffort/"};
        char path[CGROUP_PATH_MAX];

        snprintf(path, sizeof(path), "%s/kubepods/%spod%s/%s", n->opts.cgroup_root, folders[pod_qos_class(pod)],
                 json_at_str(pod, "metadata.uid"), c->id);
        return group_count_processes(n->opts.cgroups, path);
}

static uint64_t use_of(const struct node *n, enum eviction_signal s, const struct json_object *pod,
                       const struct container_status *c)
{
        switch (s) {
        case EVICT_MEMORY:
                return memory_of(n, c);
        case EVICT_PID:
                return processes_of(n, pod, c);
        default:
                return disk_of(n, pod, c);
        }
}

static uint64_t volumes_of(const struct node *n, const struct json_object *pod)
{
        uint64_t sum = 0;
        char path[1024];

        json_array_foreach (json_at(pod, "spec.volumes"), i, v)
                if (volume_folder(n, pod, v, path, sizeof(path)))
                        sum += disk_used(n->disk, path);
        return sum;
}

static uint64_t usage(void *userdata, enum eviction_signal s, const struct evictor_pod *pod,
                      struct eviction_container *ret, size_t max, size_t *ret_n)
{
        struct node *n = userdata;
        struct runtime_list there;
        uint64_t sum = 0;

        *ret_n = 0;
        n->opts.runtime->ops->list(n->opts.runtime->rt, pod->uid, &there);
        for (size_t i = 0; i < there.ncontainers; i++) {
                const struct container_status *c = &there.containers[i];

                if (c->state != CONTAINER_RUNNING || *ret_n == max)
                        continue;
                ret[*ret_n] = (struct eviction_container){.name = c->name, .usage = use_of(n, s, pod->pod, c)};
                sum += ret[(*ret_n)++].usage;
        }
        if (s != EVICT_MEMORY && s != EVICT_PID)
                sum += volumes_of(n, pod->pod);
        return sum;
}

#define USES_MAX 64

static bool exceeds(void *userdata, const struct evictor_pod *pod, struct strbuf *ret)
{
        struct storage_use volumes[USES_MAX], containers[USES_MAX];
        struct storage_usage u = {.volumes = volumes, .containers = containers};
        const struct node *n = userdata;
        struct runtime_list there;
        char path[1024];
        bool inodes;

        if (!disk_scanned_ms(n->disk, NULL, &inodes) || inodes || !storage_is_limited(pod->pod))
                return false;
        json_array_foreach (json_at(pod->pod, "spec.volumes"), i, v)
                if (u.nvolumes < USES_MAX && volume_folder(n, pod->pod, v, path, sizeof(path)))
                        volumes[u.nvolumes++] = (struct storage_use){.name = json_get_str(v, "name"),
                                                                     .bytes = disk_used(n->disk, path)};
        n->opts.runtime->ops->list(n->opts.runtime->rt, pod->uid, &there);
        for (size_t i = 0; i < there.ncontainers && u.ncontainers < USES_MAX; i++)
                if (there.containers[i].state == CONTAINER_RUNNING)
                        containers[u.ncontainers++] = (struct storage_use){
                                .name = there.containers[i].name, .bytes = disk_of(n, pod->pod, &there.containers[i])};
        return storage_exceeds(pod->pod, &u, ret);
}

/* ---- what is done ---- */

static bool reclaim(void *userdata, enum eviction_signal s, uint64_t bytes)
{
        return collect_for_room(userdata, s == EVICT_NODEFS_INODES || s == EVICT_IMAGEFS_INODES ? UINT64_MAX : bytes);
}

static void evict(void *userdata, const struct evictor_pod *pod, const char *message, int64_t grace_s)
{
        struct node *n = userdata;

        log_warn("a pod is evicted", "pod=%s/%s message=%s", json_at_str(pod->pod, "metadata.namespace"),
                 json_at_str(pod->pod, "metadata.name"), message);
        pods_evict(n->opts.pods, pod->uid, "Evicted", message, grace_s);
}

static void removed(void *userdata, int result, const char *id, const char *message)
{
        if (result)
                log_limited(LOG_LEVEL_WARN, 10000, "a container of an evicted pod cannot be removed", "id=%s why=%s",
                            id, message);
}

/* Its containers are removed, which would else stay for their logs: what they wrote is what is missing. One pod at a
 * time is evicted, and this is asked every second: the removal is asked for once. */
static bool is_gone(void *userdata, const char *uid)
{
        const struct node *n = userdata;
        const struct runtime_ops *ops = n->opts.runtime->ops;
        _cleanup_free_ char *volumes = mem_printf("%s/pods/%s/volumes", n->opts.root_dir, uid);
        static char emptied[64];
        struct runtime_list there;

        ops->list(n->opts.runtime->rt, uid, &there);
        for (size_t i = 0; i < there.ncontainers; i++)
                if (there.containers[i].state == CONTAINER_RUNNING)
                        return false;
        for (size_t i = 0; i < there.ncontainers && !str_eq(emptied, uid); i++)
                ops->container_remove(n->opts.runtime->rt, there.containers[i].id, removed, NULL);
        str_copy(emptied, sizeof(emptied), there.ncontainers ? uid : "");
        return !there.ncontainers && access(volumes, F_OK);
}

static void short_of(void *userdata, const char *resource)
{
        node_event(userdata, true, "EvictionThresholdMet", "Attempting to reclaim %s", resource);
}

static void on_pressure(void *userdata, const bool pressure[NODE_READY])
{
        struct node *n = userdata;

        memcpy(n->health.pressure, pressure, sizeof(n->health.pressure));
        registrar_poke(n->registrar, false);
        if (n->opts.changed)
                n->opts.changed(n->opts.userdata);
}

static const struct evictor_hooks hooks = {
        .look = look,
        .pods = list_pods,
        .usage = usage,
        .usage_ready = usage_ready,
        .exceeds = exceeds,
        .reclaim = reclaim,
        .evict = evict,
        .is_gone = is_gone,
        .short_of = short_of,
        .pressure = on_pressure,
};

int pressure_new(struct node *n)
{
        const struct evictor_opts opts = {.hooks = &hooks,
                                          .userdata = n,
                                          .thresholds = &n->thresholds,
                                          .transition_ms = n->opts.eviction_transition_ms};
        int r = disk_new(n->opts.children, &n->disk);

        return r ? r : evictor_new(&opts, &n->evictor);
}
