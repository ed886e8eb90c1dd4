/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/cluster.h"
#include "ctl/up/groups.h"

#define PATH_SIZE  640
#define TEXT_LIMIT (1 << 20)
#define MARK       "user.fairlead.cluster" /* its value is the cluster's name */

/* ---- hierarchies */

/* All that v1 knows: a hierarchy is mounted again only by exactly the set that it has. */
static bool is_controller(struct str_span word)
{
        static const char *const all[] = {"cpu",        "cpuacct", "cpuset",  "memory", "pids",
                                          "devices",    "freezer", "net_cls", "blkio",  "net_prio",
                                          "perf_event", "hugetlb", "rdma",    "misc"};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                if (str_span_eq(word, all[i]))
                        return true;
        return false;
}

static bool is_wanted(struct str_span word)
{
        static const char *const wanted[] = {"cpu", "cpuacct", "cpuset", "memory", "pids"};

        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                if (str_span_eq(word, wanted[i]))
                        return true;
        return false;
}

/* "rw,cpu,cpuacct" -> "cpu,cpuacct"; false when nothing of it limits pods. */
static bool take_controllers(const char *options, char *ret, size_t size)
{
        struct str_span word;
        bool wanted = false;

        *ret = '\0';
        for (const char *rest = options; str_split(&rest, ',', &word);) {
                size_t used = strlen(ret);

                wanted |= is_wanted(word);
                if (is_controller(word))
                        snprintf(ret + used, size - used, "%s%.*s", used ? "," : "", (int)word.n, word.s);
        }
        return wanted;
}

/* In a cgroup namespace the mounts that were there before are rooted above it. */
static bool is_root(const char *root)
{
        return str_eq(root, "/") || str_has_prefix(root, "/..");
}

/* "31 23 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu" */
static bool parse_mount(const char *line, struct hierarchy *ret, bool *ret_v2)
{
        char root[192], type[16], options[256];
        const char *dash = strstr(line, " - ");

        if (!dash || sscanf(line, "%*s %*s %*s %191s %191s", root, ret->mount) != 2 ||
            sscanf(dash, " - %15s %*s %255s", type, options) != 2 || !is_root(root))
                return false;
        *ret_v2 = str_eq(type, "cgroup2");
        if (*ret_v2)
                ret->controllers[0] = '\0';
        return *ret_v2 ||
               (str_eq(type, "cgroup") && take_controllers(options, ret->controllers, sizeof(ret->controllers)));
}

static bool is_known(const struct hierarchies *h, const char *controllers)
{
        for (size_t i = 0; i < h->n; i++)
                if (str_eq(h->items[i].controllers, controllers))
                        return true;
        return false;
}

int hierarchies_parse(const char *mountinfo, struct hierarchies *ret, struct err *reterr)
{
        struct hierarchies h = {.n = 1}; /* the first place is that of v2 */
        struct str_span span;
        bool found = false;

        for (const char *rest = mountinfo; str_split(&rest, '\n', &span);) {
                _cleanup_free_ char *line = mem_strndup(span.s, span.n);
                struct hierarchy one;
                bool v2;

                if (!parse_mount(line, &one, &v2))
                        continue;
                if (v2 && !found)
                        h.items[0] = one, found = true;
                else if (!v2 && h.n < GROUPS_MAX && !is_known(&h, one.controllers))
                        h.items[h.n++] = one;
        }
        if (!found)
                return err_set(reterr, -ENOENT,
                               "cgroup v2 is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup (beside v1: "
                               "/sys/fs/cgroup/unified)");
        *ret = h;
        return 0;
}

int hierarchies_find(struct hierarchies *ret, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        int r = file_read("/proc/self/mountinfo", TEXT_LIMIT, &text, NULL, reterr);

        return r ? r : hierarchies_parse(text, ret, reterr);
}

/* ---- files of a group */

static int put(const char *group, const char *file, const char *text)
{
        char path[PATH_SIZE + 32];
        _cleanup_close_ int fd = -1;

        snprintf(path, sizeof(path), "%s/%s", group, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static char *get(const char *group, const char *file)
{
        char path[PATH_SIZE + 32];
        char *text = NULL;

        snprintf(path, sizeof(path), "%s/%s", group, file);
        file_read(path, TEXT_LIMIT, &text, NULL, NULL);
        return text;
}

/* What the group below may limit by: each for itself, because a kernel may lack one. */
static void pass_down(const char *group)
{
        static const char *const controllers[] = {"+cpu", "+cpuset", "+memory", "+pids"};

        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
                put(group, "cgroup.subtree_control", controllers[i]);
}

/* A v1 cpuset is born empty and takes no process before it is given what its parent has. */
static void inherit_cpuset(const char *above, const char *group)
{
        static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *own = get(group, files[i]), *theirs = get(above, files[i]);

                if (theirs && (!own || !own[strspn(own, " \n")]))
                        put(group, files[i], theirs);
        }
}

static int make_one(const struct hierarchy *h, const char *above, const char *group)
{
        if (!*h->controllers)
                pass_down(above);
        if (mkdir(group, 0755) && errno != EEXIST)
                return -errno;
        if (strstr(h->controllers, "cpuset"))
                inherit_cpuset(above, group);
        return 0;
}

static int make_path(const struct hierarchy *h, const char *path)
{
        char above[PATH_SIZE], group[PATH_SIZE];
        struct str_span word;
        int r = 0;

        str_copy(group, sizeof(group), h->mount);
        for (const char *rest = path; !r && str_split(&rest, '/', &word);) {
                size_t used = strlen(group);

                str_copy(above, sizeof(above), group);
                snprintf(group + used, sizeof(group) - used, "/%.*s", (int)word.n, word.s);
                r = make_one(h, above, group);
        }
        return r;
}

/* The v2 group of the cluster that a machine's group is of. The caller frees it. */
static char *cluster_group(const struct hierarchies *h, const char *path)
{
        return mem_printf("%s/%.*s", h->items[0].mount, (int)strcspn(path, "/"), path);
}

static int mark(const struct hierarchies *h, const char *path, struct err *reterr)
{
        _cleanup_free_ char *group = cluster_group(h, path);
        const char *name = strrchr(group, '/') + 1;

        if (setxattr(group, MARK, name, strlen(name), 0))
                return err_set(reterr, -errno, "the cgroup %s cannot be marked as fairctl's: %s", group,
                               strerror(errno));
        return 0;
}

int groups_make(const struct hierarchies *h, const char *path, struct err *reterr)
{
        for (size_t i = 0; i < h->n; i++) {
                int r = make_path(&h->items[i], path);

                if (r)
                        return err_set(reterr, r, "the cgroup %s/%s cannot be made: %s", h->items[i].mount, path,
                                       strerror(-r));
        }
        return mark(h, path, reterr);
}

int groups_enter(const struct hierarchies *h, const char *path, struct err *reterr)
{
        for (size_t i = 0; i < h->n; i++) {
                char group[PATH_SIZE];
                int r;

                snprintf(group, sizeof(group), "%s/%s", h->items[i].mount, path);
                r = put(group, "cgroup.procs", "0");
                if (r)
                        return err_set(reterr, r, "the cgroup %s cannot be entered: %s", group, strerror(-r));
        }
        return 0;
}

/* ---- the end */

static size_t count_lines(const char *group)
{
        _cleanup_free_ char *procs = get(group, "cgroup.procs");
        size_t n = 0;

        for (const char *p = procs; p && *p; p++)
                n += *p == '\n';
        return n;
}

/* Calls fn with each group below, children first, then with the group itself. */
static void walk(const char *group, void (*fn)(void *userdata, const char *group), void *userdata)
{
        DIR *dir = opendir(group);
        struct dirent *e;

        while (dir && (e = readdir(dir)))
                if (e->d_type == DT_DIR && e->d_name[0] != '.') {
                        _cleanup_free_ char *below = mem_printf("%s/%s", group, e->d_name);

                        walk(below, fn, userdata);
                }
        if (!dir)
                return;
        closedir(dir);
        fn(userdata, group);
}

static void add_processes(void *userdata, const char *group)
{
        *(size_t *)userdata += count_lines(group);
}

static void remove_one(void *userdata, const char *group)
{
        if (rmdir(group) == 0)
                ++*(size_t *)userdata;
}

size_t groups_processes(const struct hierarchies *h, const char *path)
{
        _cleanup_free_ char *group = mem_printf("%s/%s", h->items[0].mount, path);
        size_t n = 0;

        walk(group, add_processes, &n);
        return n;
}

bool groups_are_ours(const struct hierarchies *h, const char *path)
{
        _cleanup_free_ char *group = cluster_group(h, path);
        const char *name = strrchr(group, '/') + 1;
        char value[64];
        ssize_t n = getxattr(group, MARK, value, sizeof(value));

        if (n >= 0)
                return (size_t)n == strlen(name) && !memcmp(value, name, (size_t)n);
        /* One that was just made when its maker died has no mark, and nobody in it. */
        return groups_processes(h, name) == 0;
}

struct each_process {
        void (*fn)(void *userdata, const char *pid);
        void *userdata;
};

static void tell_processes(void *userdata, const char *group)
{
        const struct each_process *e = userdata;
        _cleanup_free_ char *procs = get(group, "cgroup.procs");
        struct str_span line;

        for (const char *rest = procs; rest && str_split(&rest, '\n', &line);)
                if (line.n) {
                        _cleanup_free_ char *pid = mem_strndup(line.s, line.n);

                        e->fn(e->userdata, pid);
                }
}

void groups_each_process(const struct hierarchies *h, const char *path, void (*fn)(void *userdata, const char *pid),
                         void *userdata)
{
        _cleanup_free_ char *group = mem_printf("%s/%s", h->items[0].mount, path);
        struct each_process e = {fn, userdata};

        walk(group, tell_processes, &e);
}

int groups_remove(const struct hierarchies *h, const char *path, unsigned patience_ms, struct groups_end *ret,
                  struct err *reterr)
{
        uint64_t end = clock_mono_ms() + patience_ms;
        _cleanup_free_ char *v2 = mem_printf("%s/%s", h->items[0].mount, path);

        if (!groups_are_ours(h, path))
                return err_set(reterr, -EPERM, "the cgroup %s was not made by fairctl: it is left alone", v2);
        ret->processes += groups_processes(h, path);
        for (;;) {
                bool left = false;

                put(v2, "cgroup.kill", "1");
                for (size_t i = 0; i < h->n; i++) {
                        _cleanup_free_ char *group = mem_printf("%s/%s", h->items[i].mount, path);

                        walk(group, remove_one, &ret->groups);
                        left |= access(group, F_OK) == 0;
                }
                if (!left)
                        return 0;
                if (clock_mono_ms() > end)
                        return err_set(reterr, -EBUSY, "the cgroup %s cannot be removed: %zu processes do not end", v2,
                                       groups_processes(h, path));
                usleep(2000);
        }
}

bool groups_exist(const struct hierarchies *h, const char *path)
{
        bool found = false;

        for (size_t i = 0; !found && i < h->n; i++) {
                _cleanup_free_ char *group = mem_printf("%s/%s", h->items[i].mount, path);

                found = access(group, F_OK) == 0;
        }
        return found;
}

int groups_each(const struct hierarchies *h, int (*fn)(void *userdata, const char *name), void *userdata)
{
        DIR *dir = opendir(h->items[0].mount);
        struct dirent *e;
        int r = 0;

        while (dir && !r && (e = readdir(dir))) {
                const char *name = str_after(e->d_name, CLUSTER_GROUP);

                if (name && !cluster_name_error(name) && groups_are_ours(h, e->d_name))
                        r = fn(userdata, name);
        }
        if (dir)
                closedir(dir);
        return r;
}
