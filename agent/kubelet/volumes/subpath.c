/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/kubelet/volumes/subpath.h"
#include "base/mem.h"
#include "base/str.h"

/* The kernel gives up when something was renamed while it looked for "..". */
#define TRIES 200

int subpath_check(const char *path, struct err *reterr)
{
        struct str_span piece;

        if (str_empty(path) || *path == '/' || strlen(path) >= PATH_MAX)
                return err_set(reterr, -EINVAL, "subPath \"%.100s\" must be a relative path", path ?: "");
        for (const char *rest = path; str_split(&rest, '/', &piece);)
                if (str_span_eq(piece, "..") || piece.n > NAME_MAX)
                        return err_set(reterr, -EINVAL, "subPath \"%.100s\" must not contain \"..\"", path);
        return 0;
}

static int open_below(int root, const char *path, uint64_t resolve)
{
        struct open_how how = {.flags = O_PATH | O_CLOEXEC | (resolve & RESOLVE_NO_SYMLINKS ? O_NOFOLLOW : 0),
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve};
        int fd;

        for (int i = 0; i < TRIES; i++) {
                fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
                if (fd >= 0 || errno != EAGAIN)
                        break;
        }
        return fd < 0 ? -errno : fd;
}

/* Of the same mode as the volume, whatever the umask is. The new folder is not a link that somebody was quicker to
 * make. */
static int make(int parent, const char *name, mode_t mode)
{
        bool made = mkdirat(parent, name, 0700) == 0;
        char self[64];
        int fd;

        if (!made && errno != EEXIST)
                return -errno;
        fd = open_below(parent, name, RESOLVE_NO_SYMLINKS);
        if (fd < 0)
                return fd;
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        if (made && chmod(self, mode)) {
                close(fd);
                return -errno;
        }
        return fd;
}

/* The first n bytes of path, which are below root; made where the rest of them is there. */
static int open_prefix(int root, int parent, const char *path, size_t n, mode_t mode)
{
        _cleanup_free_ char *prefix = mem_strndup(path, n);
        const char *slash = strrchr(prefix, '/');
        int fd = open_below(root, prefix, 0);

        return fd == -ENOENT ? make(parent, slash ? slash + 1 : prefix, mode) : fd;
}

static int open_or_make(int root, const char *path)
{
        _cleanup_close_ int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
        size_t n = 0, len = strlen(path);
        struct stat st;

        if (at < 0 || fstat(root, &st))
                return -errno;
        while (n < len) {
                size_t end = n + strcspn(path + n, "/");
                int next;

                if (end > n) {
                        next = open_prefix(root, at, path, end, st.st_mode & 07777);
                        if (next < 0)
                                return next;
                        close(at);
                        at = next;
                }
                n = end + 1;
        }
        return TAKE_FD(at);
}

static const char *why(int r)
{
        return r == -EXDEV || r == -ELOOP ? "it leads out of the volume" : strerror(-r);
}

int subpath_open(int root, const char *path, int *ret, struct err *reterr)
{
        int r = subpath_check(path, reterr), fd;

        if (r)
                return r;
        fd = open_below(root, path, 0);
        if (fd == -ENOENT)
                fd = open_or_make(root, path);
        if (fd < 0)
                return err_set(reterr, fd, "subPath \"%.100s\": %s", path, why(fd));
        *ret = fd;
        return 0;
}
