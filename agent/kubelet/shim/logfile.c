/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/shim/logfile.h"
#include "agent/kubelet/shim/logline.h"

#define PATH_SIZE 1024

static int open_file(struct log_file *f)
{
        int fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        struct stat st;

        if (fd < 0)
                return -errno;
        f->bytes = fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
        f->fd = fd;
        return 0;
}

int log_file_open(struct log_file *f)
{
        f->fd = -1;
        return f->path ? open_file(f) : 0;
}

void log_file_reopen(struct log_file *f)
{
        int old = f->fd;

        if (f->path && !open_file(f) && old >= 0)
                close(old);
}

/* "2016-10-06T00:17:09.669794202Z" to "20161006-001709.669794". */
static void suffix(int64_t now_ns, char ret[static LOG_SUFFIX_SIZE])
{
        char stamp[LOG_STAMP_SIZE], *p = ret;

        log_stamp(now_ns, stamp);
        for (const char *s = stamp; *s && s < stamp + 26 && p < ret + LOG_SUFFIX_SIZE - 1; s++)
                if (*s != '-' && *s != ':')
                        *p++ = *s == 'T' ? '-' : *s;
        *p = '\0';
}

static int path_of(const struct log_file *f, const char *with, char ret[static PATH_SIZE])
{
        size_t n = strlen(f->path), m = strlen(with);

        if (n + 1 + m + 1 > PATH_SIZE)
                return -ENAMETOOLONG;
        memcpy(ret, f->path, n);
        ret[n] = '.';
        memcpy(ret + n + 1, with, m + 1);
        return 0;
}

static void drop_oldest(const struct log_file *f, unsigned int kept)
{
        char path[PATH_SIZE];

        if (f->rotations > kept && !path_of(f, f->rotated[(f->rotations - kept - 1) % LOG_FILES_MAX], path))
                unlink(path);
}

/* What cannot be renamed goes on to grow: a line is worth more than a limit. */
static void rotate(struct log_file *f, int64_t now_ns)
{
        char path[PATH_SIZE], *name = f->rotated[f->rotations % LOG_FILES_MAX];

        f->bytes = 0;
        suffix(now_ns, name);
        if (path_of(f, name, path) || rename(f->path, path))
                return;
        f->rotations++;
        if (f->keep && f->keep <= LOG_FILES_MAX)
                drop_oldest(f, f->keep - 1);
        log_file_reopen(f);
}

void log_file_write(struct log_file *f, int64_t now_ns, const struct iovec *v, size_t n)
{
        uint64_t whole = 0;
        struct stat st;
        ssize_t w;

        if (f->fd < 0)
                return;
        for (size_t i = 0; i < n; i++)
                whole += v[i].iov_len;
        if (f->limit && f->bytes && f->bytes + whole > f->limit)
                rotate(f, now_ns);
        w = writev(f->fd, v, (int)n);
        if (w > 0 && (uint64_t)w < whole && !fstat(f->fd, &st) && !ftruncate(f->fd, st.st_size - w))
                w = 0;
        f->bytes += w > 0 ? (uint64_t)w : 0;
}
