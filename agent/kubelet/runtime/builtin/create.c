/* SPDX-License-Identifier: Apache-2.0 */
/* Making a container: its record, root, groups and OCI configuration at once, then the shim, which runs crun. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/device_filter.h"
#include "agent/kubelet/runtime/builtin/impl.h"
#include "agent/kubelet/runtime/builtin/oci_caps.h"
#include "agent/kubelet/runtime/builtin/oci_spec.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define SECCOMP_FILE_MAX (1024 * 1024)
#define EXTRA_MOUNTS     2
#define LOG_MAX_BYTES    (10U * 1024 * 1024)
#define LOG_MAX_FILES    5U
#define COMPILED_MAX     32 /* sets of capabilities; a profile is about 20 KiB */

static int make_root(struct container *c, struct err *reterr)
{
        const struct builtin_images *images = &c->s->rt->opts.images;
        _cleanup_free_ char *upper = mem_printf("%s/upper", c->state), *work = mem_printf("%s/work", c->state);
        int r = file_mkdirs(upper, 0755, reterr);

        if (!r)
                r = file_mkdirs(work, 0700, reterr);
        if (!r)
                r = file_mkdirs(c->rootfs, 0755, reterr);
        return r ?: images->mount(images->userdata, json_get_str(c->record, "imageId"), upper, work, c->rootfs, reterr);
}

static int rule_of(const struct container_device *d, struct device_rule *ret, struct err *reterr)
{
        struct stat st;

        if (stat(d->host_path, &st) || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
                return err_set(reterr, -EINVAL, "%s is no device of this node", d->host_path);
        *ret = (struct device_rule){S_ISBLK(st.st_mode) ? 'b' : 'c', major(st.st_rdev), minor(st.st_rdev),
                                    str_empty(d->permissions) ? "rwm" : d->permissions};
        return 0;
}

static int filter_devices(struct container *c, const struct container_config *config, struct err *reterr)
{
        struct device_rule rules[DEVICE_RULES_MAX];
        char group[CGROUP_PATH_MAX];
        int program, r = 0;

        if (config->security.privileged)
                return 0;
        if (config->ndevices > DEVICE_RULES_MAX)
                return err_set(reterr, -E2BIG, "a container may name at most %d devices", DEVICE_RULES_MAX);
        for (size_t i = 0; !r && i < config->ndevices; i++)
                r = rule_of(&config->devices[i], &rules[i], reterr);
        if (r)
                return r;
        program = device_filter_load(rules, config->ndevices, reterr);
        if (program < 0)
                return program;
        cgroup_path(c->s->rt->opts.cgroups, c->group, group);
        r = device_filter_attach(program, group, reterr);
        close(program);
        return r;
}

static int make_group(struct container *c, const struct container_config *config, struct err *reterr)
{
        const struct cgroups *cg = c->s->rt->opts.cgroups;
        int r = cgroup_make(cg, c->group, reterr);

        if (!r && json_get_bool(c->s->record, "limited", false) && (r = cgroup_join(cg, c->group)))
                return err_set(reterr, r, "cannot make the group %s: %s", c->group, strerror(-r));
        if (!r)
                r = cgroup_limit(cg, c->group, &config->resources, reterr);
        return r ?: filter_devices(c, config, reterr);
}

static bool mounts_at(const struct container_config *c, const char *target)
{
        for (size_t i = 0; i < c->nmounts; i++)
                if (str_eq(c->mounts[i].target, target))
                        return true;
        return false;
}

/* The sandbox's files, unless the pod mounts its own. The node's resolv.conf stands in where the pod has none. */
static size_t add_files(const struct container *c, const struct container_config *config, struct arena *mem,
                        struct container_mount *ret)
{
        char *resolv = arena_printf(mem, "%s/resolv.conf", c->s->folder);
        char *hostname = arena_printf(mem, "%s/hostname", c->s->folder);
        size_t n = 0;

        if (!mounts_at(config, "/etc/resolv.conf"))
                ret[n++] = (struct container_mount){.source = access(resolv, F_OK) ? "/etc/resolv.conf" : resolv,
                                                    .target = "/etc/resolv.conf"};
        if (!mounts_at(config, "/etc/hostname") && access(hostname, F_OK) == 0)
                ret[n++] = (struct container_mount){.source = hostname, .target = "/etc/hostname"};
        return n;
}

static struct oci_namespaces namespaces_of(const struct sandbox *s, struct arena *mem)
{
        enum namespace_mode pid = (enum namespace_mode)sandbox_number(s, "pid");
        bool own_network = sandbox_number(s, "network") == NAMESPACE_POD;
        bool own_ipc = sandbox_number(s, "ipc") == NAMESPACE_POD;
        int holder = s->holder.pid;

        return (struct oci_namespaces){
                .network = own_network ? arena_printf(mem, "/proc/%d/ns/net", holder) : NULL,
                .uts = own_network ? arena_printf(mem, "/proc/%d/ns/uts", holder) : NULL,
                .ipc = own_ipc ? arena_printf(mem, "/proc/%d/ns/ipc", holder) : NULL,
                .pid = pid == NAMESPACE_NODE  ? NULL
                       : pid == NAMESPACE_POD ? arena_printf(mem, "/proc/%d/ns/pid", holder)
                                              : "",
        };
}

static int read_seccomp(const struct container_security *s, struct json_object **ret, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        if (s->seccomp != SECCOMP_LOCALHOST)
                return 0;
        r = file_read(s->seccomp_file ?: "", SECCOMP_FILE_MAX, &text, &n, reterr);
        if (!r)
                r = json_parse(text, n, ret, reterr);
        return r ? err_prefix(reterr, r, "seccompProfile.localhostProfile") : 0;
}

static int write_spec(const struct container *c, struct json_object *spec, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/config.json", c->folder), *text = json_text(spec);

        return file_write_atomic(path, text, strlen(text), 0600, reterr);
}

/* What crun compiled for such a container before; else this one's is kept. */
static const char *find_compiled(struct container *c, const struct container_security *s)
{
        struct builtin *rt = c->s->rt;
        const char *compiled;
        uint64_t caps;

        if (s->privileged || s->seccomp != SECCOMP_RUNTIME_DEFAULT ||
            caps_choose(s->add, s->drop, rt->capabilities, false, &caps, NULL))
                return NULL;
        compiled = hashmap_get_u64(&rt->seccomp, caps);
        c->seccomp_for = compiled ? 0 : caps;
        return compiled;
}

static void keep_compiled(const struct container *c)
{
        struct builtin *rt = c->s->rt;
        char root[CGROUP_PATH_MAX];
        _cleanup_free_ char *path = mem_printf("%s/%s/seccomp.bpf", crun_root(rt, root, sizeof(root)), c->id),
                            *data = NULL;
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;
        size_t n;

        if (!c->seccomp_for || rt->seccomp.count >= COMPILED_MAX || hashmap_get_u64(&rt->seccomp, c->seccomp_for) ||
            file_read(path, SECCOMP_FILE_MAX, &data, &n, NULL) || !n)
                return;
        base64_encode(&text, data, n);
        hashmap_put_u64(&rt->seccomp, c->seccomp_for, strbuf_take(&text, NULL));
}

static int make_spec(struct container *c, const struct container_config *config, struct arena *mem, struct err *reterr)
{
        const struct container_security *s = &config->security;
        struct oci_user_asked asked = {s->uid, s->gid, s->user, s->groups, s->ngroups, s->strict_groups};
        struct container_mount *mounts = arena_array(mem, struct container_mount, config->nmounts + EXTRA_MOUNTS);
        _cleanup_json_ struct json_object *seccomp = NULL, *spec = NULL;
        struct container_config full = *config;
        bool own_ipc = sandbox_number(c->s, "ipc") == NAMESPACE_POD;
        struct oci_input in = {
                .config = &full,
                .namespaces = namespaces_of(c->s, mem),
                .rootfs = c->rootfs,
                .shm = own_ipc ? arena_printf(mem, "%s/shm", c->s->folder) : "/dev/shm",
                .hostname = json_get_str(c->s->record, "hostname"),
                .capabilities = c->s->rt->capabilities,
                .oom_score_adj_min = c->s->rt->oom_score_adj_min,
        };
        int r;

        if (config->nmounts)
                memcpy(mounts, config->mounts, config->nmounts * sizeof(*mounts));
        full.mounts = mounts;
        full.nmounts += add_files(c, config, mem, mounts + config->nmounts);
        r = oci_user_find(&asked, c->rootfs, &in.user, reterr);
        if (!r)
                r = read_seccomp(s, &seccomp, reterr);
        in.local_seccomp = seccomp;
        in.compiled_seccomp = find_compiled(c, s);
        if (!r)
                r = oci_spec(&in, &spec, reterr);
        return r ?: write_spec(c, spec, reterr);
}

static int make_log_folder(const struct container *c, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_strdup(c->log_path);
        char *slash = strrchr(folder, '/');

        if (slash)
                *slash = '\0';
        return *folder ? file_mkdirs(folder, 0755, reterr) : 0;
}

static int prepare(struct container *c, const struct container_config *config, struct arena *mem, struct err *reterr)
{
        int r = file_mkdirs(c->folder, 0700, reterr);

        if (!r)
                r = record_save(c->folder, c->record, reterr);
        if (!r)
                r = make_group(c, config, reterr);
        if (!r)
                r = make_root(c, reterr);
        if (!r)
                r = make_log_folder(c, reterr);
        return r ?: make_spec(c, config, mem, reterr);
}

static void add_log(const struct container *c, struct words *w)
{
        const struct builtin_opts *o = &c->s->rt->opts;

        words_add(w, "log=%s", c->log_path);
        words_add(w, "log_limit=%u", o->log_max_bytes ? o->log_max_bytes : LOG_MAX_BYTES);
        words_add(w, "log_files=%u", o->log_max_files ? o->log_max_files : LOG_MAX_FILES);
}

static void shim_words(const struct container *c, struct words *w)
{
        const struct cgroups *cg = c->s->rt->opts.cgroups;
        char path[CGROUP_PATH_MAX], v1[CGROUP_CONTROLLERS][CGROUP_PATH_MAX];
        size_t n = cgroup_v1_procs(cg, c->group, v1);

        words_add(w, "%s", c->s->rt->opts.shim);
        words_add(w, "container");
        words_add(w, "lock=3");
        words_add(w, "dir=%s", c->folder);
        cgroup_path(cg, c->group, path);
        words_add(w, "cgroup=%s", path);
        cgroup_path(cg, c->s->group, path);
        words_add(w, "home=%s", path);
        for (size_t i = 0; i < n; i++)
                words_add(w, "v1=%s", v1[i]);
        if (cgroups_hybrid(cg))
                words_add(w, "v2root=%s", cg->v2);
        if (cgroup_oom_file(cg, c->group, path))
                words_add(w, "oom=%s", path);
        if (json_get_str(c->record, "logPath")[0])
                add_log(c, w);
        if (json_get_bool(c->record, "tty", false))
                words_add(w, "tty");
        if (json_get_bool(c->record, "stdin", false))
                words_add(w, "stdin");
        if (json_get_bool(c->record, "stdinOnce", false))
                words_add(w, "once");
}

static void create_words(const struct container *c, struct words *w)
{
        shim_words(c, w);
        words_add(w, "--");
        crun_words(c->s->rt, w);
        words_add(w, "create");
        words_add(w, "--bundle=%s", c->folder);
        words_add(w, "--pid-file=%s/pid", c->folder);
        if (json_get_bool(c->record, "tty", false))
                words_add(w, "--console-socket=console");
        words_add(w, "%s", c->id);
}

struct failure {
        int result;
        char message[MESSAGE_SIZE];
};

/* What was made of it goes again; then its maker hears why. */
static void undone(struct operation *op, int result)
{
        _cleanup_free_ struct failure *f = TAKE_PTR(op->failure);

        operation_end(op, f->result, f->message);
}

static void note_failure(struct operation *op, int result, const char *message)
{
        op->failure = mem_new(struct failure);
        op->failure->result = result;
        str_copy(op->failure->message, sizeof(op->failure->message), message);
}

static void fail(struct operation *op, int result, const char *message)
{
        note_failure(op, result, message);
        container_erase(op, op->c, undone);
}

static void created(void *userdata, const struct child_end *end)
{
        struct operation *op = userdata;
        struct container *c = op->c;
        char why[MESSAGE_SIZE];

        if (end->status) {
                fail(op, -EPROTO, child_why(end, why, sizeof(why)));
                return;
        }
        c->now = CONTAINER_CREATED;
        keep_compiled(c);
        container_watch(c, (pid_t)strtol(end->out, NULL, 10));
        operation_end(op, 0, "");
}

static void launch(struct operation *op)
{
        _cleanup_words_ struct words w = WORDS_NULL;
        _cleanup_close_ int lock = lock_hold(op->c->folder);
        int r = lock < 0 ? lock : 0;

        create_words(op->c, &w);
        if (!r)
                r = operation_child(op, w.v, lock, created);
        if (r)
                fail(op, r, "the container's shim cannot be started");
}

static void begin_create(struct operation *op)
{
        if (!operation_find(op)) {
                free(TAKE_PTR(op->failure));
                operation_end(op, -ENOENT, "the container was removed");
        } else if (op->failure)
                container_erase(op, op->c, undone);
        else
                launch(op);
}

void container_create(void *userdata, const char *sandbox, const struct container_config *config, runtime_done_fn done,
                      void *done_userdata)
{
        struct builtin *rt = userdata;
        struct sandbox *s = hashmap_get(&rt->sandboxes, sandbox);
        struct arena mem = ARENA_NULL;
        struct err err = ERR_NULL;
        struct operation *op;
        char id[RUNTIME_ID_SIZE];
        int r;

        if (!s || !s->ready) {
                tell_later(rt, done, done_userdata, -ENOENT, "", "the sandbox is not ready");
                return;
        }
        new_id(id);
        op = operation_new(s, container_new(s, id, container_record(id, config)), begin_create, done, done_userdata);
        r = prepare(op->c, config, &mem, &err);
        arena_deinit(&mem);
        if (r)
                note_failure(op, r, err.msg);
        operation_queue(op);
}
