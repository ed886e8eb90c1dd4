/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/kubelet/volumes/payload.h"
#include "agent/kubelet/volumes/tree.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define DATA            "..data"
#define DATA_TMP        "..data_tmp"
#define GENERATION_SIZE 64
#define FOLDER_MODE     0755

/* Without empty parts and ".". NULL: it would lead elsewhere. */
static char *cleaned(struct arena *mem, const char *path)
{
        char *out = arena_zalloc(mem, strlen(path) + 1), *end = out;
        struct str_span piece;

        if (*path == '/' || str_has_prefix(path, "..") || strlen(path) >= PATH_MAX)
                return NULL;
        for (const char *rest = path; str_split(&rest, '/', &piece);) {
                if (str_span_eq(piece, "..") || piece.n > NAME_MAX)
                        return NULL;
                if (!piece.n || str_span_eq(piece, "."))
                        continue;
                if (end != out)
                        *end++ = '/';
                else if (piece.n >= 2 && piece.s[0] == '.' && piece.s[1] == '.')
                        return NULL;
                end = mempcpy(end, piece.s, piece.n);
        }
        return end == out ? NULL : out;
}

static void grow(struct payload *p)
{
        size_t room = p->room ? p->room * 2 : 8;
        struct payload_file *files = arena_array(p->mem, struct payload_file, room);

        if (p->nfiles)
                memcpy(files, p->files, p->nfiles * sizeof(*files));
        p->files = files;
        p->room = room;
}

static struct payload_file *find(const struct payload *p, const char *path)
{
        for (size_t i = 0; i < p->nfiles; i++)
                if (str_eq(p->files[i].path, path))
                        return &p->files[i];
        return NULL;
}

int payload_add(struct payload *p, const char *path, const void *data, size_t n, mode_t mode, struct err *reterr)
{
        const char *clean = cleaned(p->mem, path ?: "");
        struct payload_file *f;

        if (!clean)
                return err_set(reterr, -EINVAL, "invalid path \"%s\": must be a relative path, without \"..\"",
                               path ?: "");
        f = find(p, clean);
        if (!f) {
                if (p->nfiles == p->room)
                        grow(p);
                f = &p->files[p->nfiles++];
        }
        *f = (struct payload_file){clean, data, n, mode & 0777, -1};
        return 0;
}

/* The group of the volume may read, as SetVolumeOwnership has it for volumes that are read-only. */
static mode_t file_mode(const struct payload *p, const struct payload_file *f)
{
        return p->gid >= 0 ? f->mode | 0440 : f->mode;
}

static mode_t folder_mode(const struct payload *p)
{
        return p->gid >= 0 ? FOLDER_MODE | S_ISGID | 0550 : FOLDER_MODE;
}

static int own(const struct payload *p, int fd, int64_t uid, mode_t mode)
{
        if (p->gid >= 0 || uid >= 0)
                if (fchown(fd, uid >= 0 ? (uid_t)uid : 0, p->gid >= 0 ? (gid_t)p->gid : 0))
                        return -errno;
        return fchmod(fd, mode) ? -errno : 0;
}

static int make_folder(const struct payload *p, int at, const char *name, int *ret)
{
        _cleanup_close_ int fd = -1;
        int r;

        if (mkdirat(at, name, FOLDER_MODE) && errno != EEXIST)
                return -errno;
        fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = own(p, fd, -1, folder_mode(p));
        if (!r)
                *ret = TAKE_FD(fd);
        return r;
}

/* The folder that path is in, made where it is missing; *ret_name is what follows. */
static int enter(const struct payload *p, int generation, const char *path, int *ret, const char **ret_name)
{
        _cleanup_close_ int fd = fcntl(generation, F_DUPFD_CLOEXEC, 0);
        const char *slash;

        while ((slash = strchr(path, '/'))) {
                _cleanup_free_ char *name = mem_strndup(path, (size_t)(slash - path));
                int next, r = make_folder(p, fd, name, &next);

                if (r)
                        return r;
                close(fd);
                fd = next;
                path = slash + 1;
        }
        *ret = TAKE_FD(fd);
        *ret_name = path;
        return 0;
}

static int write_all(int fd, const char *data, size_t n)
{
        while (n) {
                ssize_t done = write(fd, data, n);

                if (done <= 0)
                        return done < 0 ? -errno : -EIO;
                data += done;
                n -= (size_t)done;
        }
        return 0;
}

static int write_file(const struct payload *p, int generation, const struct payload_file *f)
{
        _cleanup_close_ int folder = -1, fd = -1;
        const char *name;
        int r = enter(p, generation, f->path, &folder, &name);

        if (r)
                return r;
        fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, f->data, f->n);
        return r ?: own(p, fd, f->uid, file_mode(p, f));
}

static int write_generation(const struct payload *p, int root, const char *name, const char **ret_where)
{
        _cleanup_close_ int fd = -1;
        int r;

        *ret_where = name;
        if (mkdirat(root, name, FOLDER_MODE))
                return -errno;
        r = make_folder(p, root, name, &fd);
        for (size_t i = 0; !r && i < p->nfiles; i++) {
                *ret_where = p->files[i].path;
                r = write_file(p, fd, &p->files[i]);
        }
        return r;
}

static void name_generation(char ret[static GENERATION_SIZE])
{
        time_t now = (time_t)clock_wall_s();
        struct tm tm;
        size_t n;

        gmtime_r(&now, &tm);
        n = strftime(ret, GENERATION_SIZE, "..%Y_%m_%d_%H_%M_%S.", &tm);
        snprintf(ret + n, GENERATION_SIZE - n, "%010u", (unsigned int)random_u64());
}

/* The generation that is there: false when there is none. */
static bool present(int root, char ret[static GENERATION_SIZE])
{
        ssize_t n = readlinkat(root, DATA, ret, GENERATION_SIZE - 1);
        struct stat st;

        if (n <= 0 || n >= GENERATION_SIZE - 1)
                return false;
        ret[n] = '\0';
        return str_has_prefix(ret, "..") && !str_eq(ret, "..") && !strchr(ret, '/') &&
               fstatat(root, ret, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool reads(int fd, const char *want, size_t n)
{
        char buf[16384];
        ssize_t got;

        while ((got = read(fd, buf, sizeof(buf))) > 0) {
                if ((size_t)got > n || memcmp(buf, want, (size_t)got))
                        return false;
                want += got;
                n -= (size_t)got;
        }
        return got == 0 && n == 0;
}

static bool file_is(const struct payload *p, int generation, const struct payload_file *f)
{
        _cleanup_close_ int fd = openat(generation, f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || (size_t)st.st_size != f->n)
                return false;
        if ((st.st_mode & 07777) != file_mode(p, f) || st.st_uid != (uid_t)MAX(f->uid, 0) ||
            st.st_gid != (gid_t)MAX(p->gid, 0))
                return false;
        return reads(fd, f->data, f->n);
}

static bool is_written(const struct payload *p, int root, const char *generation)
{
        _cleanup_close_ int fd = openat(root, generation, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || tree_count_files(fd, p->nfiles + 1) != p->nfiles)
                return false;
        for (size_t i = 0; i < p->nfiles; i++)
                if (!file_is(p, fd, &p->files[i]))
                        return false;
        return true;
}

static int replace_link(int root, const char *target, const char *tmp, const char *name)
{
        unlinkat(root, tmp, 0);
        if (symlinkat(target, root, tmp))
                return -errno;
        return renameat(root, tmp, root, name) ? -errno : 0;
}

/* VOLUME/first -> ..data/first, for the first part of each path. */
static int show_file(int root, const char *path)
{
        _cleanup_free_ char *name = mem_strndup(path, strcspn(path, "/")), *want = mem_printf(DATA "/%s", name);
        char have[NAME_MAX + 16];
        ssize_t n = readlinkat(root, name, have, sizeof(have));

        if (n == (ssize_t)strlen(want) && memcmp(have, want, (size_t)n) == 0)
                return 0;
        if (n < 0 && errno == EINVAL)
                tree_remove(root, name);
        return replace_link(root, want, DATA_TMP, name);
}

static bool shows(const struct payload *p, const char *name)
{
        size_t n = strlen(name);

        for (size_t i = 0; i < p->nfiles; i++)
                if (strncmp(p->files[i].path, name, n) == 0 && (!p->files[i].path[n] || p->files[i].path[n] == '/'))
                        return true;
        return false;
}

/* What belongs to no file, and generations before this one. */
static void remove_old(const struct payload *p, int root, const char *generation)
{
        int copy = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *d;

        while (dir && (d = readdir(dir))) {
                const char *name = d->d_name;
                bool ours = str_has_prefix(name, "..");

                if (str_eq(name, ".") || str_eq(name, "..") || str_eq(name, DATA) || str_eq(name, generation))
                        continue;
                if (ours || !shows(p, name))
                        tree_remove(root, name);
        }
        if (dir)
                closedir(dir);
        else if (copy >= 0)
                close(copy);
}

static int show(const struct payload *p, int root, const char *generation)
{
        int r = 0;

        for (size_t i = 0; !r && i < p->nfiles; i++)
                r = show_file(root, p->files[i].path);
        if (!r)
                remove_old(p, root, generation);
        return r;
}

int payload_write(const struct payload *p, const char *folder, struct err *reterr)
{
        _cleanup_close_ int root = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char generation[GENERATION_SIZE];
        const char *where = folder;
        int r = 0;

        if (root < 0)
                return err_set(reterr, -errno, "%s: %s", folder, strerror(errno));
        if (!present(root, generation) || !is_written(p, root, generation)) {
                r = own(p, root, -1, folder_mode(p) | 0777);
                name_generation(generation);
                if (!r)
                        r = write_generation(p, root, generation, &where);
                if (!r)
                        r = replace_link(root, generation, DATA_TMP, DATA);
                if (r)
                        tree_remove(root, generation);
        }
        if (!r)
                r = show(p, root, generation);
        return r ? err_set(reterr, r, "cannot write %s: %s", where, strerror(-r)) : 0;
}

bool payload_is_written(const char *folder)
{
        _cleanup_close_ int root = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char generation[GENERATION_SIZE];

        return root >= 0 && present(root, generation);
}
