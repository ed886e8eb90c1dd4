/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/kubelet/volumes/tree.h"
#include "base/mem.h"
#include "base/str.h"

/* Descriptors that are open at once. A removal brings what is deeper up to its top, so depth has no bound there. */
#define DEPTH_MAX 64
/* Bringing up and starting over makes progress each time; this only ends what somebody fills as fast. */
#define ROUNDS_MAX 100000

/* A folder in `at`, which is no link and no mount: -EXDEV, -ELOOP, -ENOTDIR. */
static int open_folder(int at, const char *name)
{
        struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                               .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
        int fd;

        do
                fd = (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
        while (fd < 0 && errno == EAGAIN);
        return fd < 0 ? -errno : fd;
}

static DIR *open_dir(int at, const char *name, int *ret_error)
{
        int fd = open_folder(at, name);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        *ret_error = fd < 0 ? fd : d ? 0 : -ENOMEM;
        if (fd >= 0 && !d)
                close(fd);
        return d;
}

struct frame {
        DIR *dir;
        char *name; /* in the folder above */
};

struct tree_removal {
        int at; /* the folder that it is in */
        char *name;
        struct frame frames[DEPTH_MAX];
        size_t depth;
        size_t rounds, moved;
};

struct tree_removal *tree_removal_new(int at, const char *name)
{
        struct tree_removal *t = mem_new(struct tree_removal);

        t->name = mem_strdup(name);
        t->at = fcntl(at, F_DUPFD_CLOEXEC, 3);
        if (t->at >= 0)
                return t;
        tree_removal_free(t);
        return NULL;
}

static void pop(struct tree_removal *t)
{
        struct frame *f = &t->frames[--t->depth];

        closedir(f->dir);
        free(f->name);
}

void tree_removal_free(struct tree_removal *t)
{
        if (!t)
                return;
        while (t->depth)
                pop(t);
        if (t->at >= 0)
                close(t->at);
        free(t->name);
        free(t);
}

static int parent_of(const struct tree_removal *t, size_t depth)
{
        return depth ? dirfd(t->frames[depth - 1].dir) : t->at;
}

static int unmount(int at, const char *name)
{
        _cleanup_free_ char *path = mem_printf("/proc/self/fd/%d/%s", at, name);

        return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) ? -errno : 0;
}

static int push(struct tree_removal *t, int at, const char *name)
{
        int r;
        DIR *d = open_dir(at, name, &r);

        if (d)
                t->frames[t->depth++] = (struct frame){d, mem_strdup(name)};
        return r;
}

/* Too deep: it becomes a neighbour of what the removal began with. */
static int bring_up(struct tree_removal *t, int at, const char *name)
{
        int top = dirfd(t->frames[0].dir);
        char to[64];

        for (;;) {
                snprintf(to, sizeof(to), "..deep-%zu", t->moved++);
                if (!renameat2(at, name, top, to, RENAME_NOREPLACE))
                        return 0;
                if (errno != EEXIST || t->moved > ROUNDS_MAX)
                        return -errno;
        }
}

/* One entry: unlinked, or entered. 0, or negative errno. */
static int take(struct tree_removal *t, int at, const char *name)
{
        int r;

        for (int tries = 0; tries < 64; tries++) {
                if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
                        return 0;
                if (errno == EBUSY) {
                        r = unmount(at, name);
                        if (r)
                                return r;
                        continue;
                }
                if (errno != EISDIR && errno != EPERM)
                        return -errno;
                r = t->depth == DEPTH_MAX ? bring_up(t, at, name) : push(t, at, name);
                if (r == -EXDEV)
                        r = unmount(at, name) ?: -EAGAIN;
                if (r != -EAGAIN)
                        return r == -ENOTDIR ? -EPERM : r;
        }
        return -EBUSY;
}

/* The innermost folder is empty, as far as was read. */
static int leave(struct tree_removal *t)
{
        struct frame *f = &t->frames[t->depth - 1];

        if (unlinkat(parent_of(t, t->depth - 1), f->name, AT_REMOVEDIR) && errno != ENOENT) {
                if (errno != ENOTEMPTY || ++t->rounds > ROUNDS_MAX)
                        return -errno;
                rewinddir(f->dir);
                return 0;
        }
        pop(t);
        return 0;
}

static int one(struct tree_removal *t)
{
        struct frame *f = &t->frames[t->depth - 1];
        struct dirent *d;

        errno = 0;
        d = readdir(f->dir);
        if (!d)
                return errno ? -errno : leave(t);
        if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
                return 0;
        return take(t, dirfd(f->dir), d->d_name);
}

int tree_removal_step(struct tree_removal *t, size_t files)
{
        int r = t->depth ? 0 : take(t, t->at, t->name);

        while (!r && t->depth && files--)
                r = one(t);
        return r ?: t->depth != 0;
}

int tree_remove(int at, const char *name)
{
        struct tree_removal *t = tree_removal_new(at, name);
        int r = t ? 1 : -EMFILE;

        while (r == 1)
                r = tree_removal_step(t, SIZE_MAX);
        tree_removal_free(t);
        return r;
}

static size_t count(DIR *dir, size_t max, int depth)
{
        size_t n = 0;
        struct dirent *d;
        int r;

        while (n < max && (d = readdir(dir))) {
                DIR *below;

                if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
                        continue;
                below = depth < DEPTH_MAX ? open_dir(dirfd(dir), d->d_name, &r) : NULL;
                if (below) {
                        n += count(below, max - n, depth + 1);
                        closedir(below);
                } else {
                        n++;
                }
        }
        return n;
}

size_t tree_count_files(int folder, size_t max)
{
        int r;
        DIR *dir = open_dir(folder, ".", &r);
        size_t n = dir ? count(dir, max, 0) : 0;

        if (dir)
                closedir(dir);
        return n;
}

/* A file of several names counts once: each name has its part. */
static uint64_t bytes_of(const struct stat *st)
{
        uint64_t bytes = (uint64_t)st->st_blocks * 512;

        return S_ISDIR(st->st_mode) || st->st_nlink < 2 ? bytes : bytes / st->st_nlink;
}

static uint64_t usage(DIR *dir, int depth)
{
        uint64_t sum = 0;
        struct dirent *d;
        struct stat st;
        int r;

        while ((d = readdir(dir))) {
                uint64_t below = 0;
                DIR *sub;

                if (str_eq(d->d_name, ".") || str_eq(d->d_name, "..") ||
                    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW))
                        continue;
                if (S_ISDIR(st.st_mode) && depth == DEPTH_MAX * 4)
                        return UINT64_MAX;
                sub = S_ISDIR(st.st_mode) ? open_dir(dirfd(dir), d->d_name, &r) : NULL;
                if (sub) {
                        below = usage(sub, depth + 1);
                        closedir(sub);
                }
                if (below == UINT64_MAX)
                        return UINT64_MAX;
                sum += bytes_of(&st) + below;
        }
        return sum;
}

uint64_t tree_usage(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        uint64_t n = dir ? usage(dir, 0) : 0;

        if (dir)
                closedir(dir);
        else if (fd >= 0)
                close(fd);
        return n;
}
