/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/cluster.h"
#include "ctl/up/groups.h"
#include "kube/names.h"

#define FILE_LIMIT 65536

const char *cluster_name_error(const char *name)
{
        if (strlen(name) >= sizeof(((struct cluster *)NULL)->name))
                return "a name has at most 23 characters";
        return name_error(NAME_DNS1123_LABEL, name)
                       ? "a name is made of a-z, 0-9 and -, and begins with a letter or digit"
                       : NULL;
}

void cluster_deinit(struct cluster *c)
{
        free(c->programs);
        free(c->folder);
        closep(&c->lock);
        *c = CLUSTER_NULL;
}

/* ---- what is in cluster.json */

static struct json_object *to_json(const struct cluster *c)
{
        struct json_object *o = json_object_new_object(), *nodes = json_object_new_array();

        json_set_str(o, "name", c->name);
        json_set_i64(o, "number", c->number);
        json_set_bool(o, "ipv4", c->v4);
        json_set_bool(o, "ipv6", c->v6);
        json_set_str(o, "routing", c->native ? "native" : "vxlan");
        json_set_i64(o, "port", c->port);
        json_set_str(o, "programs", c->programs);
        for (size_t i = 0; i < c->nnodes; i++)
                json_object_array_add(nodes, json_object_new_int64(c->nodes[i]));
        json_set(o, "nodes", nodes);
        return o;
}

static int from_json(struct cluster *c, const struct json_object *o)
{
        c->number = (unsigned)json_get_i64(o, "number", 0);
        c->v4 = json_get_bool(o, "ipv4", false);
        c->v6 = json_get_bool(o, "ipv6", false);
        c->native = str_eq(json_get_str(o, "routing"), "native");
        c->port = (uint16_t)json_get_i64(o, "port", 0);
        free(c->programs);
        c->programs = mem_strdup(json_get_str(o, "programs"));
        c->nnodes = 0;
        json_array_foreach (json_get(o, "nodes"), i, node)
                cluster_add_node(c, (unsigned)json_object_get_int64(node));
        return c->number >= 1 && c->number <= CLUSTER_NUMBERS && c->programs && (c->v4 || c->v6) ? 0 : -EINVAL;
}

int cluster_save(const struct cluster *c, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = to_json(c);
        _cleanup_free_ char *path = mem_printf("%s/cluster.json", c->folder), *text = json_text(o);

        return file_write_atomic(path, text, strlen(text), 0600, reterr);
}

struct names {
        char text[256];
};

static int add_name(void *userdata, const char *name)
{
        struct names *n = userdata;
        size_t used = strlen(n->text);

        snprintf(n->text + used, sizeof(n->text) - used, "%s%s", used ? ", " : "", name);
        return 0;
}

static int no_cluster(const char *name, struct err *reterr)
{
        struct names there = {0};

        clusters_each(add_name, &there);
        if (!*there.text)
                return err_set(reterr, CLUSTER_NONE, "there is no cluster: `fairctl up` makes one");
        return err_set(reterr, CLUSTER_NONE, "there is no cluster %s; there is: %s (say which with --name)", name,
                       there.text);
}

static int read_it(struct cluster *c, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/cluster.json", c->folder), *text = NULL;
        _cleanup_json_ struct json_object *o = NULL;
        size_t n;
        int r = file_read(path, FILE_LIMIT, &text, &n, reterr);

        if (r == -ENOENT || r == -ENOTDIR)
                return no_cluster(c->name, reterr);
        if (!r)
                r = json_parse(text, n, &o, reterr);
        if (!r)
                r = from_json(c, o);
        return r ? err_set(reterr, r, "%s cannot be understood: `fairctl down --name %s` removes the cluster", path,
                           c->name)
                 : 0;
}

static void begin(struct cluster *c, const char *name)
{
        *c = CLUSTER_NULL;
        str_copy(c->name, sizeof(c->name), name);
        c->folder = mem_printf(CLUSTERS "/%s", name);
}

int cluster_load(const char *name, struct cluster *ret, struct err *reterr)
{
        struct cluster c;
        int r;

        begin(&c, name);
        r = read_it(&c, reterr);
        if (r)
                cluster_deinit(&c);
        else
                *ret = c;
        return r;
}

/* ---- the lock */

/* Is that descriptor still the folder of that name? Whoever had the lock may have removed it. */
static bool is_there(int fd, const char *path)
{
        struct stat held, named;

        return !fstat(fd, &held) && !stat(path, &named) && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static int lock_folder(const char *path, bool make, int *ret, struct err *reterr)
{
        for (;;) {
                _cleanup_close_ int fd = -1;
                int r = make ? file_mkdirs(path, 0700, reterr) : 0;

                if (r)
                        return r;
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0 && errno == ENOENT && make) /* somebody has just taken it away */
                        continue;
                if (fd < 0 && errno == ENOENT)
                        return CLUSTER_NONE;
                if (fd < 0 || flock(fd, LOCK_EX)) {
                        r = -errno;
                        return err_set(reterr, r, "%s: cannot be locked: %s", path, strerror(-r));
                }
                if (is_there(fd, path)) {
                        *ret = TAKE_FD(fd);
                        return 0;
                }
        }
}

int cluster_lock(const char *name, bool make, struct cluster *ret, struct err *reterr)
{
        struct cluster c;
        int r;

        begin(&c, name);
        r = lock_folder(c.folder, make, &c.lock, reterr);
        if (r == CLUSTER_NONE)
                no_cluster(name, reterr);
        if (r)
                cluster_deinit(&c);
        else
                *ret = c;
        return r;
}

int cluster_take(const char *name, bool make, struct cluster *ret, struct err *reterr)
{
        struct cluster c;
        int r = cluster_lock(name, make, &c, reterr);

        if (r)
                return r;
        r = read_it(&c, reterr);
        if (r < 0 || (r && !make))
                cluster_deinit(&c);
        else
                *ret = c;
        return r;
}

/* ---- all of them */

static int each_folder(int (*fn)(void *userdata, const char *name), void *userdata)
{
        DIR *dir = opendir(CLUSTERS);
        struct dirent *e;
        int r = 0;

        while (dir && !r && (e = readdir(dir)))
                if (e->d_name[0] != '.' && !cluster_name_error(e->d_name))
                        r = fn(userdata, e->d_name);
        if (dir)
                closedir(dir);
        return r;
}

struct leftovers {
        int (*fn)(void *userdata, const char *name);
        void *userdata;
};

static int with_group_alone(void *userdata, const char *name)
{
        const struct leftovers *l = userdata;
        _cleanup_free_ char *folder = mem_printf(CLUSTERS "/%s", name);

        return access(folder, F_OK) ? l->fn(l->userdata, name) : 0;
}

int clusters_each(int (*fn)(void *userdata, const char *name), void *userdata)
{
        struct leftovers l = {fn, userdata};
        struct hierarchies h;
        int r = each_folder(fn, userdata);

        return r || hierarchies_find(&h, NULL) ? r : groups_each(&h, with_group_alone, &l);
}

struct numbers {
        const struct cluster *self;
        bool taken[CLUSTER_NUMBERS + 1];
};

static int take_number(void *userdata, const char *name)
{
        struct numbers *n = userdata;
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;

        if (!str_eq(name, n->self->name) && cluster_load(name, &c, NULL) == 0)
                n->taken[c.number] = true;
        return 0;
}

int cluster_number(struct cluster *c, struct err *reterr)
{
        _cleanup_close_ int lock = open(CLUSTERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct numbers n = {.self = c};

        if (lock < 0 || flock(lock, LOCK_EX))
                return err_set(reterr, -errno, CLUSTERS ": cannot be locked: %s", strerror(errno));
        each_folder(take_number, &n);
        for (unsigned i = 1; i <= CLUSTER_NUMBERS; i++)
                if (!n.taken[i]) {
                        c->number = i;
                        return cluster_save(c, reterr);
                }
        return err_set(reterr, -ENOSPC, "there are %d clusters already: take one down", CLUSTER_NUMBERS);
}

/* ---- nodes */

void cluster_add_node(struct cluster *c, unsigned number)
{
        if (c->nnodes < CLUSTER_NODES && number >= 1 && number <= CLUSTER_NODES && !cluster_has_node(c, number))
                c->nodes[c->nnodes++] = number;
}

void cluster_drop_node(struct cluster *c, unsigned number)
{
        size_t kept = 0;

        for (size_t i = 0; i < c->nnodes; i++)
                if (c->nodes[i] != number)
                        c->nodes[kept++] = c->nodes[i];
        c->nnodes = kept;
}

bool cluster_has_node(const struct cluster *c, unsigned number)
{
        for (size_t i = 0; i < c->nnodes; i++)
                if (c->nodes[i] == number)
                        return true;
        return false;
}
