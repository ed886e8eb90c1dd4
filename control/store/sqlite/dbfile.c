/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite/dbfile.h"

#define COPY_CHUNK (1U << 20)

char *dbfile_beside(const char *path, const char *suffix)
{
        char *name;

        return asprintf(&name, "%s%s", path, suffix) < 0 ? NULL : name;
}

void dbfile_unlink(const char *path)
{
        static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                _cleanup_free_ char *name = dbfile_beside(path, suffixes[i]);

                if (name)
                        unlink(name);
        }
}

int dbfile_make_temporary(const char *path, char **ret_name, struct err *reterr)
{
        _cleanup_free_ char *name = dbfile_beside(path, ".tmp");
        _cleanup_close_ int fd = -1;

        if (!name)
                return err_set(reterr, -ENOMEM, "out of memory");
        dbfile_unlink(name);
        fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_set(reterr, -errno, "%s: cannot create: %s", name, strerror(errno));
        *ret_name = TAKE_PTR(name);
        return 0;
}

int dbfile_sync_folder(const char *path, struct err *reterr)
{
        _cleanup_free_ char *copy = strdup(path);
        _cleanup_close_ int fd = -1;

        if (!copy)
                return err_set(reterr, -ENOMEM, "out of memory");
        fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                return err_set(reterr, -errno, "%s: cannot sync its folder: %s", path, strerror(errno));
        return 0;
}

int dbfile_publish(const char *tmp, const char *path, struct err *reterr)
{
        _cleanup_close_ int fd = open(tmp, O_RDWR | O_CLOEXEC);

        if (fd < 0 || fsync(fd) < 0)
                return err_set(reterr, -errno, "%s: cannot sync: %s", tmp, strerror(errno));
        if (rename(tmp, path) < 0)
                return err_set(reterr, -errno, "%s: cannot rename to %s: %s", tmp, path, strerror(errno));
        return dbfile_sync_folder(path, reterr);
}

static int write_all(int fd, const char *data, size_t n)
{
        while (n) {
                ssize_t done = write(fd, data, n);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                data += done;
                n -= (size_t)done;
        }
        return 0;
}

int dbfile_copy(const char *from, const char *to, struct err *reterr)
{
        _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int out = open(to, O_WRONLY | O_TRUNC | O_CLOEXEC);
        _cleanup_free_ char *chunk = malloc(COPY_CHUNK);
        ssize_t n;
        int r;

        if (in < 0 || out < 0)
                return err_set(reterr, -errno, "cannot copy %s to %s: %s", from, to, strerror(errno));
        if (!chunk)
                return err_set(reterr, -ENOMEM, "out of memory");
        while ((n = read(in, chunk, COPY_CHUNK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                r = n < 0 ? -errno : write_all(out, chunk, (size_t)n);
                if (r)
                        return err_set(reterr, r, "cannot copy %s to %s: %s", from, to, strerror(-r));
        }
        return 0;
}
