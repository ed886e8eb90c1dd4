/* SPDX-License-Identifier: Apache-2.0 */
/* What pods and nodes say in their own little languages: $(NAME), resolv.conf, paths of subPath and of files in
 * volumes, lines of mountinfo. Nothing crashes, and what is accepted keeps to its bounds. The first byte chooses. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/pods/expand.h"
#include "agent/kubelet/pods/resolv_conf.h"
#include "agent/kubelet/volumes/mounts.h"
#include "agent/kubelet/volumes/payload.h"
#include "agent/kubelet/volumes/subpath.h"
#include "agent/kubelet/volumes/tree.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
        if (!holds)
                abort();
}

static const char *none(void *userdata, const char *name, size_t n, size_t *ret_len)
{
        must(!memchr(name, ')', n));
        return NULL;
}

static const char *empty(void *userdata, const char *name, size_t n, size_t *ret_len)
{
        *ret_len = 0;
        return "";
}

/* Without values only "$$" becomes shorter; with empty ones nothing grows. */
static void fuzz_expand(const char *text, struct arena *mem)
{
        must(strlen(expand(text, none, NULL, mem)) <= strlen(text));
        must(strlen(expand(text, empty, NULL, mem)) <= strlen(text));
        if (!strchr(text, '$'))
                must(str_eq(expand(text, empty, NULL, mem), text));
}

static bool has_blank(const char *s)
{
        return s[strcspn(s, " \t\n\r\v\f")] != '\0';
}

/* What is written is read back as it was. */
static void fuzz_resolv_conf(const char *text, struct arena *mem)
{
        struct resolv_conf a = RESOLV_CONF(mem), b = RESOLV_CONF(mem);

        resolv_conf_parse(text, &a);
        for (size_t i = 0; i < a.servers.n; i++)
                must(*a.servers.v[i] && !has_blank(a.servers.v[i]));
        resolv_conf_parse(resolv_conf_text(&a), &b);
        must(a.servers.n == b.servers.n && a.options.n == b.options.n);
}

static void fuzz_payload(const char *text, struct arena *mem)
{
        struct payload p = {.mem = mem, .gid = -1};
        struct err err = ERR_NULL;

        if (payload_add(&p, text, "x", 1, 0644, &err)) {
                must(*err.msg);
                return;
        }
        must(p.nfiles == 1 && *p.files[0].path != '/' && strlen(p.files[0].path) < PATH_MAX);
        must(!str_has_prefix(p.files[0].path, ".."));
        must(!strstr(p.files[0].path, "/../") && !str_has_suffix(p.files[0].path, "/.."));
}

/* A volume with links inside and out; beside it is a folder that nothing may reach. Made once, removed at the end. */
static char root_path[] = "/tmp/fairlead-fuzz.XXXXXX";
static const char *const links[][2] = {{"../outside", "u"}, {"/", "r"}, {".", "s"}, {"../v", "v"}};

static void remove_volume(void)
{
        int tmp = open("/tmp", O_RDONLY | O_DIRECTORY);

        tree_remove(tmp, root_path + strlen("/tmp/"));
        close(tmp);
}

static int volume(ino_t *ret_outside)
{
        static struct stat outside;
        static int fd = -1;

        if (fd < 0) {
                int base;

                must(mkdtemp(root_path));
                atexit(remove_volume);
                base = open(root_path, O_RDONLY | O_DIRECTORY);
                must(mkdirat(base, "outside", 0755) == 0 && mkdirat(base, "v", 0755) == 0);
                must(fstatat(base, "outside", &outside, 0) == 0);
                fd = openat(base, "v", O_RDONLY | O_DIRECTORY);
                for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                        must(symlinkat(links[i][0], fd, links[i][1]) == 0);
                close(base);
        }
        *ret_outside = outside.st_ino;
        return fd;
}

static bool is_link(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                if (str_eq(links[i][1], name))
                        return true;
        return false;
}

static void empty_volume(int root)
{
        int copy = openat(root, ".", O_RDONLY | O_DIRECTORY);
        DIR *dir = fdopendir(copy);
        struct dirent *d;

        while (dir && (d = readdir(dir)))
                if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, "..") && !is_link(d->d_name))
                        must(tree_remove(root, d->d_name) == 0);
        closedir(dir);
}

static void fuzz_sub_path(const char *text, struct arena *mem)
{
        struct err err = ERR_NULL;
        struct stat st;
        ino_t outside;
        int root = volume(&outside), fd;

        if (subpath_open(root, text, &fd, &err)) {
                must(*err.msg);
        } else {
                must(fstat(fd, &st) == 0 && st.st_ino != outside);
                close(fd);
        }
        empty_volume(root);
}

static void fuzz_mountinfo(const char *text, struct arena *mem)
{
        char *place = mountinfo_place(text, mem);

        if (place)
                must(strlen(place) <= strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const fuzz[])(const char *text, struct arena *mem) = {
                fuzz_expand, fuzz_resolv_conf, fuzz_payload, fuzz_sub_path, fuzz_mountinfo,
        };
        struct arena mem = ARENA_NULL;
        char *text;

        if (!size)
                return 0;
        text = mem_strndup((const char *)data + 1, size - 1);
        fuzz[data[0] % ARRAY_SIZE(fuzz)](text, &mem);
        free(text);
        arena_deinit(&mem);
        return 0;
}
