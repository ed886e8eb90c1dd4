/* SPDX-License-Identifier: Apache-2.0 */
/* What the node uses and has left, from the kernel. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/kubelet/node/impl.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#define TEXT_LIMIT (1024UL * 1024)

static char *read_text(const char *path)
{
        char *text;
        size_t n;

        return file_read(path, TEXT_LIMIT, &text, &n, NULL) ? NULL : text;
}

/* "cpu  user nice system idle iowait irq softirq steal ...": what was not idle, of all processors. */
static uint64_t cpu_ns_of_machine(const char *stat)
{
        unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
        long hz = sysconf(_SC_CLK_TCK);

        if (!stat || hz <= 0 ||
            sscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
                   &softirq, &steal) != 8)
                return 0;
        return (user + nice + system + irq + softirq + steal) * (NS_PER_S / (uint64_t)hz);
}

static int64_t boot_time(const char *stat)
{
        const char *line = stat ? strstr(stat, "\nbtime ") : NULL;
        long long s;

        return line && sscanf(line + 7, "%lld", &s) == 1 ? s * (int64_t)NS_PER_S : 0;
}

static uint64_t read_number(const char *path)
{
        _cleanup_free_ char *text = read_text(path);
        uint64_t v = 0;

        if (text)
                text[strcspn(text, " \n")] = '\0';
        return text && !str_parse_u64(text, &v) ? v : 0;
}

/* "0.10 0.12 0.13 2/345 6789": running and all threads. */
static uint64_t threads(void)
{
        _cleanup_free_ char *text = read_text("/proc/loadavg");
        unsigned long long all;

        return text && sscanf(text, "%*s %*s %*s %*u/%llu", &all) == 1 ? all : 0;
}

static void read_pids(const struct node *n, struct node_usage *ret)
{
        uint64_t max = read_number("/proc/sys/kernel/pid_max"),
                 threads_max = read_number("/proc/sys/kernel/threads-max"), limit, used;

        if (threads_max)
                max = MIN(max, threads_max);
        ret->pids = threads();
        limit = group_pids_limit(n->opts.cgroups, n->opts.cgroup_root, &used);
        if (limit < max) {
                max = limit;
                ret->pids = used;
        }
        ret->max_pids = max;
}

static void read_disk(const char *folder, uint64_t *bytes, uint64_t *available, uint64_t *inodes, uint64_t *inodes_free)
{
        struct statvfs fs;

        if (!folder || statvfs(folder, &fs))
                return;
        *bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
        *available = (uint64_t)fs.f_bavail * fs.f_frsize;
        *inodes = fs.f_files;
        *inodes_free = fs.f_ffree;
}

static void add_bytes(void *userdata, const struct image *image)
{
        *(uint64_t *)userdata += image->bytes;
}

void node_usage(const struct node *n, struct node_usage *ret)
{
        _cleanup_free_ char *stat = read_text("/proc/stat");
        struct memory_state memory;

        *ret = (struct node_usage){.cpu_ns = cpu_ns_of_machine(stat), .boot_ns = boot_time(stat)};
        memory_read(n->opts.cgroups, n->opts.cgroup_root, &memory);
        ret->memory_bytes = memory.used;
        ret->working_set_bytes = memory.working_set;
        ret->memory_total = memory.total;
        ret->memory_available = memory.available;
        read_disk(n->opts.root_dir, &ret->fs_bytes, &ret->fs_available, &ret->fs_inodes, &ret->fs_inodes_free);
        read_disk(n->opts.image_dir, &ret->image_fs_bytes, &ret->image_fs_available, &ret->image_fs_inodes,
                  &ret->image_fs_inodes_free);
        read_pids(n, ret);
        if (n->opts.images)
                images_each(n->opts.images, add_bytes, &ret->image_bytes);
}
