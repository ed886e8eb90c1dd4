/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load/: whatever is moved into it becomes an image. "docker.io%2Flibrary%2Fdemo%3A1.tar" is an archive (docker save's
 * or OCI's) of what will be docker.io/library/demo:1; with the end ".oci" it is a folder, an OCI layout. It is removed
 * when the image is there, so a kill in between begins it again; what cannot be loaded goes to load/failed/, with the
 * reason beside it. Names that begin with a dot are left alone: whoever copies something there renames it at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/images/pull.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "base/watchdir.h"

#define HEADERS_MAX 4096 /* of an archive, until its kind is told */
#define BLOCK       512

struct load_watch {
        struct watchdir *dir;
};

static int hex_digit(char c)
{
        const char *at = c ? strchr("0123456789ABCDEFabcdef", c) : NULL;
        int n = at ? (int)(at - "0123456789ABCDEFabcdef") : -1;

        return at ? (n > 15 ? n - 6 : n) : -1;
}

/* n bytes of percent-encoded text; the caller frees it. What is no escape stays. */
static char *decode(const char *s, size_t n)
{
        char *text = mem_alloc(n + 1), *out = text;

        for (size_t i = 0; i < n; i++) {
                int high = s[i] == '%' && i + 2 < n ? hex_digit(s[i + 1]) : -1;
                int low = high >= 0 ? hex_digit(s[i + 2]) : -1;

                *out++ = low >= 0 ? (char)(high * 16 + low) : s[i];
                i += low >= 0 ? 2 : 0;
        }
        *out = '\0';
        return text;
}

/* The size in a tar's header: octal, or binary with the first bit set. */
static uint64_t tar_size(const unsigned char *field)
{
        uint64_t n = 0;

        if (field[0] & 0x80) {
                for (int i = 4; i < 12; i++)
                        n = n << 8 | field[i];
                return n;
        }
        for (int i = 0; i < 12 && field[i]; i++)
                if (field[i] >= '0' && field[i] <= '7')
                        n = n * 8 + (uint64_t)(field[i] - '0');
        return n;
}

/* A tar with the file of an OCI layout. What is compressed is Docker's, as far as skopeo is concerned. */
static bool is_oci_archive(const char *path)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        unsigned char header[BLOCK];
        uint64_t at = 0;

        for (int i = 0; fd >= 0 && i < HEADERS_MAX && pread(fd, header, BLOCK, (off_t)at) == BLOCK; i++) {
                uint64_t size = tar_size(header + 124);
                const char *name = (const char *)header;

                if (memcmp(header + 257, "ustar", 5) != 0 || size > INT64_MAX - at - 2 * BLOCK)
                        return false;
                name += str_has_prefix(name, "./") ? 2 : 0;
                if (strncmp(name, "oci-layout", 100) == 0)
                        return true;
                at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
        }
        return false;
}

static const char *transport_of(const char *path, const struct stat *st)
{
        if (S_ISDIR(st->st_mode) && str_has_suffix(path, ".oci"))
                return "oci";
        if (!S_ISREG(st->st_mode) || !str_has_suffix(path, ".tar"))
                return NULL;
        return is_oci_archive(path) ? "oci-archive" : "docker-archive";
}

static void loaded(void *userdata, enum image_outcome outcome, const struct image *image, const char *message)
{
        if (image)
                log_info("image loaded", "image=%s", image->id);
}

static bool is_loading(const struct images *im, const char *path)
{
        for (const struct pull *p = im->pulls; p; p = p->next)
                if (str_eq(p->load_entry, path))
                        return true;
        return false;
}

static void reject(const char *path, const char *why)
{
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *to = mem_printf("%.*s/failed%s", (int)(slash - path), path, slash);
        _cleanup_free_ char *beside = mem_printf("%s.txt", to), *text = mem_printf("%s\n", why);
        _cleanup_free_ char *remains = mem_printf("%s.old-%llx", to, (unsigned long long)random_u64());
        struct err err = ERR_NULL;

        log_error("an image cannot be loaded", "path=%s error=%s", path, why);
        rename(to, remains);
        if (rename(path, to))
                log_error("cannot be moved", "path=%s error=%s", path, strerror(errno));
        else if (file_write_atomic(beside, text, strlen(text), 0600, &err))
                log_error("the reason is not written", "error=%s", err.msg);
}

static void begin(struct images *im, const char *folder, const char *name)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", folder, name), *reference = NULL, *source = NULL;
        const char *transport;
        struct stat st;

        if (is_loading(im, path) || lstat(path, &st))
                return;
        transport = strchr(name, ':') ? NULL : transport_of(path, &st);
        if (!transport) {
                reject(path, "a file NAME.tar or a folder NAME.oci is expected, and %3A for each colon of the name");
                return;
        }
        reference = decode(name, strlen(name) - strlen(".tar"));
        source = mem_printf("%s:%s", transport, path);
        pull_load(im, source, reference, mem_strdup(path), (uint64_t)st.st_ino, loaded, NULL);
}

/* Another one that has come under its name meanwhile stays, for the next look. */
void load_done(struct pull *p, const char *why)
{
        struct stat st;

        if (lstat(p->load_entry, &st) || st.st_ino != p->load_inode)
                return;
        if (why)
                reject(p->load_entry, why);
        else if (S_ISDIR(st.st_mode))
                store_trash(p->im, p->load_entry);
        else if (unlink(p->load_entry))
                log_error("cannot be removed", "path=%s error=%s", p->load_entry, strerror(errno));
}

static void scan(void *userdata)
{
        struct images *im = userdata;
        _cleanup_free_ char *folder = mem_printf("%s/load", im->folder);
        DIR *dir = opendir(folder);
        struct dirent *e;

        while (dir && (e = readdir(dir)))
                if (*e->d_name != '.' && !str_eq(e->d_name, "failed"))
                        begin(im, folder, e->d_name);
        if (dir)
                closedir(dir);
}

int load_watch_new(struct images *im, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_printf("%s/load", im->folder);
        struct load_watch *w = mem_new(struct load_watch);
        int e = watchdir_new(im->loop, folder, scan, im, &w->dir, reterr);

        if (e) {
                free(w);
                return e;
        }
        im->load = w;
        scan(im);
        return 0;
}

void load_watch_free(struct load_watch *w)
{
        if (!w)
                return;
        watchdir_free(w->dir);
        free(w);
}
