/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/kubelet/pods/resources.h"
#include "agent/kubelet/volumes/impl.h"
#include "agent/kubelet/volumes/tree.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define MODE       0777
#define GROUP_MODE (MODE | S_ISGID)

/* No more than the pod itself may have of memory, to which its pages count. 0: no limit but the kernel's, half of the
 * memory. */
static int64_t memory_size(const struct volume *vol)
{
        struct quantity limit, of_pod;
        bool all = false;
        int64_t size = 0;

        if (resource_quantity(vol->source, "sizeLimit", &limit))
                size = quantity_value(&limit);
        of_pod = pod_resource(vol->pod, "limits", "memory", &all);
        if (all && quantity_sign(&of_pod) > 0 && (!size || quantity_value(&of_pod) < size))
                size = quantity_value(&of_pod);
        return size;
}

static int in_memory(const struct volume *vol, struct err *reterr)
{
        bool grouped = vol->fs_group >= 0;
        int64_t size = memory_size(vol);
        char options[128];
        int r = is_mount(vol->folder) ? -EEXIST : file_mkdirs(vol->folder, 0750, reterr);
        int n = snprintf(options, sizeof(options), "mode=%o,gid=%lld", grouped ? GROUP_MODE : MODE,
                         (long long)MAX(vol->fs_group, 0));

        if (r)
                return r == -EEXIST ? 0 : r;
        if (size)
                snprintf(options + n, sizeof(options) - (size_t)n, ",size=%lld", (long long)size);
        if (mount("tmpfs", vol->folder, "tmpfs", 0, options))
                return err_set(reterr, -errno, "cannot mount a tmpfs on %s: %s", vol->folder, strerror(errno));
        return 0;
}

static int own(const struct volume *vol, const char *path)
{
        bool grouped = vol->fs_group >= 0;

        if (grouped && chown(path, 0, (gid_t)vol->fs_group))
                return -errno;
        return chmod(path, grouped ? GROUP_MODE : MODE) ? -errno : 0;
}

/* It gets its name when it is finished: whatever the pod does to it afterwards is the pod's affair. */
static int on_disk(const struct volume *vol, struct err *reterr)
{
        _cleanup_free_ char *fresh = mem_printf("%s..new", vol->folder), *parent = NULL;
        struct stat st;
        int r;

        if (lstat(vol->folder, &st) == 0)
                return 0;
        parent = mem_strndup(vol->folder, (size_t)(strrchr(vol->folder, '/') - vol->folder));
        r = file_mkdirs(parent, 0750, reterr);
        if (r)
                return r;
        if (mkdir(fresh, MODE) && errno != EEXIST)
                r = -errno;
        if (!r)
                r = own(vol, fresh);
        if (!r && rename(fresh, vol->folder))
                r = -errno;
        return r ? err_set(reterr, r, "cannot make %s: %s", vol->folder, strerror(-r)) : 0;
}

int empty_dir_prepare(const struct volume *vol, struct err *reterr)
{
        const char *medium = json_get_str(vol->source, "medium");

        if (str_empty(medium))
                return on_disk(vol, reterr);
        if (str_eq(medium, "Memory"))
                return in_memory(vol, reterr);
        return err_set(reterr, -EOPNOTSUPP, "unknown storage medium \"%s\"", medium);
}
