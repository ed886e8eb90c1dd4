/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/kubelet/runtime/builtin/oci_caps.h"
#include "agent/kubelet/runtime/builtin/oci_devices.h"
#include "agent/kubelet/runtime/builtin/oci_mounts.h"
#include "agent/kubelet/runtime/builtin/oci_seccomp.h"
#include "agent/kubelet/runtime/builtin/oci_spec.h"
#include "base/mem.h"
#include "base/str.h"

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static struct json_object *strings(const char *const *list)
{
        struct json_object *a = json_object_new_array();

        for (; list && *list; list++)
                json_object_array_add(a, json_object_new_string(*list));
        return a;
}

static bool env_has(const char *const *env, const char *name)
{
        size_t n = strlen(name);

        for (; env && *env; env++)
                if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
                        return true;
        return false;
}

static void add_env(struct json_object *a, const char *name, const char *value)
{
        _cleanup_free_ char *text = mem_printf("%s=%s", name, value);

        json_object_array_add(a, json_object_new_string(text));
}

/* What each container has, before what it asks for. */
static struct json_object *environment(const struct oci_input *in)
{
        const char *const *env = in->config->env;
        struct json_object *a = json_object_new_array();

        if (!env_has(env, "PATH"))
                json_object_array_add(a, json_object_new_string(PATH_DEFAULT));
        if (!env_has(env, "HOSTNAME") && !str_empty(in->hostname))
                add_env(a, "HOSTNAME", in->hostname);
        if (!env_has(env, "TERM") && in->config->tty)
                add_env(a, "TERM", "xterm");
        for (; env && *env; env++)
                json_object_array_add(a, json_object_new_string(*env));
        return a;
}

static struct json_object *user(const struct oci_user *u)
{
        struct json_object *o = json_object_new_object(), *groups = json_object_new_array();

        json_set_i64(o, "uid", u->uid);
        json_set_i64(o, "gid", u->gid);
        /* The group itself among the supplementary ones: a program that changes its gid keeps access. */
        json_object_array_add(groups, json_object_new_int64(u->gid));
        for (size_t i = 0; i < u->ngroups; i++)
                json_object_array_add(groups, json_object_new_int64(u->groups[i]));
        json_set(o, "additionalGids", groups);
        return o;
}

static struct json_object *capabilities(uint64_t set)
{
        struct json_object *o = json_object_new_object();

        json_set(o, "bounding", caps_names(set));
        json_set(o, "effective", caps_names(set));
        json_set(o, "permitted", caps_names(set));
        return o;
}

static int process(const struct oci_input *in, uint64_t caps, struct json_object **ret, struct err *reterr)
{
        const struct container_config *c = in->config;
        struct json_object *p;

        if (!c->argv || !c->argv[0])
                return err_set(reterr, -EINVAL, "no command specified");
        p = json_object_new_object();
        json_set_bool(p, "terminal", c->tty);
        json_set(p, "user", user(&in->user));
        json_set(p, "args", strings(c->argv));
        json_set(p, "env", environment(in));
        json_set_str(p, "cwd", str_empty(c->cwd) ? "/" : c->cwd);
        json_set(p, "capabilities", capabilities(caps));
        json_set_bool(p, "noNewPrivileges", c->security.no_new_privileges);
        if (c->resources.oom_score_adj != -1)
                json_set_i64(p, "oomScoreAdj", MAX(c->resources.oom_score_adj, in->oom_score_adj_min));
        if (!str_empty(c->security.apparmor))
                json_set_str(p, "apparmorProfile", c->security.apparmor);
        *ret = p;
        return 0;
}

static void add_namespace(struct json_object *a, const char *type, const char *path)
{
        struct json_object *o;

        if (!path)
                return;
        o = json_object_new_object();
        json_set_str(o, "type", type);
        if (*path)
                json_set_str(o, "path", path);
        json_object_array_add(a, o);
}

static struct json_object *namespaces(const struct oci_input *in)
{
        struct json_object *a = json_object_new_array();

        add_namespace(a, "pid", in->namespaces.pid);
        add_namespace(a, "network", in->namespaces.network);
        add_namespace(a, "ipc", in->namespaces.ipc);
        add_namespace(a, "uts", in->namespaces.uts);
        add_namespace(a, "mount", "");
        if (!in->config->security.privileged)
                add_namespace(a, "cgroup", "");
        return a;
}

static void seccomp(const struct oci_input *in, uint64_t caps, struct json_object *linux_part)
{
        const struct container_security *s = &in->config->security;

        if (s->privileged || s->seccomp == SECCOMP_UNCONFINED)
                return;
        json_set(linux_part, "seccomp",
                 s->seccomp == SECCOMP_LOCALHOST ? json_copy(in->local_seccomp) : oci_seccomp(caps));
}

static const char *const masked[] = {"/proc/asound",
                                     "/proc/acpi",
                                     "/proc/interrupts",
                                     "/proc/kcore",
                                     "/proc/keys",
                                     "/proc/latency_stats",
                                     "/proc/timer_list",
                                     "/proc/timer_stats",
                                     "/proc/sched_debug",
                                     "/proc/scsi",
                                     "/sys/firmware",
                                     "/sys/devices/virtual/powercap",
                                     NULL};
static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL};

static int linux_part(const struct oci_input *in, uint64_t caps, struct json_object **ret, struct err *reterr)
{
        const struct container_security *s = &in->config->security;
        struct json_object *l = json_object_new_object();
        const char *propagation = oci_rootfs_propagation(in->config);

        *ret = l;
        json_set(l, "namespaces", namespaces(in));
        seccomp(in, caps, l);
        if (!s->privileged && !s->proc_unmasked) {
                json_set(l, "maskedPaths", strings(masked));
                json_set(l, "readonlyPaths", strings(read_only));
        }
        if (propagation)
                json_set_str(l, "rootfsPropagation", propagation);
        return oci_devices(in->config, l, reterr);
}

static struct json_object *root(const struct oci_input *in)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "path", in->rootfs);
        json_set_bool(o, "readonly", in->config->security.read_only_root);
        return o;
}

/* Compiling the profile for three instruction sets takes libseccomp 8 ms; crun takes the result of the last time. */
static void add_compiled_seccomp(const struct oci_input *in, struct json_object *o)
{
        const struct container_security *s = &in->config->security;

        if (in->compiled_seccomp && !s->privileged && s->seccomp == SECCOMP_RUNTIME_DEFAULT)
                json_set_str(json_ensure(o, "annotations"), "run.oci.seccomp_bpf_data", in->compiled_seccomp);
}

static int fill(const struct oci_input *in, struct json_object *o, struct err *reterr)
{
        const struct container_security *s = &in->config->security;
        struct json_object *part = NULL;
        uint64_t caps;
        int r = caps_choose(s->add, s->drop, in->capabilities, s->privileged, &caps, reterr);

        if (r)
                return r;
        if (s->seccomp == SECCOMP_LOCALHOST && !in->local_seccomp)
                return err_set(reterr, -EINVAL, "the seccomp profile %s was not read", s->seccomp_file ?: "\"\"");
        json_set_str(o, "ociVersion", "1.0.2");
        add_compiled_seccomp(in, o);
        r = process(in, caps, &part, reterr);
        if (r)
                return r;
        json_set(o, "process", part);
        json_set(o, "root", root(in));
        r = oci_mounts(in, &part, reterr);
        if (r)
                return r;
        json_set(o, "mounts", part);
        r = linux_part(in, caps, &part, reterr);
        json_set(o, "linux", part);
        return r;
}

int oci_spec(const struct oci_input *in, struct json_object **ret, struct err *reterr)
{
        struct json_object *o = json_object_new_object();
        int r = fill(in, o, reterr);

        if (r) {
                json_object_put(o);
                return r;
        }
        *ret = o;
        return 0;
}
