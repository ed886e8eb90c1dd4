/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine sees. The host's files are there to be run, but read-only: nothing that a node or a pod does can touch
 * them. /var and /etc are on the machine's own disk and outlive a power cut; /run, /tmp and what is pinned do not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/groups.h"
#include "ctl/up/init.h"

static int no_mount(const char *target, struct err *reterr)
{
        int r = -errno;

        return err_set(reterr, r, "%s cannot be mounted: %s", target, strerror(-r));
}

static int mount_new(const char *type, const char *target, const char *options, struct err *reterr)
{
        if (mount(type, target, type, MS_NOSUID, options))
                return no_mount(target, reterr);
        return 0;
}

static int set_read_only(const char *target, bool yes, unsigned flags, struct err *reterr)
{
        struct mount_attr attr = {.attr_set = yes ? MOUNT_ATTR_RDONLY : 0, .attr_clr = yes ? 0 : MOUNT_ATTR_RDONLY};

        if (mount_setattr(AT_FDCWD, target, flags, &attr, sizeof(attr)))
                return no_mount(target, reterr);
        return 0;
}

/* ---- the disk */

static int make_folders(const char *base, const char *const *paths, size_t n, struct err *reterr)
{
        int r = 0;

        for (size_t i = 0; !r && i < n; i++) {
                _cleanup_free_ char *path = mem_printf("%s/%s", base, paths[i]);

                r = file_mkdirs(path, 0755, reterr);
        }
        return r;
}

static int mount_var(const char *folder, struct err *reterr)
{
        static const char *const skeleton[] = {"cache", "lib/fairlead", "log/containers", "log/pods", "spool", "tmp"};
        _cleanup_free_ char *var = mem_printf("%s/disk/var", folder), *tmp = mem_printf("%s/tmp", var),
                            *run = mem_printf("%s/run", var);
        int r = make_folders(var, skeleton, ARRAY_SIZE(skeleton), reterr);

        if (r)
                return r;
        chmod(tmp, 01777);
        if (symlink("/run", run) && errno != EEXIST)
                return err_set(reterr, -errno, "%s: %s", run, strerror(errno));
        return mount(var, "/var", NULL, MS_BIND, NULL) ? no_mount("/var", reterr) : 0;
}

static int mount_etc(const char *folder, struct err *reterr)
{
        _cleanup_free_ char *options =
                mem_printf("lowerdir=/etc,upperdir=%s/disk/etc,workdir=%s/disk/etc.work", folder, folder);

        return mount_new("overlay", "/etc", options, reterr);
}

/* ---- programs: /opt/fairlead/bin is the folder that they were built or installed in */

static int mount_programs(int programs, struct err *reterr)
{
        static const char *const folders[] = {"fairlead/bin", "cni/bin"};
        int r = mount_new("tmpfs", "/opt", "mode=755", reterr);

        if (!r)
                r = make_folders("/opt", folders, ARRAY_SIZE(folders), reterr);
        if (!r && move_mount(programs, "", AT_FDCWD, "/opt/fairlead/bin", MOVE_MOUNT_F_EMPTY_PATH))
                r = no_mount("/opt/fairlead/bin", reterr);
        if (!r)
                r = set_read_only("/opt/fairlead/bin", true, 0, reterr);
        if (!r && symlink("/opt/fairlead/bin/fairlead-cni", "/opt/cni/bin/fairlead-cni"))
                r = err_set(reterr, -errno, "/opt/cni/bin/fairlead-cni: %s", strerror(errno));
        return r;
}

/* ---- what the kernel shows */

/* The machine's own groups are the roots of what it sees, laid out as on the host. */
static int mount_groups(const struct hierarchies *h, struct err *reterr)
{
        bool hybrid = !str_eq(h->items[0].mount, "/sys/fs/cgroup");
        int r = hybrid ? mount_new("tmpfs", "/sys/fs/cgroup", "mode=755", reterr) : 0;

        for (size_t i = 0; !r && i < h->n; i++) {
                const struct hierarchy *one = &h->items[i];

                r = file_mkdirs(one->mount, 0755, reterr);
                if (!r && *one->controllers)
                        r = mount_new("cgroup", one->mount, one->controllers, reterr);
                else if (!r)
                        r = mount_new("cgroup2", one->mount, NULL, reterr);
        }
        return r;
}

static int mount_kernel(const struct hierarchies *h, struct err *reterr)
{
        int r = mount_new("proc", "/proc", NULL, reterr);

        umount2("/sys", MNT_DETACH);
        if (!r)
                r = mount_new("sysfs", "/sys", NULL, reterr);
        if (!r)
                r = mount_new("bpf", "/sys/fs/bpf", "mode=700", reterr);
        return r ? r : mount_groups(h, reterr);
}

static int mount_volatile(struct err *reterr)
{
        static const char *const folders[] = {"netns", "lock", "fairlead"};
        int r = mount_new("tmpfs", "/run", "mode=755", reterr);

        if (!r)
                r = mount_new("tmpfs", "/tmp", "mode=1777", reterr);
        if (!r)
                r = mount_new("tmpfs", "/dev/shm", "mode=1777", reterr);
        return r ? r : make_folders("/run", folders, ARRAY_SIZE(folders), reterr);
}

/* ---- all of it */

static int write_files(const struct json_object *files, struct err *reterr)
{
        int r = 0;

        json_foreach (files, name, text) {
                _cleanup_free_ char *path = mem_printf("/etc/%s", name);
                char *slash = strrchr(path, '/');

                *slash = '\0';
                r = file_mkdirs(path, 0755, reterr);
                *slash = '/';
                if (!r)
                        r = file_write_atomic(path, json_object_get_string(text),
                                              (size_t)json_object_get_string_len(text), 0600, reterr);
                if (!r && !strchr(name, '/')) /* hosts, resolv.conf: for every user */
                        chmod(path, 0644);
                if (r)
                        break;
        }
        return r;
}

static int clone_tree(const char *path, int *ret, struct err *reterr)
{
        int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

        if (fd < 0)
                return err_set(reterr, -errno, "%s cannot be cloned (open_tree): %s", path, strerror(errno));
        *ret = fd;
        return 0;
}

static int mount_disk(const char *folder, struct err *reterr)
{
        int r = mount_etc(folder, reterr);

        if (!r)
                r = mount_var(folder, reterr);
        if (!r)
                r = set_read_only("/", true, AT_RECURSIVE, reterr);
        if (!r)
                r = set_read_only("/etc", false, 0, reterr);
        return r ? r : set_read_only("/var", false, 0, reterr);
}

int init_mount(const char *folder, const struct json_object *spec, int *ret_home, struct err *reterr)
{
        _cleanup_close_ int home = -1, programs = -1;
        struct hierarchies h;
        int r = hierarchies_find(&h, reterr);

        if (!r && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
                r = no_mount("/", reterr);
        if (!r)
                r = clone_tree(folder, &home, reterr);
        if (!r)
                r = clone_tree(json_get_str(spec, "programs"), &programs, reterr);
        if (!r)
                r = mount_disk(folder, reterr);
        if (!r)
                r = mount_programs(programs, reterr);
        if (!r)
                r = mount_kernel(&h, reterr);
        if (!r)
                r = mount_volatile(reterr);
        if (!r)
                r = write_files(json_get(spec, "files"), reterr);
        if (!r)
                *ret_home = TAKE_FD(home);
        return r;
}
