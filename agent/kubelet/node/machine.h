/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine is and has: read once for what never changes, at will for memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/kubelet/runtime/builtin/cgroup.h"

#define HUGEPAGE_SIZES_MAX 8

struct hugepages {
        uint64_t page_bytes, bytes; /* of one page; of all of that size */
};

struct machine {
        /* What the node may use: of the machine, or less when its group is limited. */
        uint64_t milli_cpus, memory_bytes;
        uint64_t swap_bytes;
        struct hugepages hugepages[HUGEPAGE_SIZES_MAX]; /* the smallest pages first */
        size_t nhugepages;
        char machine_id[64], system_uuid[64], boot_id[64];
        char kernel[128], os_image[128];
        const char *arch; /* as Go names it: "amd64" */
};

/* group: where kubepods is ("" for the root), whose limits and those above it count. What cannot be read is left empty.
 */
void machine_read(const struct cgroups *cg, const char *group, struct machine *ret);

/* Bytes of a line "NAME:  123 kB" of /proc/meminfo; 0 when there is none. */
uint64_t meminfo_bytes(const char *meminfo, const char *name);

struct memory_state {
        uint64_t total, used, working_set, available;
};

/* As of now, by /proc/meminfo and, where it is limited, by the group: the smaller room counts. working_set is what is
 * used but for file pages that the kernel may drop at once; available is total without it. */
void memory_read(const struct cgroups *cg, const char *group, struct memory_state *ret);

/* How many processors a list as "0-3,8" names; 0: it is none. */
uint32_t cpu_list_count(const char *list);
/* "PRETTY_NAME" of an os-release file's text. */
void os_release_name(const char *text, char *ret, size_t size);
