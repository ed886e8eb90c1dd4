/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/kubelet/node/group.h"
#include "agent/kubelet/node/machine.h"
#include "base/file.h"
#include "base/str.h"

#define TEXT_LIMIT (256UL * 1024)

/* The text of a small file without its last newline; NULL: there is none. The caller frees it. */
static char *read_text(const char *path)
{
        char *text;
        size_t n;

        if (file_read(path, TEXT_LIMIT, &text, &n, NULL))
                return NULL;
        while (n && text[n - 1] == '\n')
                text[--n] = '\0';
        return text;
}

static void read_into(const char *path, char *ret, size_t size)
{
        _cleanup_free_ char *text = read_text(path);

        if (text && !*ret)
                str_copy(ret, size, text);
}

/* ---- what it is ---- */

static const char *go_arch(const char *machine)
{
        static const char *const names[][2] = {
                {"x86_64", "amd64"}, {"aarch64", "arm64"},   {"armv7l", "arm"},
                {"armv6l", "arm"},   {"i686", "386"},        {"ppc64le", "ppc64le"},
                {"s390x", "s390x"},  {"riscv64", "riscv64"}, {"loongarch64", "loong64"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq(machine, names[i][0]))
                        return names[i][1];
        return "unknown";
}

void os_release_name(const char *text, char *ret, size_t size)
{
        struct str_span line;

        for (const char *rest = text; str_split(&rest, '\n', &line);) {
                char value[256];
                const char *s;
                size_t n;

                snprintf(value, sizeof(value), "%.*s", (int)line.n, line.s);
                s = str_after(value, "PRETTY_NAME=");
                if (!s)
                        continue;
                n = strlen(s);
                if (n >= 2 && (*s == '"' || *s == '\'') && s[n - 1] == *s) {
                        s++;
                        n -= 2;
                }
                snprintf(ret, size, "%.*s", (int)n, s);
                return;
        }
}

static void read_names(struct machine *m)
{
        _cleanup_free_ char *release = read_text("/etc/os-release");
        struct utsname uts;

        if (!release)
                release = read_text("/usr/lib/os-release");
        str_copy(m->os_image, sizeof(m->os_image), "Unknown");
        if (release)
                os_release_name(release, m->os_image, sizeof(m->os_image));
        m->arch = "unknown";
        if (!uname(&uts)) {
                str_copy(m->kernel, sizeof(m->kernel), uts.release);
                m->arch = go_arch(uts.machine);
        }
        read_into("/etc/machine-id", m->machine_id, sizeof(m->machine_id));
        read_into("/var/lib/dbus/machine-id", m->machine_id, sizeof(m->machine_id));
        read_into("/sys/class/dmi/id/product_uuid", m->system_uuid, sizeof(m->system_uuid));
        if (!*m->system_uuid)
                str_copy(m->system_uuid, sizeof(m->system_uuid), m->machine_id);
        read_into("/proc/sys/kernel/random/boot_id", m->boot_id, sizeof(m->boot_id));
}

/* ---- what it has ---- */

uint32_t cpu_list_count(const char *list)
{
        struct str_span piece;
        uint32_t count = 0;

        for (const char *rest = list; str_split(&rest, ',', &piece);) {
                unsigned int first, last;
                char text[32];
                int n;

                snprintf(text, sizeof(text), "%.*s", (int)piece.n, piece.s);
                n = sscanf(text, "%u-%u", &first, &last);
                if (n == 1)
                        count++;
                else if (n == 2 && last >= first)
                        count += last - first + 1;
        }
        return count;
}

static uint64_t read_milli_cpus(const struct cgroups *cg, const char *group)
{
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        uint64_t milli = online > 0 ? (uint64_t)online * 1000 : 1000;

        return MIN(milli, group_milli_cpus(cg, group));
}

static void add_pages(struct machine *m, const char *folder, const char *name)
{
        const char *size = str_after(name, "hugepages-");
        char path[512];
        _cleanup_free_ char *text = NULL;
        unsigned long long kib;
        uint64_t count;

        if (!size || sscanf(size, "%llukB", &kib) != 1 || m->nhugepages == HUGEPAGE_SIZES_MAX)
                return;
        snprintf(path, sizeof(path), "%s/%.64s/nr_hugepages", folder, name);
        text = read_text(path);
        if (!text || str_parse_u64(text, &count))
                return;
        m->hugepages[m->nhugepages++] = (struct hugepages){.page_bytes = kib << 10, .bytes = count * (kib << 10)};
}

static int by_size(const void *a, const void *b)
{
        const struct hugepages *x = a, *y = b;

        return x->page_bytes < y->page_bytes ? -1 : x->page_bytes > y->page_bytes;
}

static void read_hugepages(struct machine *m)
{
        static const char folder[] = "/sys/kernel/mm/hugepages";
        struct dirent *e;
        DIR *d = opendir(folder);

        while (d && (e = readdir(d)))
                add_pages(m, folder, e->d_name);
        if (d)
                closedir(d);
        qsort(m->hugepages, m->nhugepages, sizeof(*m->hugepages), by_size);
}

uint64_t meminfo_bytes(const char *meminfo, const char *name)
{
        struct str_span line;
        size_t n = strlen(name);
        unsigned long long kib;

        for (const char *rest = meminfo; str_split(&rest, '\n', &line);)
                if (line.n > n && memcmp(line.s, name, n) == 0 && line.s[n] == ':' &&
                    sscanf(line.s + n + 1, "%llu", &kib) == 1)
                        return kib << 10;
        return 0;
}

void memory_read(const struct cgroups *cg, const char *group, struct memory_state *ret)
{
        _cleanup_free_ char *meminfo = read_text("/proc/meminfo");
        uint64_t total = meminfo ? meminfo_bytes(meminfo, "MemTotal") : 0;
        uint64_t used = meminfo ? total - MIN(total, meminfo_bytes(meminfo, "MemFree")) : 0;
        uint64_t idle = meminfo ? meminfo_bytes(meminfo, "Inactive(file)") : 0;
        uint64_t available, limit = group_memory_limit(cg, group), of_group, set_of_group;

        *ret = (struct memory_state){.total = total, .used = used, .working_set = used - MIN(idle, used)};
        available = total - ret->working_set;
        if (limit < total && !group_memory(cg, group, &of_group, &set_of_group)) {
                *ret = (struct memory_state){.total = limit, .used = of_group, .working_set = set_of_group};
                available = MIN(available, limit - MIN(limit, set_of_group));
        }
        ret->available = available;
}

void machine_read(const struct cgroups *cg, const char *group, struct machine *ret)
{
        _cleanup_free_ char *meminfo = read_text("/proc/meminfo");

        *ret = (struct machine){.milli_cpus = read_milli_cpus(cg, group)};
        if (meminfo) {
                ret->memory_bytes = MIN(meminfo_bytes(meminfo, "MemTotal"), group_memory_limit(cg, group));
                ret->swap_bytes = meminfo_bytes(meminfo, "SwapTotal");
        }
        read_hugepages(ret);
        read_names(ret);
}
