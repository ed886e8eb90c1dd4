/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "base/str.h"
#include "bpf/abi/maps.h"
#include "datapath/clsact.h"
#include "datapath/pinned.h"
#include "datapath/pins.h"
#include "datapath/tcx.h"

/* ---- attachments */

struct visit {
        int (*fn)(void *userdata, const struct pinned_hook *hook);
        void *userdata;
};

static enum attach_mode mode_of_link(const struct pinned_hook *h)
{
        LIBBPF_OPTS(bpf_xdp_query_opts, opts);

        if (program_infos[h->program].attach != BPF_XDP)
                return ATTACH_TCX;
        if (bpf_xdp_query((int)h->ifindex, 0, &opts) == 0 && opts.attach_mode == XDP_ATTACHED_SKB)
                return ATTACH_XDP_GENERIC;
        return ATTACH_XDP_NATIVE;
}

static void query_link(const char *path, struct pinned_hook *h)
{
        _cleanup_close_ int fd = bpf_obj_get(path);
        struct bpf_link_info info = {0};
        uint32_t size = sizeof(info);

        if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
                return;
        /* A TCX link has its index where XDP's has it. */
        h->attached = h->ifindex ? info.xdp.ifindex == h->ifindex : info.cgroup.cgroup_id != 0;
}

static int visit_pin(void *userdata, const char *folder, const char *name)
{
        const struct visit *v = userdata;
        struct pin_name pin = pin_name_parse(name);
        struct pinned_hook h = {.program = pin.program, .ifindex = pin.ifindex};
        char path[PINS_PATH + 64];

        if (pin.kind == PIN_CLSACT) {
                h.mode = ATTACH_CLSACT;
                h.attached = clsact_present(pin.ifindex, program_infos[pin.program].attach == TCX_EGRESS);
        } else if (pin.kind == PIN_DEVICE || pin.kind == PIN_CGROUP) {
                snprintf(path, sizeof(path), "%s/%s", folder, name);
                query_link(path, &h);
                h.mode = pin.kind == PIN_DEVICE ? mode_of_link(&h) : ATTACH_NONE;
        } else {
                return 0;
        }
        return v->fn(v->userdata, &h);
}

int pinned_each_hook(const char *pin_root, int (*fn)(void *userdata, const struct pinned_hook *hook), void *userdata)
{
        struct visit v = {.fn = fn, .userdata = userdata};
        char folder[PINS_PATH];

        snprintf(folder, sizeof(folder), "%.400s/v%d/links", pin_root, MAPS_VERSION);
        return pins_each(folder, visit_pin, &v);
}

/* ---- knobs */

DEFINE_CLEANUP(struct btf *, btf__free)

/* Where the variable is in the value of a map of constants; negative errno: the map has none of that name and size. */
static int64_t find_variable(const struct bpf_map_info *info, const char *name, uint32_t want)
{
        _cleanup_(btf__freep) struct btf *btf = btf__load_from_kernel_by_id(info->btf_id);
        const struct btf_type *section = btf ? btf__type_by_id(btf, info->btf_value_type_id) : NULL;

        if (!section || !btf_is_datasec(section))
                return -ENOENT;
        for (uint16_t i = 0; i < btf_vlen(section); i++) {
                const struct btf_var_secinfo *v = btf_var_secinfos(section) + i;
                const struct btf_type *t = btf__type_by_id(btf, v->type);

                if (str_eq(btf__name_by_offset(btf, t->name_off), name))
                        return v->size == want ? (int64_t)v->offset : -EPROTO;
        }
        return -ENOENT;
}

static int read_variable(uint32_t map, const char *name, void *ret, uint32_t want)
{
        _cleanup_close_ int fd = bpf_map_get_fd_by_id(map);
        _cleanup_free_ char *value = NULL;
        struct bpf_map_info info = {0};
        uint32_t size = sizeof(info), zero = 0;
        int64_t at;
        int r = fd < 0 ? fd : bpf_obj_get_info_by_fd(fd, &info, &size);

        if (r)
                return r;
        if (!info.btf_id || !strstr(info.name, ".rodata"))
                return -ENOENT;
        at = find_variable(&info, name, want);
        if (at < 0)
                return (int)at;
        value = mem_alloc(info.value_size);
        r = bpf_map_lookup_elem(fd, &zero, value);
        if (r == 0 && at + want <= info.value_size)
                memcpy(ret, value + at, want);
        return r;
}

#define MAPS_OF_PROGRAM 64

int pinned_knobs(const char *pin_root, struct knobs *ret)
{
        uint32_t maps[MAPS_OF_PROGRAM], size = sizeof(struct bpf_prog_info);
        struct bpf_prog_info info = {.nr_map_ids = MAPS_OF_PROGRAM, .map_ids = (uintptr_t)maps};
        char path[PINS_PATH];
        int fd, r;

        snprintf(path, sizeof(path), "%.400s/v%d/programs/from_pod", pin_root, MAPS_VERSION);
        fd = bpf_obj_get(path);
        if (fd < 0)
                return fd;
        r = bpf_obj_get_info_by_fd(fd, &info, &size);
        close(fd);
        if (r)
                return r;
        r = -ENOENT;
        for (uint32_t i = 0; r == -ENOENT && i < MIN(info.nr_map_ids, (uint32_t)MAPS_OF_PROGRAM); i++)
                r = read_variable(maps[i], "knobs", ret, sizeof(*ret));
        return r;
}

/* ---- the lock */

/* By /proc/locks: trying to take it might make an agent that starts at that moment fail. */
bool pinned_in_use(const char *pin_root)
{
        _cleanup_(fclosep) FILE *f = fopen("/proc/locks", "re");
        _cleanup_free_ char *line = NULL;
        struct stat st;
        size_t cap = 0;

        if (!f || stat(pin_root, &st))
                return false;
        while (getline(&line, &cap, f) > 0) {
                unsigned int major, minor;
                unsigned long long inode;

                if (sscanf(line, "%*s FLOCK %*s WRITE %*d %x:%x:%llu", &major, &minor, &inode) == 3 &&
                    major == major(st.st_dev) && minor == minor(st.st_dev) && inode == st.st_ino)
                        return true;
        }
        return false;
}
