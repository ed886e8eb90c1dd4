/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/runtime/builtin/cni_conf.h"
#include "agent/kubelet/runtime/builtin/network_conf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define FILE_MAX (1024 * 1024)
/* Two changes in one tick of the kernel's clock carry one time: what is as young as this is read again. */
#define SETTLED_NS (50 * NS_PER_MS)

void pod_network_conf_init(struct pod_network_conf *c, const char *folder)
{
        *c = (struct pod_network_conf){.folder = folder};
}

void pod_network_conf_deinit(struct pod_network_conf *c)
{
        json_object_put(TAKE_PTR(c->list));
        free(TAKE_PTR(c->path));
}

static bool is_conf(const char *name)
{
        return name[0] != '.' &&
               (str_has_suffix(name, ".conflist") || str_has_suffix(name, ".conf") || str_has_suffix(name, ".json"));
}

/* The path of the first one by name, or NULL. */
static char *first_of(const char *folder)
{
        _cleanup_free_ char *best = NULL;
        DIR *dir = opendir(folder);
        struct dirent *e;

        while (dir && (e = readdir(dir)))
                if (is_conf(e->d_name) && (!best || strcmp(e->d_name, best) < 0)) {
                        free(best);
                        best = mem_strdup(e->d_name);
                }
        if (dir)
                closedir(dir);
        return best ? mem_printf("%s/%s", folder, best) : NULL;
}

static bool same(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool is_old(const struct stat *st)
{
        return st->st_mtim.tv_sec * (int64_t)NS_PER_S + st->st_mtim.tv_nsec + (int64_t)SETTLED_NS < clock_wall_ns();
}

static struct stat look(const char *path)
{
        struct stat st = {0};

        return path && stat(path, &st) == 0 ? st : (struct stat){0};
}

static bool unchanged(const struct pod_network_conf *c)
{
        struct stat folder = look(c->folder), file = look(c->path);

        return c->settled && same(&folder, &c->seen_folder) && same(&file, &c->seen_file);
}

static int load(struct pod_network_conf *c, struct json_object **ret, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        if (!c->path)
                return err_set(reterr, -ENOENT, "no CNI configuration in %s", c->folder);
        r = file_read(c->path, FILE_MAX, &text, &n, reterr);
        if (r)
                return r;
        r = cni_list_parse(text, n, ret, reterr);
        return r ? err_prefix(reterr, r, "%s", c->path) : 0;
}

struct json_object *pod_network_conf_get(struct pod_network_conf *c)
{
        _cleanup_json_ struct json_object *list = NULL;
        struct err err = ERR_NULL;

        if (unchanged(c))
                return c->list;
        c->seen_folder = look(c->folder);
        free(c->path);
        c->path = first_of(c->folder);
        c->seen_file = look(c->path);
        c->settled = is_old(&c->seen_folder) && is_old(&c->seen_file);
        c->problem[0] = '\0';
        if (load(c, &list, &err))
                snprintf(c->problem, sizeof(c->problem), "%.*s", (int)sizeof(c->problem) - 1, err.msg);
        if (!json_equal(list, c->list))
                c->generation++;
        json_object_put(c->list);
        c->list = TAKE_PTR(list);
        return c->list;
}
