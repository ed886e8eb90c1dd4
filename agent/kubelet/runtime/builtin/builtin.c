/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/adopt.h"
#include "agent/kubelet/runtime/builtin/builtin.h"
#include "agent/kubelet/runtime/builtin/exec.h"
#include "agent/kubelet/runtime/builtin/network.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

static const char *version(void *userdata)
{
        return "fairlead://" FAIRLEAD_VERSION;
}

static void on_change(void *userdata, void (*fn)(void *userdata, const char *uid), void *fn_userdata)
{
        struct builtin *rt = userdata;

        rt->changed = fn;
        rt->changed_userdata = fn_userdata;
}

static const char *const *ips_of(const struct json_object *record, struct arena *mem)
{
        struct json_object *list = json_get(record, "ips");
        const char **ips = arena_array(mem, const char *, json_len(list) + 1);

        json_array_foreach (list, i, ip)
                ips[i] = json_object_get_string(ip);
        return ips;
}

static void describe_sandbox(const struct sandbox *s, struct arena *mem, struct sandbox_status *ret)
{
        *ret = (struct sandbox_status){
                .uid = json_get_str(s->record, "uid"),
                .ns = json_get_str(s->record, "namespace"),
                .name = json_get_str(s->record, "name"),
                .attempt = (uint32_t)sandbox_number(s, "attempt"),
                .state = s->ready ? SANDBOX_READY : SANDBOX_NOT_READY,
                .netns = s->netns,
                .ips = ips_of(s->record, mem),
                .created_ns = sandbox_number(s, "created"),
                .network = (enum namespace_mode)sandbox_number(s, "network"),
        };
        str_copy(ret->id, sizeof(ret->id), s->id);
}

static void describe_container(const struct container *c, struct container_status *ret)
{
        const struct json_object *r = c->record;

        *ret = (struct container_status){
                .name = json_get_str(r, "name"),
                .attempt = (uint32_t)json_get_i64(r, "attempt", 0),
                .state = c->now,
                .image = json_get_str(r, "image") ?: "",
                .image_id = json_get_str(r, "imageId"),
                .created_ns = json_get_i64(r, "created", 0),
                .started_ns = json_get_i64(r, "started", 0),
                .finished_ns = json_get_i64(r, "finished", 0),
                .exit_code = (int32_t)json_get_i64(r, "exitCode", 0),
                .signal = (int32_t)json_get_i64(r, "signal", 0),
                .oom_killed = json_get_bool(r, "oomKilled", false),
                .log_path = c->log_path,
                .pid = c->pid,
                .hash = json_get_str(json_get(r, "labels"), "fairlead.dev/hash") ?: "",
        };
        str_copy(ret->id, sizeof(ret->id), c->id);
        str_copy(ret->sandbox, sizeof(ret->sandbox), c->s->id);
}

static void list(void *userdata, const char *uid, struct runtime_list *ret)
{
        struct builtin *rt = userdata;
        struct sandbox_status *sandboxes;
        struct container_status *containers;

        arena_deinit(&rt->list_mem);
        sandboxes = arena_array(&rt->list_mem, struct sandbox_status, rt->sandboxes.count + 1);
        containers = arena_array(&rt->list_mem, struct container_status, rt->containers.count + 1);
        *ret = (struct runtime_list){.sandboxes = sandboxes, .containers = containers};
        hashmap_foreach (&rt->sandboxes, slot) {
                struct sandbox *s = slot->value;

                if (uid && !str_eq(uid, json_get_str(s->record, "uid")))
                        continue;
                describe_sandbox(s, &rt->list_mem, &sandboxes[ret->nsandboxes++]);
                for (struct container *c = s->containers; c; c = c->next)
                        describe_container(c, &containers[ret->ncontainers++]);
        }
}

static void free_opts(struct builtin_opts *o)
{
        free((char *)o->run_folder);
        free((char *)o->state_folder);
        free((char *)o->shim);
        free((char *)o->crun);
        free((char *)o->cni_conf_folder);
        free((char *)o->cni_bin_folders);
        free((struct cgroups *)o->cgroups);
}

static void builtin_free(void *userdata)
{
        struct builtin *rt = userdata;

        pod_network_free(rt->network);
        for (struct hashmap_slot *slot; (slot = hashmap_next(&rt->sandboxes, rt->sandboxes.slots));)
                sandbox_free(slot->value);
        hashmap_deinit(&rt->sandboxes);
        hashmap_deinit(&rt->containers);
        hashmap_foreach (&rt->seccomp, slot)
                free(slot->value);
        hashmap_deinit(&rt->seccomp);
        arena_deinit(&rt->list_mem);
        if (rt->crun >= 0)
                close(rt->crun);
        free_opts(&rt->opts);
        free(rt);
}

static bool network_status(void *userdata, const char **ret_why)
{
        struct builtin *rt = userdata;

        return pod_network_is_ready(rt->network, ret_why);
}

void builtin_network_collect(const struct runtime *r, runtime_done_fn done, void *userdata)
{
        struct builtin *rt = r->rt;

        pod_network_collect(rt->network, done, userdata);
}

static const struct runtime_ops ops = {
        .version = version,
        .sandbox_run = sandbox_run,
        .sandbox_stop = sandbox_stop,
        .sandbox_remove = sandbox_remove,
        .container_create = container_create,
        .container_start = container_start,
        .container_stop = container_stop,
        .container_remove = container_remove,
        .container_update = container_update,
        .network_status = network_status,
        .list = list,
        .on_change = on_change,
        .exec_sync = container_exec_sync,
        .exec = container_exec,
        .attach = container_attach,
        .resize = container_session_resize,
        .session_end = container_session_end,
        .reopen_log = container_reopen_log,
        .usage = container_usage,
        .free = builtin_free,
};

/* Own capabilities that can be passed on: the bounding set. */
static uint64_t own_capabilities(void)
{
        _cleanup_free_ char *status = NULL;
        const char *line;
        size_t n;

        if (file_read("/proc/self/status", 65536, &status, &n, NULL) || !(line = strstr(status, "\nCapBnd:")))
                return 0;
        return strtoull(line + strlen("\nCapBnd:"), NULL, 16);
}

static int64_t own_oom_score_adj(void)
{
        _cleanup_free_ char *text = NULL;
        size_t n;

        return file_read("/proc/self/oom_score_adj", 32, &text, &n, NULL) ? 0 : strtoll(text, NULL, 10);
}

static struct cgroups *copy_cgroups(const struct cgroups *cg)
{
        struct cgroups *copy = mem_new(struct cgroups);

        *copy = *cg;
        return copy;
}

static void take_opts(struct builtin *rt, const struct builtin_opts *o)
{
        rt->opts = *o;
        rt->opts.run_folder = mem_strdup(o->run_folder);
        rt->opts.state_folder = mem_strdup(o->state_folder);
        rt->opts.shim = mem_strdup(o->shim);
        rt->opts.crun = mem_strdup(o->crun);
        rt->opts.cni_conf_folder = mem_strdup(o->cni_conf_folder);
        rt->opts.cni_bin_folders = mem_strdup(o->cni_bin_folders);
        rt->opts.cgroups = copy_cgroups(o->cgroups);
}

static int check_programs(const struct builtin_opts *o, struct err *reterr)
{
        const char *const programs[] = {o->shim, o->crun};

        for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
                if (access(programs[i], X_OK))
                        return err_set(reterr, -errno, "%s: %s: the runtime cannot do without it", programs[i],
                                       strerror(errno));
        return 0;
}

int builtin_new(const struct builtin_opts *o, struct runtime *ret, struct err *reterr)
{
        _cleanup_free_ char *crun = mem_printf("%s/crun", o->run_folder), *pods = mem_printf("%s/pods", o->run_folder);
        struct builtin *rt;
        int r = check_programs(o, reterr);

        if (!r)
                r = file_mkdirs(crun, 0700, reterr);
        if (!r)
                r = file_mkdirs(pods, 0711, reterr);
        if (r)
                return r;
        rt = mem_new(struct builtin);
        hashmap_init(&rt->sandboxes, HASHMAP_STR);
        hashmap_init(&rt->containers, HASHMAP_STR);
        hashmap_init(&rt->seccomp, HASHMAP_U64);
        take_opts(rt, o);
        rt->capabilities = own_capabilities();
        rt->oom_score_adj_min = own_oom_score_adj();
        if (rt->capabilities >> 24 & 1) /* SYS_RESOURCE */
                rt->oom_score_adj_min = -1000;
        rt->crun = sealed_copy(o->crun, rt->crun_path, sizeof(rt->crun_path));
        if (rt->crun < 0)
                rt->crun_path[0] = '\0';
        r = pod_network_new(rt, &rt->network, reterr);
        if (r) {
                builtin_free(rt);
                return r;
        }
        adopt_all(rt);
        *ret = (struct runtime){&ops, rt};
        return 0;
}
