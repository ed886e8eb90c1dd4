/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/kubelet/volumes/impl.h"
#include "agent/kubelet/volumes/subpath.h"
#include "agent/kubelet/volumes/tree.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kind {
        const char *field;
        int (*prepare)(const struct volume *vol, struct err *reterr);
        bool read_only;
} kinds[] = {
        {"emptyDir", empty_dir_prepare, false}, {"hostPath", host_path_prepare, false},
        {"configMap", files_prepare, true},     {"secret", files_prepare, true},
        {"projected", files_prepare, true},     {"downwardAPI", files_prepare, true},
};

bool volume_is_name(const char *s)
{
        return !str_empty(s) && !strchr(s, '/') && !str_eq(s, ".") && !str_eq(s, "..") && strlen(s) < 240;
}

static const struct kind *kind_of(const struct json_object *volume)
{
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (json_has(volume, kinds[i].field))
                        return &kinds[i];
        return NULL;
}

/* One without any source is an empty directory. */
static const char *kind_name(const struct json_object *volume)
{
        const struct kind *k = kind_of(volume);

        if (k)
                return k->field;
        json_foreach (volume, field, value)
                if (value && !str_eq(field, "name"))
                        return NULL;
        return "emptyDir";
}

static const struct kind *kind_called(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (str_eq(kinds[i].field, name))
                        return &kinds[i];
        return NULL;
}

int volume_of(struct volumes *v, const struct json_object *pod, const struct json_object *volume, struct volume *ret,
              struct err *reterr)
{
        struct volume vol = {.v = v,
                             .pod = pod,
                             .volume = volume,
                             .uid = json_at_str(pod, "metadata.uid"),
                             .ns = json_at_str(pod, "metadata.namespace") ?: "",
                             .name = json_get_str(volume, "name"),
                             .kind = kind_name(volume),
                             .fs_group = json_at_i64(pod, "spec.securityContext.fsGroup", -1)};

        if (!volume_is_name(vol.uid) || !volume_is_name(vol.name))
                return err_set(reterr, -EINVAL, "the pod's uid \"%s\" or the volume's name \"%s\" cannot be a path",
                               vol.uid ?: "", vol.name ?: "");
        if (!vol.kind)
                return err_set(reterr, -EOPNOTSUPP, "volume \"%s\" is of a kind that is not supported", vol.name);
        vol.source = json_get(volume, vol.kind);
        vol.folder = mem_printf("%s/pods/%s/volumes/%s/%s", v->root, vol.uid, vol.kind, vol.name);
        *ret = vol;
        return 0;
}

int volume_find(struct volumes *v, const struct json_object *pod, const char *name, struct volume *ret,
                struct err *reterr)
{
        json_array_foreach (json_at(pod, "spec.volumes"), i, volume)
                if (str_eq(json_get_str(volume, "name"), name))
                        return volume_of(v, pod, volume, ret, reterr);
        return err_set(reterr, -ENOENT, "cannot find volume \"%s\" to mount", name);
}

void volume_deinit(struct volume *vol)
{
        free(vol->folder);
}

bool is_mount(const char *path)
{
        struct statx st;

        return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) == 0 &&
               st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

int volumes_new(const struct volumes_opts *opts, struct volumes **ret, struct err *reterr)
{
        _cleanup_(volumes_freep) struct volumes *v = mem_new(struct volumes);
        int r = file_mkdirs(opts->root, 0755, reterr);

        v->opts = *opts;
        v->node_name = mem_strdup(opts->node_name);
        if (r)
                return r;
        /* As the kernel names mounts. */
        v->root = realpath(opts->root, NULL);
        if (!v->root)
                return err_set(reterr, -errno, "%s: %s", opts->root, strerror(errno));
        r = tokens_init(v);
        if (r)
                return err_set(reterr, r, "no timer: %s", strerror(-r));
        *ret = TAKE_PTR(v);
        return 0;
}

void volumes_free(struct volumes *v)
{
        if (!v)
                return;
        removals_deinit(v);
        if (v->token_timer)
                tokens_deinit(v);
        free(v->root);
        free(v->node_name);
        free(v);
}

static int prepare(struct volumes *v, const struct json_object *pod, const struct json_object *volume, bool again,
                   struct err *reterr)
{
        _cleanup_volume_ struct volume vol = {0};
        int r = volume_of(v, pod, volume, &vol, reterr);

        if (r || (again && str_eq(vol.kind, "hostPath")))
                return r;
        return kind_called(vol.kind)->prepare(&vol, reterr);
}

/* All that can be done is done, so that a token is under way while a ConfigMap is waited for; the first that is wrong
 * is told, and what cannot come by itself before what may. */
static int prepare_all(struct volumes *v, const struct json_object *pod, bool again, struct err *reterr)
{
        struct err err = ERR_NULL;
        int result = 0;

        json_array_foreach (json_at(pod, "spec.volumes"), i, volume) {
                int r = prepare(v, pod, volume, again, &err);

                if (!r || (result && (result != -EAGAIN || r == -EAGAIN)))
                        continue;
                result = err_set(reterr, r, "MountVolume.SetUp failed for volume \"%s\" : %s",
                                 json_get_str(volume, "name") ?: "", err.msg);
        }
        return result;
}

int volumes_prepare(struct volumes *v, const struct json_object *pod, struct err *reterr)
{
        return prepare_all(v, pod, false, reterr);
}

int volumes_refresh(struct volumes *v, const struct json_object *pod, struct err *reterr)
{
        return prepare_all(v, pod, true, reterr);
}

static int make_target(const char *target, bool folder, struct err *reterr)
{
        _cleanup_free_ char *parent = mem_strndup(target, (size_t)(strrchr(target, '/') - target));
        int r = file_mkdirs(parent, 0750, reterr), fd;

        if (r)
                return r;
        if (folder)
                return mkdir(target, 0750) ? -errno : 0;
        fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

/* What an earlier container had there. Its own namespace keeps it. */
static int clear_target(const char *target)
{
        while (is_mount(target))
                if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW))
                        return -errno;
        if (unlink(target) && errno == EISDIR && rmdir(target))
                return -errno;
        return 0;
}

/* A mount of what fd stands for: nobody can put something else in its place. */
static int bind_to(int fd, const char *target, struct err *reterr)
{
        _cleanup_free_ char *source = mem_printf("/proc/self/fd/%d", fd);
        struct stat st;
        int r = clear_target(target);

        if (!r && fstat(fd, &st))
                r = -errno;
        if (!r)
                r = make_target(target, S_ISDIR(st.st_mode), reterr);
        if (!r && mount(source, target, NULL, MS_BIND, NULL))
                r = -errno;
        return r ? err_set(reterr, r, "cannot mount on %s: %s", target, strerror(-r)) : 0;
}

struct sub_mount {
        const struct volume *vol;
        const char *path, *container;
        size_t index;
};

static int open_volume(const char *path, struct err *reterr)
{
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? err_set(reterr, -errno, "%s", strerror(errno)) : fd;
}

static int mount_sub_path(const struct sub_mount *m, const char *volume_path, char **ret, struct err *reterr)
{
        _cleanup_free_ char *target =
                mem_printf("%s/pods/%s/subpaths/%s/%zu", m->vol->v->root, m->vol->uid, m->container, m->index);
        _cleanup_close_ int root = open_volume(volume_path, reterr), fd = -1;
        int r = root < 0 ? root : subpath_open(root, m->path, &fd, reterr);

        if (!r)
                r = bind_to(fd, target, reterr);
        if (r)
                return err_prefix(reterr, r, "failed to prepare subPath for volumeMount \"%s\" of container \"%s\"",
                                  m->vol->name, m->container);
        *ret = TAKE_PTR(target);
        return 0;
}

int volumes_mount_source(struct volumes *v, const struct json_object *pod, const char *volume, const char *sub_path,
                         const char *container, size_t mount_index, char **ret, bool *ret_read_only, struct err *reterr)
{
        _cleanup_volume_ struct volume vol = {0};
        struct sub_mount m = {&vol, sub_path, container, mount_index};
        const char *path;
        int r = volume_find(v, pod, volume, &vol, reterr);

        if (r)
                return r == -ENOENT
                               ? err_set(reterr, -ENOENT, "cannot find volume \"%s\" to mount into container \"%s\"",
                                         volume, container)
                               : r;
        if (!volume_is_name(container))
                return err_set(reterr, -EINVAL, "the container's name \"%s\" cannot be a path", container);
        path = str_eq(vol.kind, "hostPath") ? json_get_str(vol.source, "path") ?: "" : vol.folder;
        if (str_empty(sub_path))
                *ret = mem_strdup(path);
        else
                r = mount_sub_path(&m, path, ret, reterr);
        if (!r)
                *ret_read_only = kind_called(vol.kind)->read_only;
        return r;
}

char *volumes_pod_file(const struct volumes *v, const char *uid, const char *name)
{
        return mem_printf("%s/pods/%s/%s", v->root, uid, name);
}

static uint64_t add(uint64_t a, uint64_t b)
{
        return a + b < a ? UINT64_MAX : a + b;
}

/* What lies in memory counts to the memory of who wrote it. */
uint64_t volumes_usage(const struct volumes *v, const char *uid, const char *volume)
{
        _cleanup_free_ char *folder = mem_printf("%s/pods/%s/volumes/emptyDir", v->root, uid);
        DIR *dir = volume_is_name(uid) ? opendir(folder) : NULL;
        uint64_t sum = 0;
        struct dirent *d;

        while (dir && (d = readdir(dir))) {
                _cleanup_free_ char *path = mem_printf("%s/%s", folder, d->d_name);

                if (str_eq(d->d_name, ".") || str_eq(d->d_name, "..") || (volume && !str_eq(volume, d->d_name)))
                        continue;
                if (volume || !is_mount(path))
                        sum = add(sum, tree_usage(path));
        }
        if (dir)
                closedir(dir);
        return sum;
}

void volumes_each_pod(const struct volumes *v, void (*fn)(void *userdata, const char *uid), void *userdata)
{
        _cleanup_free_ char *folder = mem_printf("%s/pods", v->root);
        DIR *dir = opendir(folder);
        struct dirent *d;

        while (dir && (d = readdir(dir)))
                if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
                        fn(userdata, d->d_name);
        if (dir)
                closedir(dir);
}
