/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/cgroup.h"
#include "base/file.h"
#include "base/str.h"

static const char *const controllers[] = {
        [CGROUP_CPU] = "cpu", [CGROUP_CPUSET] = "cpuset", [CGROUP_MEMORY] = "memory", [CGROUP_PIDS] = "pids"};

static bool has_word(const char *list, char separator, const char *word)
{
        struct str_span piece;

        for (const char *rest = list; str_split(&rest, separator, &piece);)
                if (str_span_eq(piece, word))
                        return true;
        return false;
}

/* "31 23 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu" */
static void take_mount(struct cgroups *cg, const char *line)
{
        char point[256], type[16], options[256];
        const char *dash = strstr(line, " - ");

        if (!dash || sscanf(line, "%*s %*s %*s %*s %255s", point) != 1 ||
            sscanf(dash, " - %15s %*s %255s", type, options) != 2)
                return;
        if (str_eq(type, "cgroup2"))
                str_copy(cg->v2, sizeof(cg->v2), point);
        for (size_t i = 0; str_eq(type, "cgroup") && i < CGROUP_CONTROLLERS; i++)
                if (has_word(options, ',', controllers[i]))
                        str_copy(cg->v1[i], sizeof(cg->v1[i]), point);
}

static void find_v2_controllers(struct cgroups *cg)
{
        char path[CGROUP_PATH_MAX];
        _cleanup_free_ char *text = NULL;
        size_t n;

        snprintf(path, sizeof(path), "%s/cgroup.controllers", cg->v2);
        if (file_read(path, 4096, &text, &n, NULL))
                return;
        text[strcspn(text, "\n")] = '\0';
        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
                cg->in_v2[i] = !cg->v1[i][0] && has_word(text, ' ', controllers[i]);
}

int cgroups_find(const char *mountinfo, struct cgroups *ret, struct err *reterr)
{
        struct cgroups cg = {0};
        struct str_span piece;
        char line[1024];

        for (const char *rest = mountinfo; str_split(&rest, '\n', &piece);)
                if (piece.n < sizeof(line)) {
                        memcpy(line, piece.s, piece.n);
                        line[piece.n] = '\0';
                        take_mount(&cg, line);
                }
        if (!cg.v2[0])
                return err_set(reterr, -ENOENT,
                               "no cgroup v2 hierarchy is mounted: mount it at /sys/fs/cgroup (or, beside v1, at "
                               "/sys/fs/cgroup/unified)");
        find_v2_controllers(&cg);
        *ret = cg;
        return 0;
}

bool cgroups_hybrid(const struct cgroups *cg)
{
        return !str_eq(cg->v2, "/sys/fs/cgroup");
}

void cgroup_path(const struct cgroups *cg, const char *path, char ret[static CGROUP_PATH_MAX])
{
        snprintf(ret, CGROUP_PATH_MAX, "%s/%s", cg->v2, path);
}

static int put(const char *root, const char *path, const char *file, const char *text)
{
        char name[CGROUP_PATH_MAX + 64];
        _cleanup_close_ int fd = -1;

        snprintf(name, sizeof(name), "%s/%s/%s", root, path, file);
        fd = open(name, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int get(const char *root, const char *path, const char *file, char **ret)
{
        char name[CGROUP_PATH_MAX + 64];
        size_t n;

        snprintf(name, sizeof(name), "%s/%s/%s", root, path, file);
        return file_read(name, 1024 * 1024, ret, &n, NULL);
}

static void pass_down(const struct cgroups *cg, const char *path)
{
        char text[32];

        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
                if (cg->in_v2[i]) {
                        snprintf(text, sizeof(text), "+%s", controllers[i]);
                        put(cg->v2, path, "cgroup.subtree_control", text);
                }
}

/* Calls fn for each proper prefix of the path, the outermost first: "a/b/c": "", "a", "a/b". */
static int each_above(const struct cgroups *cg, const char *root, const char *path,
                      int (*fn)(const struct cgroups *cg, const char *root, const char *above, const char *group))
{
        char above[CGROUP_PATH_MAX] = "", group[CGROUP_PATH_MAX];
        const char *end = path;
        int r = 0;

        if (strlen(path) >= sizeof(group))
                return -ENAMETOOLONG;
        for (const char *at = path; !r && *end; at = end + 1) {
                end = strchrnul(at, '/');
                str_copy(above, sizeof(above), at == path ? "" : group);
                memcpy(group, path, (size_t)(end - path));
                group[end - path] = '\0';
                r = fn(cg, root, above, group);
        }
        return r;
}

static int make_one(const struct cgroups *cg, const char *root, const char *above, const char *group)
{
        char name[CGROUP_PATH_MAX + 8];

        if (root == cg->v2)
                pass_down(cg, above);
        snprintf(name, sizeof(name), "%s/%s", root, group);
        return mkdir(name, 0755) && errno != EEXIST ? -errno : 0;
}

int cgroup_make(const struct cgroups *cg, const char *path, struct err *reterr)
{
        int r = each_above(cg, cg->v2, path, make_one);

        return r ? err_set(reterr, r, "cannot make the group %s/%s: %s", cg->v2, path, strerror(-r)) : 0;
}

/* A v1 cpuset is born empty and takes no process before it is given what its parent has. */
static int inherit_cpuset(const struct cgroups *cg, const char *root, const char *above, const char *group)
{
        static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
        int r = make_one(cg, root, above, group);

        for (size_t i = 0; !r && i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *own = NULL, *theirs = NULL;

                if (!get(root, group, files[i], &own) && own[strspn(own, "\n ")])
                        continue;
                r = get(root, above, files[i], &theirs);
                if (!r)
                        r = put(root, group, files[i], theirs);
        }
        return r;
}

/* The root of the hierarchy where that controller's files are; NULL: nowhere. */
static const char *home_of(const struct cgroups *cg, enum cgroup_controller c, const char *path, int *ret)
{
        *ret = 0;
        if (cg->in_v2[c])
                return cg->v2;
        if (!cg->v1[c][0])
                return NULL;
        *ret = each_above(cg, cg->v1[c], path, c == CGROUP_CPUSET ? inherit_cpuset : make_one);
        return cg->v1[c];
}

struct setting {
        enum cgroup_controller controller;
        const char *v1, *v2; /* file names; NULL: not there */
        char text_v1[64], text_v2[64];
};

/* 2..262144 shares as 1..10000 of weight, as Kubernetes converts them. */
static int64_t weight_of(int64_t shares)
{
        int64_t s = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;

        return 1 + (s - 2) * 9999 / 262142;
}

#define SETTINGS_MAX 8

static void plain(struct setting *s, enum cgroup_controller c, const char *v1, const char *v2, int64_t value)
{
        *s = (struct setting){.controller = c, .v1 = v1, .v2 = v2};
        snprintf(s->text_v1, sizeof(s->text_v1), "%lld", (long long)value);
        memcpy(s->text_v2, s->text_v1, sizeof(s->text_v2));
}

static size_t cpu_settings(const struct container_resources *res, struct setting *ret)
{
        long long period = res->cpu_period_us > 0 ? res->cpu_period_us : 100000;
        size_t n = 0;

        if (res->cpu_shares > 0) {
                plain(&ret[n], CGROUP_CPU, "cpu.shares", "cpu.weight", res->cpu_shares);
                snprintf(ret[n].text_v2, sizeof(ret[n].text_v2), "%lld", (long long)weight_of(res->cpu_shares));
                n++;
        }
        if (res->cpu_quota_us > 0) {
                plain(&ret[n++], CGROUP_CPU, "cpu.cfs_period_us", NULL, period);
                plain(&ret[n], CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max", res->cpu_quota_us);
                snprintf(ret[n].text_v2, sizeof(ret[n].text_v2), "%lld %lld", (long long)res->cpu_quota_us, period);
                n++;
        }
        return n;
}

static size_t settings_of(const struct container_resources *res, struct setting ret[SETTINGS_MAX])
{
        size_t n = cpu_settings(res, ret);

        if (!str_empty(res->cpuset)) {
                ret[n] = (struct setting){.controller = CGROUP_CPUSET, .v1 = "cpuset.cpus", .v2 = "cpuset.cpus"};
                str_copy(ret[n].text_v1, sizeof(ret[n].text_v1), res->cpuset);
                str_copy(ret[n].text_v2, sizeof(ret[n].text_v2), res->cpuset);
                n++;
        }
        if (res->memory_bytes > 0)
                plain(&ret[n++], CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", res->memory_bytes);
        if (res->swap_bytes > 0) { /* with the memory in it, as CRI has it */
                plain(&ret[n], CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max", res->swap_bytes);
                snprintf(ret[n].text_v2, sizeof(ret[n].text_v2), "%lld",
                         (long long)MAX(res->swap_bytes - MAX(res->memory_bytes, 0), 0));
                n++;
        }
        if (res->pids > 0)
                plain(&ret[n++], CGROUP_PIDS, "pids.max", "pids.max", res->pids);
        return n;
}

/* A kernel without swap accounting has no files for swap, and then nothing of it to limit. */
static bool is_swap(const struct setting *s)
{
        return strstr(s->v1, "memsw") != NULL;
}

static int apply(const struct cgroups *cg, const char *path, const struct setting *s, struct err *reterr)
{
        int r;
        const char *root = home_of(cg, s->controller, path, &r);
        bool v2 = root == cg->v2;
        const char *file = v2 ? s->v2 : s->v1;

        if (!root)
                return err_set(reterr, -EOPNOTSUPP, "this node has no %s controller of cgroups to limit it with",
                               controllers[s->controller]);
        if (!file)
                return 0;
        if (!r)
                r = put(root, path, file, v2 ? s->text_v2 : s->text_v1);
        if (r == -ENOENT && is_swap(s))
                return 0;
        return r ? err_set(reterr, r, "%s of the group %s: cannot write %s: %s", file, path,
                           v2 ? s->text_v2 : s->text_v1, strerror(-r))
                 : 0;
}

int cgroup_limit(const struct cgroups *cg, const char *path, const struct container_resources *res, struct err *reterr)
{
        struct setting settings[SETTINGS_MAX];
        size_t n = settings_of(res, settings);

        for (size_t i = 0; i < n; i++) {
                int r = apply(cg, path, &settings[i], reterr);

                if (r)
                        return r;
        }
        return 0;
}

static bool has_above(const char *root, const char *path)
{
        const char *slash = strrchr(path, '/');
        char name[CGROUP_PATH_MAX + 8];

        snprintf(name, sizeof(name), "%s/%.*s", root, slash ? (int)(slash - path) : 0, path);
        return access(name, F_OK) == 0;
}

int cgroup_join(const struct cgroups *cg, const char *path)
{
        int r = 0;

        for (int c = 0; !r && c < CGROUP_CONTROLLERS; c++)
                if (cg->v1[c][0] && has_above(cg->v1[c], path))
                        home_of(cg, (enum cgroup_controller)c, path, &r);
        return r;
}

size_t cgroup_v1_procs(const struct cgroups *cg, const char *path, char ret[static CGROUP_CONTROLLERS][CGROUP_PATH_MAX])
{
        size_t n = 0;

        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
                if (!cg->v1[i][0])
                        continue;
                snprintf(ret[n], CGROUP_PATH_MAX, "%s/%s/cgroup.procs", cg->v1[i], path);
                n += access(ret[n], F_OK) == 0;
        }
        return n;
}

void cgroup_follow(const struct cgroups *cg, const char *path)
{
        _cleanup_free_ char *procs = NULL;
        struct str_span piece;
        char pid[32];

        if (get(cg->v2, path, "cgroup.procs", &procs))
                return;
        for (const char *rest = procs; str_split(&rest, '\n', &piece);) {
                snprintf(pid, sizeof(pid), "%.*s", (int)piece.n, piece.s);
                for (size_t i = 0; piece.n && i < CGROUP_CONTROLLERS; i++)
                        if (cg->v1[i][0])
                                put(cg->v1[i], path, "cgroup.procs", pid);
        }
}

bool cgroup_oom_file(const struct cgroups *cg, const char *path, char ret[static CGROUP_PATH_MAX])
{
        if (cg->in_v2[CGROUP_MEMORY])
                snprintf(ret, CGROUP_PATH_MAX, "%s/%s/memory.events", cg->v2, path);
        else
                snprintf(ret, CGROUP_PATH_MAX, "%s/%s/memory.oom_control", cg->v1[CGROUP_MEMORY], path);
        return access(ret, F_OK) == 0;
}

void cgroup_kill(const struct cgroups *cg, const char *path)
{
        put(cg->v2, path, "cgroup.kill", "1");
}

/* Groups hold no files that could be removed, only groups. */
static int remove_below(const char *name)
{
        char child[CGROUP_PATH_MAX + 300];
        DIR *dir = opendir(name);
        struct dirent *e;

        if (!dir)
                return errno == ENOENT ? 0 : -errno;
        while ((e = readdir(dir)))
                if (e->d_type == DT_DIR && e->d_name[0] != '.') {
                        snprintf(child, sizeof(child), "%.600s/%.200s", name, e->d_name);
                        remove_below(child);
                }
        closedir(dir);
        return rmdir(name) && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const struct cgroups *cg, const char *path)
{
        char name[CGROUP_PATH_MAX + 8];
        int r = 0;

        for (size_t i = 0; i <= CGROUP_CONTROLLERS; i++) {
                const char *root = i == CGROUP_CONTROLLERS ? cg->v2 : cg->v1[i];
                int one;

                if (!*root)
                        continue;
                snprintf(name, sizeof(name), "%s/%s", root, path);
                one = remove_below(name);
                r = r ?: one;
        }
        return r;
}

void cgroup_remove_empty(const struct cgroups *cg, const char *path)
{
        char name[CGROUP_PATH_MAX + 8];

        for (size_t i = 0; i <= CGROUP_CONTROLLERS; i++) {
                const char *root = i == CGROUP_CONTROLLERS ? cg->v2 : cg->v1[i];

                snprintf(name, sizeof(name), "%s/%s", root, path);
                if (*root)
                        rmdir(name);
        }
}
