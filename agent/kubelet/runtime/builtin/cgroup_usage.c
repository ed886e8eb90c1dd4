/* SPDX-License-Identifier: Apache-2.0 */
/* What a group uses. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/cgroup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

static int read_text(const char *root, const char *path, const char *file, char **ret)
{
        char name[CGROUP_PATH_MAX + 64];
        size_t n;

        snprintf(name, sizeof(name), "%s/%s/%s", root, path, file);
        return file_read(name, 1024 * 1024, ret, &n, NULL);
}

/* The number behind "key " at the beginning of a line. */
static bool figure(const char *text, const char *key, uint64_t *ret)
{
        struct str_span line;
        size_t n = strlen(key);
        unsigned long long v;

        for (const char *rest = text; str_split(&rest, '\n', &line);)
                if (line.n > n && memcmp(line.s, key, n) == 0 && line.s[n] == ' ' &&
                    sscanf(line.s + n, "%llu", &v) == 1) {
                        *ret = v;
                        return true;
                }
        return false;
}

static uint64_t resident_of(const char *pid)
{
        unsigned long long size, resident, shared;
        _cleanup_free_ char *text = NULL;
        char name[64];
        size_t n;

        snprintf(name, sizeof(name), "/proc/%s/statm", pid);
        if (file_read(name, 4096, &text, &n, NULL) || sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3)
                return 0;
        return (resident - MIN(shared, resident)) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t resident_of_all(const char *procs)
{
        struct str_span piece;
        uint64_t sum = 0;
        char pid[32];

        for (const char *rest = procs; str_split(&rest, '\n', &piece);) {
                snprintf(pid, sizeof(pid), "%.*s", (int)piece.n, piece.s);
                sum += piece.n ? resident_of(pid) : 0;
        }
        return sum;
}

/* Memory, and without what the kernel could drop at once: the definition of the working set. */
static bool from_controller(const struct cgroups *cg, const char *path, uint64_t *memory, uint64_t *working_set)
{
        bool v2 = cg->in_v2[CGROUP_MEMORY];
        const char *root = v2 ? cg->v2 : cg->v1[CGROUP_MEMORY];
        _cleanup_free_ char *current = NULL, *stat = NULL;
        uint64_t inactive = 0;

        if (!*root || read_text(root, path, v2 ? "memory.current" : "memory.usage_in_bytes", &current) ||
            read_text(root, path, "memory.stat", &stat))
                return false;
        current[strcspn(current, "\n")] = '\0';
        if (str_parse_u64(current, memory))
                return false;
        figure(stat, v2 ? "inactive_file" : "total_inactive_file", &inactive);
        *working_set = *memory - MIN(inactive, *memory);
        return true;
}

int cgroup_usage(const struct cgroups *cg, const char *path, uint64_t *ret_cpu_ns, uint64_t *ret_memory,
                 uint64_t *ret_working_set)
{
        _cleanup_free_ char *cpu = NULL, *procs = NULL;
        uint64_t us, memory = 0, working_set = 0;

        if (read_text(cg->v2, path, "cpu.stat", &cpu) || !figure(cpu, "usage_usec", &us))
                return -ENOENT;
        if (!from_controller(cg, path, &memory, &working_set)) {
                if (read_text(cg->v2, path, "cgroup.procs", &procs))
                        return -ENOENT;
                memory = working_set = resident_of_all(procs);
        }
        *ret_cpu_ns = us * NS_PER_US;
        *ret_memory = memory;
        *ret_working_set = working_set;
        return 0;
}
