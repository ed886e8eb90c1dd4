/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define TEMP_PREFIX ".tmp-"

static int write_all(int fd, const char *data, size_t n)
{
        while (n) {
                ssize_t w = write(fd, data, n);

                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return -errno;
                data += w;
                n -= (size_t)w;
        }
        return 0;
}

static int sync_folder(const char *folder)
{
        _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 || fsync(fd) ? -errno : 0;
}

static char *folder_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        if (!slash)
                return mem_strdup(".");
        return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int fill(int fd, const void *data, size_t n, mode_t mode, bool sync)
{
        int r = write_all(fd, data, n);

        if (r)
                return r;
        return fchmod(fd, mode) || (sync && fsync(fd)) ? -errno : 0;
}

static int replace(const char *path, const char *folder, const void *data, size_t n, mode_t mode, bool sync,
                   struct err *reterr)
{
        _cleanup_free_ char *temp = mem_printf("%s/" TEMP_PREFIX "XXXXXX", folder);
        _cleanup_close_ int fd = mkostemp(temp, O_CLOEXEC);
        int r;

        if (fd < 0) {
                r = -errno;
                return err_set(reterr, r, "%s: cannot create a file in %s: %s", path, folder, strerror(-r));
        }
        r = fill(fd, data, n, mode, sync);
        if (!r && rename(temp, path))
                r = -errno;
        if (!r)
                return 0;
        unlink(temp);
        return err_set(reterr, r, "%s: cannot write: %s", path, strerror(-r));
}

int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct err *reterr)
{
        _cleanup_free_ char *folder = folder_of(path);
        int r = replace(path, folder, data, n, mode, true, reterr);

        if (r)
                return r;
        r = sync_folder(folder);
        return r ? err_set(reterr, r, "%s: cannot sync: %s", folder, strerror(-r)) : 0;
}

int file_replace(const char *path, const void *data, size_t n, mode_t mode, struct err *reterr)
{
        _cleanup_free_ char *folder = folder_of(path);

        return replace(path, folder, data, n, mode, false, reterr);
}

void file_remove_temps(const char *folder)
{
        DIR *dir = opendir(folder);
        struct dirent *e;

        while (dir && (e = readdir(dir)))
                if (str_has_prefix(e->d_name, TEMP_PREFIX))
                        unlinkat(dirfd(dir), e->d_name, 0);
        if (dir)
                closedir(dir);
}

/* Reads up to limit + 1 bytes, so that the caller sees what is too big. */
static int read_all(int fd, size_t limit, char **ret, size_t *ret_len)
{
        _cleanup_free_ char *buf = NULL;
        size_t len = 0, cap = 0;

        for (;;) {
                ssize_t got;

                if (len == cap) {
                        cap = cap ? MIN(cap * 2, limit + 1) : MIN((size_t)4096, limit + 1);
                        buf = mem_realloc(buf, cap + 1, 1);
                }
                got = read(fd, buf + len, cap - len);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                len += (size_t)got;
                if (len > limit)
                        return -EFBIG;
                if (!got)
                        break;
        }
        buf[len] = '\0';
        *ret = TAKE_PTR(buf);
        *ret_len = len;
        return 0;
}

int file_read(const char *path, size_t limit, char **ret, size_t *ret_len, struct err *reterr)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t len = 0;
        int r = fd < 0 ? -errno : read_all(fd, limit, ret, &len);

        if (r == -EFBIG)
                return err_set(reterr, r, "%s: larger than %zu bytes", path, limit);
        if (r)
                return err_set(reterr, r, "%s: %s", path, strerror(-r));
        if (ret_len)
                *ret_len = len;
        return 0;
}

int file_mkdirs(const char *path, mode_t mode, struct err *reterr)
{
        _cleanup_free_ char *p = mem_strdup(path);

        for (char *s = p + 1;; s++) {
                char c = *s;

                if (c && c != '/')
                        continue;
                *s = '\0';
                if (mkdir(p, mode) && errno != EEXIST) {
                        int r = -errno;

                        return err_set(reterr, r, "%s: cannot make the folder: %s", p, strerror(-r));
                }
                if (!c)
                        return 0;
                *s = c;
        }
}
