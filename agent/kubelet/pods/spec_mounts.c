/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted into a container: its volumeMounts, /etc/hosts, and the file of its last words. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/kubelet/pods/expand.h"
#include "agent/kubelet/pods/spec_impl.h"
#include "base/file.h"
#include "base/str.h"

#define OWN_MOUNTS           2
#define HOSTS                "/etc/hosts"
#define TERMINATION_LOG      "/dev/termination-log"
#define TERMINATION_LOG_MODE 0666 /* whoever the container runs as */

struct lookup {
        const struct envs *env;
        const char *missing;
        struct arena *mem;
};

static const char *look_up(void *userdata, const char *name, size_t n, size_t *ret_len)
{
        struct lookup *l = userdata;
        const struct env_var *v = envs_find(l->env, name, n);

        if (!v) {
                l->missing = l->missing ?: arena_strndup(l->mem, name, n);
                return NULL;
        }
        *ret_len = v->len;
        return v->value;
}

/* NULL: the whole volume. */
static int sub_path(const struct spec_work *w, const struct envs *env, const struct json_object *mount,
                    const char **ret, struct err *reterr)
{
        const char *plain = json_get_str(mount, "subPath"), *expr = json_get_str(mount, "subPathExpr");
        struct lookup l = {.env = env, .mem = w->mem};

        *ret = str_empty(plain) ? NULL : plain;
        if (str_empty(expr))
                return 0;
        if (*ret)
                return err_set(reterr, -EINVAL, "volumeMount \"%s\": subPathExpr and subPath are mutually exclusive",
                               json_get_str(mount, "name") ?: "");
        *ret = expand(expr, look_up, &l, w->mem);
        if (l.missing)
                return err_set(reterr, -EINVAL,
                               "failed to expand subPath for volumeMount \"%s\" of container \"%s\": missing value for "
                               "\"%s\"",
                               json_get_str(mount, "name") ?: "", w->container_name, l.missing);
        return 0;
}

static enum mount_propagation propagation(const struct json_object *mount)
{
        const char *mode = json_get_str(mount, "mountPropagation");

        return str_eq(mode, "HostToContainer") ? PROPAGATION_HOST_TO_CONTAINER
               : str_eq(mode, "Bidirectional") ? PROPAGATION_BIDIRECTIONAL
                                               : PROPAGATION_PRIVATE;
}

static int check_bidirectional(const struct spec_work *w, const struct container_mount *m, struct err *reterr)
{
        if (m->propagation != PROPAGATION_BIDIRECTIONAL ||
            json_get_bool(json_get(w->container, "securityContext"), "privileged", false))
                return 0;
        return err_set(reterr, -EPERM, "Bidirectional mount propagation is available only to privileged containers");
}

static int add_mount(const struct spec_work *w, const struct envs *env, const struct json_object *mount, size_t index,
                     struct container_mount *ret, struct err *reterr)
{
        const char *recursive = json_get_str(mount, "recursiveReadOnly"), *sub,
                   *path = json_get_str(mount, "mountPath");
        struct container_mount m = {.target = path, .propagation = propagation(mount)};
        char *source = NULL;
        bool read_only = false;
        int r = check_bidirectional(w, &m, reterr);

        if (!r)
                r = sub_path(w, env, mount, &sub, reterr);
        if (!r)
                r = volumes_mount_source(w->s->volumes, w->pod, json_get_str(mount, "name") ?: "", sub,
                                         w->container_name, index, &source, &read_only, reterr);
        if (r)
                return r;
        if (!str_empty(path) && *path != '/')
                m.target = arena_printf(w->mem, "/%s", path);
        m.source = arena_strdup(w->mem, source);
        m.read_only = read_only || json_get_bool(mount, "readOnly", false);
        m.recursive_read_only = m.read_only && (str_eq(recursive, "Enabled") || str_eq(recursive, "IfPossible"));
        free(source);
        *ret = m;
        return 0;
}

static bool mounts_at(const struct container_config *c, const char *target)
{
        for (size_t i = 0; i < c->nmounts; i++)
                if (str_eq(c->mounts[i].target, target))
                        return true;
        return false;
}

/* Not atomic: a file that a kill has left half is made whole before the next container starts. */
static int write_file(const char *path, const char *text, mode_t mode, struct err *reterr)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
        size_t n = strlen(text);

        if (fd < 0 || fchmod(fd, mode) || write(fd, text, n) != (ssize_t)n)
                return err_set(reterr, errno ? -errno : -ENOSPC, "cannot write %s: %s", path,
                               strerror(errno ?: ENOSPC));
        return 0;
}

static int pod_folder(const char *file, struct err *reterr)
{
        _cleanup_free_ char *folder = strndup(file, (size_t)(strrchr(file, '/') - file));

        return file_mkdirs(folder, 0750, reterr);
}

static bool reads(const char *path, const char *want)
{
        _cleanup_free_ char *text = NULL;
        size_t n;

        return file_read(path, strlen(want) + 1, &text, &n, NULL) == 0 && str_eq(text, want);
}

/* In place: containers that run see the change, too. */
static int add_hosts(const struct spec_work *w, struct container_mount *mounts, struct container_config *ret,
                     struct err *reterr)
{
        _cleanup_free_ char *path = volumes_pod_file(w->s->volumes, w->uid, "etc-hosts");
        const char *text;
        int r;

        if (mounts_at(ret, HOSTS) || !*spec_ips(w))
                return 0;
        r = spec_hosts(w, &text, reterr);
        if (!r)
                r = pod_folder(path, reterr);
        if (!r && !reads(path, text))
                r = write_file(path, text, 0644, reterr);
        if (!r)
                mounts[ret->nmounts++] =
                        (struct container_mount){.source = arena_strdup(w->mem, path), .target = HOSTS};
        return r;
}

/* A new file for each instance, so that nobody reads the words of the one before. */
static int add_termination_log(const struct spec_work *w, struct container_mount *mounts, struct container_config *ret,
                               struct err *reterr)
{
        const char *target = json_get_str(w->container, "terminationMessagePath") ?: TERMINATION_LOG;
        char *name = arena_printf(w->mem, "termination-log-%s", w->container_name);
        _cleanup_free_ char *path = volumes_pod_file(w->s->volumes, w->uid, name);
        int r;

        if (!*target || mounts_at(ret, target))
                return 0;
        if (*target != '/')
                target = arena_printf(w->mem, "/%s", target);
        r = pod_folder(path, reterr);
        if (r)
                return r;
        unlink(path);
        r = write_file(path, "", TERMINATION_LOG_MODE, reterr);
        if (!r)
                mounts[ret->nmounts++] =
                        (struct container_mount){.source = arena_strdup(w->mem, path), .target = target};
        return r;
}

int spec_mounts(const struct spec_work *w, const struct envs *env, struct container_config *ret, struct err *reterr)
{
        struct json_object *list = json_get(w->container, "volumeMounts");
        struct container_mount *mounts = arena_array(w->mem, struct container_mount, json_len(list) + OWN_MOUNTS);
        int r = 0;

        ret->mounts = mounts;
        ret->nmounts = 0;
        json_array_foreach (list, i, mount) {
                r = add_mount(w, env, mount, i, &mounts[i], reterr);
                if (r)
                        return r;
                ret->nmounts++;
        }
        r = add_hosts(w, mounts, ret, reterr);
        return r ?: add_termination_log(w, mounts, ret, reterr);
}
