/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/kubelet/runtime/builtin/oci_mounts.h"
#include "base/mem.h"
#include "base/str.h"

struct plain_mount {
        const char *target, *type, *source;
        const char *options[8];
};

static const struct plain_mount usual[] = {
        {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
        {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
        {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
        {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
};
static const struct plain_mount own_shm = {
        "/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}};
static const struct plain_mount sys_ro = {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}};
static const struct plain_mount sys_rw = {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev"}};
static const struct plain_mount cgroup_ro = {
        "/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}};
static const struct plain_mount cgroup_rw = {
        "/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime"}};

static struct json_object *make(const char *target, const char *type, const char *source, const char *const *options)
{
        struct json_object *o = json_object_new_object(), *a = json_object_new_array();

        json_set_str(o, "destination", target);
        json_set_str(o, "type", type);
        json_set_str(o, "source", source);
        for (; *options; options++)
                json_object_array_add(a, json_object_new_string(*options));
        json_set(o, "options", a);
        return o;
}

static void add_plain(struct json_object *a, const struct plain_mount *m)
{
        json_object_array_add(a, make(m->target, m->type, m->source, m->options));
}

static bool asked_for(const struct container_config *c, const char *target)
{
        for (size_t i = 0; i < c->nmounts; i++)
                if (str_eq(c->mounts[i].target, target))
                        return true;
        return false;
}

static void add_usual(struct json_object *a, const struct oci_input *in)
{
        static const char *const bind[] = {"rbind", "rw", NULL};
        bool privileged = in->config->security.privileged;

        for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
                if (!asked_for(in->config, usual[i].target))
                        add_plain(a, &usual[i]);
        if (!asked_for(in->config, "/dev/shm")) {
                if (in->shm)
                        json_object_array_add(a, make("/dev/shm", "bind", in->shm, bind));
                else
                        add_plain(a, &own_shm);
        }
        add_plain(a, privileged ? &sys_rw : &sys_ro);
        add_plain(a, privileged ? &cgroup_rw : &cgroup_ro);
}

static const char *const propagations[] = {
        [PROPAGATION_PRIVATE] = "rprivate",
        [PROPAGATION_HOST_TO_CONTAINER] = "rslave",
        [PROPAGATION_BIDIRECTIONAL] = "rshared",
};

static struct json_object *bind_mount(const struct container_mount *m)
{
        const char *options[4] = {"rbind", propagations[m->propagation]};

        options[2] = m->recursive_read_only ? "rro" : m->read_only ? "ro" : "rw";
        return make(m->target, "bind", m->source, options);
}

static bool is_target(const char *path)
{
        struct str_span piece;

        if (!path || path[0] != '/')
                return false;
        for (const char *rest = path; str_split(&rest, '/', &piece);)
                if (str_span_eq(piece, ".."))
                        return false;
        return true;
}

static size_t depth(const struct container_mount *m)
{
        size_t n = 0;
        struct str_span piece;

        for (const char *rest = m->target; str_split(&rest, '/', &piece);)
                n += piece.n != 0;
        return n;
}

/* Outer targets first, or an inner one would be hidden; otherwise in the pod's order. */
static void sort_by_depth(const struct container_mount **v, size_t n)
{
        for (size_t i = 1; i < n; i++)
                for (size_t k = i; k && depth(v[k - 1]) > depth(v[k]); k--) {
                        const struct container_mount *m = v[k];

                        v[k] = v[k - 1];
                        v[k - 1] = m;
                }
}

int oci_mounts(const struct oci_input *in, struct json_object **ret, struct err *reterr)
{
        const struct container_config *c = in->config;
        _cleanup_free_ const struct container_mount **sorted =
                mem_array(const struct container_mount *, c->nmounts + 1);
        struct json_object *a;

        for (size_t i = 0; i < c->nmounts; i++) {
                if (!is_target(c->mounts[i].target))
                        return err_set(reterr, -EINVAL, "mountPath \"%s\" must be an absolute path without \"..\"",
                                       c->mounts[i].target ?: "");
                sorted[i] = &c->mounts[i];
        }
        sort_by_depth(sorted, c->nmounts);
        a = json_object_new_array();
        add_usual(a, in);
        for (size_t i = 0; i < c->nmounts; i++)
                json_object_array_add(a, bind_mount(sorted[i]));
        *ret = a;
        return 0;
}

const char *oci_rootfs_propagation(const struct container_config *c)
{
        enum mount_propagation most = PROPAGATION_PRIVATE;

        for (size_t i = 0; i < c->nmounts; i++)
                most = MAX(most, c->mounts[i].propagation);
        return most == PROPAGATION_PRIVATE ? NULL : propagations[most];
}
