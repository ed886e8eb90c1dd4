/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <bpf/bpf.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/pins.h"

#define SYSTEM_BPFFS "/sys/fs/bpf"
#define OWN_SOURCE   "fairlead" /* as what the mount table shows a bpffs of ours to be */

static bool is_bpffs(const char *path)
{
        struct statfs fs;

        return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int mount_bpffs(const char *path, const char *source, struct err *reterr)
{
        if (mount(source, path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0)
                return 0;
        return err_set(reterr, -errno,
                       "cannot mount a bpffs at %s: %s; mount one there (mount -t bpf bpf %s), or give CAP_SYS_ADMIN",
                       path, strerror(errno), path);
}

int pins_folder(const char *path, struct err *reterr)
{
        return file_mkdirs(path, 0700, reterr);
}

int pins_prepare(const char *root, struct err *reterr)
{
        bool below_system = str_has_prefix(root, SYSTEM_BPFFS "/");
        int r = 0;

        if (below_system && !is_bpffs(SYSTEM_BPFFS))
                r = mount_bpffs(SYSTEM_BPFFS, "bpf", reterr);
        if (r == 0)
                r = pins_folder(root, reterr);
        if (r == 0 && !is_bpffs(root))
                r = mount_bpffs(root, OWN_SOURCE, reterr);
        return r;
}

int pins_lock(const char *root, int *ret_fd, struct err *reterr)
{
        _cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return err_set(reterr, -errno, "%s: %s", root, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB))
                return err_set(reterr, errno == EWOULDBLOCK ? -EBUSY : -errno,
                               errno == EWOULDBLOCK ? "%s is in use: another fairlead-agent runs on this host"
                                                    : "%s cannot be locked",
                               root);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int pins_replace(int fd, const char *path)
{
        char fresh[PINS_PATH];
        int r;

        snprintf(fresh, sizeof(fresh), "%s_pinning", path);
        r = bpf_obj_pin(fd, fresh);
        if (r == -EEXIST) { /* of an agent that was killed right here */
                unlink(fresh);
                r = bpf_obj_pin(fd, fresh);
        }
        if (r == 0 && rename(fresh, path))
                r = -errno;
        return r;
}

int pins_each(const char *folder, int (*fn)(void *userdata, const char *folder, const char *name), void *userdata)
{
        struct dirent **entries;
        int n = scandir(folder, &entries, NULL, alphasort), r = 0;

        if (n < 0)
                return errno == ENOENT ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                const char *name = entries[i]->d_name;

                if (r == 0 && !str_eq(name, ".") && !str_eq(name, ".."))
                        r = fn(userdata, folder, name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int remove_entry(void *userdata, const char *folder, const char *name)
{
        char path[PINS_PATH];
        int r;

        if (strchr(name, '.')) /* the kernel's own: progs.debug and maps.debug of a fresh bpffs */
                return 0;
        if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        r = unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
        if (r == -EISDIR || r == -EPERM)
                r = pins_remove(path);
        return r;
}

int pins_remove(const char *path)
{
        int r = pins_each(path, remove_entry, NULL);

        if (r)
                return r;
        return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static bool is_own_mount(const char *root)
{
        _cleanup_free_ char *text = NULL, *want = mem_printf(" %s ", root);
        char *save = NULL;
        bool own = false;

        if (file_read("/proc/self/mountinfo", 4 * 1024 * 1024, &text, NULL, NULL))
                return false;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                if (strstr(line, want) && strstr(line, " - bpf " OWN_SOURCE " "))
                        own = true;
        return own;
}

int pins_remove_root(const char *root)
{
        int r = pins_each(root, remove_entry, NULL);

        if (r)
                return r;
        if (is_own_mount(root) && umount2(root, MNT_DETACH))
                return -errno;
        return rmdir(root) == 0 || errno == ENOENT || errno == EBUSY ? 0 : -errno;
}
