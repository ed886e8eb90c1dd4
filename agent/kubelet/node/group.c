/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/node/group.h"
#include "agent/kubelet/node/machine.h"
#include "base/file.h"
#include "base/str.h"

#define DEPTH_MAX 8 /* of groups that a container makes itself */

static const char *root_of(const struct cgroups *cg, enum cgroup_controller controller)
{
        return cg->in_v2[controller] ? cg->v2 : cg->v1[controller];
}

static char *read_of(const char *root, const char *group, const char *file)
{
        char path[CGROUP_PATH_MAX + 64], *text;
        size_t n;

        snprintf(path, sizeof(path), "%s/%s/%s", root, group, file);
        if (!*root || file_read(path, 65536, &text, &n, NULL))
                return NULL;
        text[strcspn(text, "\n")] = '\0';
        return text;
}

typedef uint64_t (*limit_fn)(const char *root, bool v2, const char *group);

/* The smallest of the group's and of those above it. */
static uint64_t smallest(const struct cgroups *cg, enum cgroup_controller controller, const char *group, limit_fn fn)
{
        const char *root = root_of(cg, controller);
        uint64_t limit = UINT64_MAX, one;
        char path[CGROUP_PATH_MAX];
        char *slash;

        str_copy(path, sizeof(path), group);
        for (;;) {
                one = fn(root, cg->in_v2[controller], path);
                limit = MIN(limit, one);
                if (!*path)
                        return limit;
                slash = strrchr(path, '/');
                *(slash ? slash : path) = '\0';
        }
}

static uint64_t memory_limit(const char *root, bool v2, const char *group)
{
        _cleanup_free_ char *text = read_of(root, group, v2 ? "memory.max" : "memory.limit_in_bytes");
        uint64_t bytes;

        return text && !str_parse_u64(text, &bytes) ? bytes : UINT64_MAX;
}

uint64_t group_memory_limit(const struct cgroups *cg, const char *group)
{
        return smallest(cg, CGROUP_MEMORY, group, memory_limit);
}

static uint64_t quota(const char *root, bool v2, const char *group)
{
        _cleanup_free_ char *text = read_of(root, group, v2 ? "cpu.max" : "cpu.cfs_quota_us");
        _cleanup_free_ char *period_text = v2 ? NULL : read_of(root, group, "cpu.cfs_period_us");
        unsigned long long us, period = 0;

        if (!text || sscanf(text, "%llu %llu", &us, &period) < 1 || *text == '-') /* "max", -1 */
                return UINT64_MAX;
        if (period_text && sscanf(period_text, "%llu", &period) != 1)
                return UINT64_MAX;
        return period ? us * 1000 / period : UINT64_MAX;
}

static uint64_t set_of_cpus(const char *root, bool v2, const char *group)
{
        _cleanup_free_ char *text = read_of(root, group, v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus");
        uint32_t n = text ? cpu_list_count(text) : 0;

        return n ? n * 1000ULL : UINT64_MAX;
}

uint64_t group_milli_cpus(const struct cgroups *cg, const char *group)
{
        uint64_t by_quota = smallest(cg, CGROUP_CPU, group, quota);
        uint64_t by_set = smallest(cg, CGROUP_CPUSET, group, set_of_cpus);

        return MIN(by_quota, by_set);
}

static uint64_t inactive_file(const char *root, bool v2, const char *group)
{
        const char *key = v2 ? "inactive_file " : "total_inactive_file ";
        char path[CGROUP_PATH_MAX + 64];
        _cleanup_free_ char *text = NULL;
        struct str_span line;
        unsigned long long bytes;
        size_t n;

        snprintf(path, sizeof(path), "%s/%s/memory.stat", root, group);
        if (file_read(path, 65536, &text, &n, NULL))
                return 0;
        for (const char *rest = text; str_split(&rest, '\n', &line);)
                if (line.n > strlen(key) && memcmp(line.s, key, strlen(key)) == 0 &&
                    sscanf(line.s + strlen(key), "%llu", &bytes) == 1)
                        return bytes;
        return 0;
}

int group_memory(const struct cgroups *cg, const char *group, uint64_t *ret_used, uint64_t *ret_working_set)
{
        const char *root = root_of(cg, CGROUP_MEMORY);
        bool v2 = cg->in_v2[CGROUP_MEMORY];
        _cleanup_free_ char *text = read_of(root, group, v2 ? "memory.current" : "memory.usage_in_bytes");
        uint64_t used, idle;

        if (!text || str_parse_u64(text, &used))
                return -ENOENT;
        idle = inactive_file(root, v2, group);
        *ret_used = used;
        *ret_working_set = used - MIN(idle, used);
        return 0;
}

uint64_t group_pids_limit(const struct cgroups *cg, const char *group, uint64_t *ret_used)
{
        const char *root = root_of(cg, CGROUP_PIDS);
        _cleanup_free_ char *max = read_of(root, group, "pids.max"), *current = read_of(root, group, "pids.current");
        uint64_t limit;

        if (!max || !current || str_parse_u64(max, &limit) || str_parse_u64(current, ret_used))
                return UINT64_MAX;
        return limit;
}

static uint64_t count_lines(const char *path)
{
        _cleanup_free_ char *text = NULL;
        uint64_t lines = 0;
        size_t n;

        if (file_read(path, 1024UL * 1024, &text, &n, NULL))
                return 0;
        for (size_t i = 0; i < n; i++)
                lines += text[i] == '\n';
        return lines;
}

static uint64_t count_below(const char *path, int depth)
{
        char below[CGROUP_PATH_MAX];
        DIR *dir = opendir(path);
        struct dirent *e;
        uint64_t sum = 0;

        if (!dir)
                return 0;
        snprintf(below, sizeof(below), "%s/cgroup.procs", path);
        sum = count_lines(below);
        while (depth < DEPTH_MAX && (e = readdir(dir)))
                if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
                    snprintf(below, sizeof(below), "%s/%s", path, e->d_name) < (int)sizeof(below))
                        sum += count_below(below, depth + 1);
        closedir(dir);
        return sum;
}

uint64_t group_count_processes(const struct cgroups *cg, const char *group)
{
        char path[CGROUP_PATH_MAX];

        cgroup_path(cg, group, path);
        return count_below(path, 0);
}
