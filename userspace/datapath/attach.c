/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/attach.h"
#include "datapath/cgroup.h"
#include "datapath/clsact.h"
#include "datapath/expedite.h"
#include "datapath/tcx.h"

void attacher_init(struct attacher *a, const char *root, const char *folder, const struct program *programs)
{
        *a = (struct attacher){.programs = programs};
        str_copy(a->root, sizeof(a->root), root);
        str_copy(a->folder, sizeof(a->folder), folder);
        hashmap_init(&a->devices, HASHMAP_U64);
        for (int i = 0; i < PROGRAM_COUNT; i++)
                a->cgroup_links[i] = -1;
}

static void close_link(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static void device_free(struct device *d)
{
        for (int i = 0; i < PROGRAM_COUNT; i++)
                close_link(&d->hooks[i].link);
        free(d);
}

void attacher_deinit(struct attacher *a)
{
        hashmap_foreach (&a->devices, slot)
                device_free(slot->value);
        hashmap_deinit(&a->devices);
        for (int i = 0; i < PROGRAM_COUNT; i++)
                close_link(&a->cgroup_links[i]);
}

static struct device *device_get(struct attacher *a, uint32_t ifindex)
{
        struct device *d = hashmap_get_u64(&a->devices, ifindex);

        if (d)
                return d;
        d = mem_new(struct device);
        d->ifindex = ifindex;
        for (int i = 0; i < PROGRAM_COUNT; i++)
                d->hooks[i].link = -1;
        hashmap_put_u64(&a->devices, ifindex, d);
        return d;
}

/* ---- pins */

struct pin_path {
        char text[PINS_PATH + 64];
};

static struct pin_path cgroup_pin(const struct attacher *a, enum program_id p)
{
        struct pin_path path;

        snprintf(path.text, sizeof(path.text), "%s/%s_cgroup", a->folder, program_infos[p].name);
        return path;
}

static struct pin_path device_pin(const struct attacher *a, enum program_id p, uint32_t ifindex, enum attach_mode mode)
{
        struct pin_path path;

        snprintf(path.text, sizeof(path.text), "%s/%s_%u%s", a->folder, program_infos[p].name, ifindex,
                 mode == ATTACH_CLSACT ? "_clsact" : "");
        return path;
}

static struct pin_path qdisc_pin(const struct attacher *a, uint32_t ifindex)
{
        struct pin_path path;

        snprintf(path.text, sizeof(path.text), "%s/clsact_%u", a->folder, ifindex);
        return path;
}

static bool is_there(const struct pin_path *pin)
{
        return access(pin->text, F_OK) == 0;
}

/* ---- links: what the kernel says of one */

struct link_state {
        uint32_t program; /* id */
        uint64_t target;  /* interface index or cgroup id; 0: what it was attached to is gone, or somebody has cut it */
};

static int link_query(int fd, bool device, struct link_state *ret)
{
        struct bpf_link_info info = {0};
        uint32_t size = sizeof(info);
        int r = bpf_obj_get_info_by_fd(fd, &info, &size);

        if (r)
                return r;
        /* A TCX link has its index where XDP's has it. */
        *ret = (struct link_state){.program = info.prog_id,
                                   .target = device ? info.xdp.ifindex : info.cgroup.cgroup_id};
        return 0;
}

/* Brings a living link up to date: program and pin. -ENOLINK when it is dead or of something else. */
static int link_refresh(const struct attacher *a, int fd, enum program_id p, uint64_t target,
                        const struct pin_path *pin)
{
        struct link_state state;
        int r = link_query(fd, program_infos[p].device, &state);

        if (r)
                return r;
        if (state.target != target)
                return -ENOLINK;
        if (state.program != a->programs[p].id)
                r = bpf_link_update(fd, a->programs[p].fd, NULL);
        if (r == 0 && !is_there(pin))
                r = bpf_obj_pin(fd, pin->text);
        return r;
}

static bool hook_holds(struct attacher *a, const struct device *d, enum program_id p)
{
        const struct hook_state *h = &d->hooks[p];
        struct pin_path pin = device_pin(a, p, d->ifindex, h->mode);
        struct link_state state;

        if (!is_there(&pin))
                return false;
        if (h->mode == ATTACH_CLSACT)
                return clsact_attached(d->ifindex, program_infos[p].attach == TCX_EGRESS, a->programs[p].id);
        return link_query(h->link, true, &state) == 0 && state.target == d->ifindex &&
               state.program == a->programs[p].id;
}

/* Makes a link and pins it, in the place of what is pinned there. */
static int link_make(const struct attacher *a, enum program_id p, int target, uint32_t flags,
                     const struct pin_path *pin, int *ret_fd)
{
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
        _cleanup_close_ int fd =
                bpf_link_create(a->programs[p].fd, target, (enum bpf_attach_type)program_infos[p].attach, &opts);
        int r;

        if (fd < 0)
                return fd;
        r = pins_replace(fd, pin->text);
        if (r == 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}

static void drop_hook(struct attacher *a, struct device *d, enum program_id p)
{
        struct hook_state *h = &d->hooks[p];
        struct pin_path pin = device_pin(a, p, d->ifindex, h->mode);

        if (h->mode == ATTACH_CLSACT)
                clsact_detach(d->ifindex, program_infos[p].attach == TCX_EGRESS);
        if (h->mode != ATTACH_NONE)
                unlink(pin.text);
        close_link(&h->link);
        h->mode = ATTACH_NONE;
}

/* A link's hook that is as it should be, or can be made so. False: it has to be made anew, and nothing is in its way.
 */
static bool keep_link(struct attacher *a, struct device *d, enum program_id p)
{
        struct hook_state *h = &d->hooks[p];
        struct pin_path pin = device_pin(a, p, d->ifindex, h->mode);

        if (h->link < 0)
                return false;
        if (link_refresh(a, h->link, p, d->ifindex, &pin) == 0)
                return true;
        drop_hook(a, d, p);
        return false;
}

static int set_tcx(struct attacher *a, struct device *d, enum program_id p)
{
        struct hook_state *h = &d->hooks[p], old = *h;
        struct pin_path pin = device_pin(a, p, d->ifindex, ATTACH_TCX);
        int fd, r;

        if (h->mode == ATTACH_TCX && keep_link(a, d, p))
                return 0;
        r = link_make(a, p, (int)d->ifindex, 0, &pin, &fd);
        if (r)
                return r;
        if (old.mode == ATTACH_CLSACT)
                drop_hook(a, d, p); /* only now: TCX comes first, so no packet misses both */
        *h = (struct hook_state){.mode = ATTACH_TCX, .link = fd};
        return 0;
}

static int set_clsact(struct attacher *a, struct device *d, enum program_id p)
{
        bool egress = program_infos[p].attach == TCX_EGRESS, made = false;
        struct pin_path pin = device_pin(a, p, d->ifindex, ATTACH_CLSACT), qdisc = qdisc_pin(a, d->ifindex);
        struct hook_state *h = &d->hooks[p];
        int r = 0;

        if (h->mode == ATTACH_CLSACT && is_there(&pin) && clsact_attached(d->ifindex, egress, a->programs[p].id))
                return 0;
        r = pins_replace(a->programs[p].fd, pin.text);
        if (r == 0)
                r = clsact_attach(d->ifindex, egress, a->programs[p].fd, &made);
        if (r == 0 && made)
                r = pins_replace(a->programs[p].fd, qdisc.text);
        if (r) {
                unlink(pin.text);
                return r;
        }
        if (h->mode == ATTACH_TCX)
                drop_hook(a, d, p);
        h->mode = ATTACH_CLSACT;
        return 0;
}

int attacher_set_tc(struct attacher *a, uint32_t ifindex, enum program_id p, bool tcx, struct err *reterr)
{
        struct device *d = device_get(a, ifindex);
        struct expedite expedite;
        int r;

        if (d->hooks[p].mode == (tcx ? ATTACH_TCX : ATTACH_CLSACT) && hook_holds(a, d, p))
                return 0;
        expedite_begin(&expedite, a->root, a->programs[p].fd);
        r = tcx ? set_tcx(a, d, p) : set_clsact(a, d, p);
        expedite_end(&expedite);
        return r ? err_set(reterr, r, "the program %s cannot be attached to the interface with index %u by %s: %s",
                           program_infos[p].name, ifindex, tcx ? "TCX" : "a clsact filter", strerror(-r))
                 : 0;
}

static enum attach_mode xdp_mode(uint32_t ifindex)
{
        LIBBPF_OPTS(bpf_xdp_query_opts, opts);

        if (bpf_xdp_query((int)ifindex, 0, &opts) == 0 && opts.attach_mode == XDP_ATTACHED_SKB)
                return ATTACH_XDP_GENERIC;
        return ATTACH_XDP_NATIVE;
}

static const char *xdp_reason(int r)
{
        switch (r) {
        case -EOPNOTSUPP:
                return "its driver has no native XDP";
        case -EBUSY:
        case -EEXIST:
                return "another XDP program is there";
        case -EINVAL:
        case -ERANGE:
                return "the driver refuses (MTU or offloads)";
        default:
                return strerror(-r);
        }
}

int attacher_set_xdp(struct attacher *a, uint32_t ifindex, enum program_id p, bool generic_ok,
                     enum attach_mode *ret_mode, struct err *reterr)
{
        struct device *d = device_get(a, ifindex);
        struct hook_state *h = &d->hooks[p];
        struct pin_path pin = device_pin(a, p, ifindex, ATTACH_XDP_NATIVE);
        enum attach_mode mode = ATTACH_XDP_NATIVE;
        int fd, r;

        if (keep_link(a, d, p)) {
                *ret_mode = h->mode;
                return 0;
        }
        r = link_make(a, p, (int)ifindex, XDP_FLAGS_DRV_MODE, &pin, &fd);
        if (r && r != -EBUSY && generic_ok) {
                mode = ATTACH_XDP_GENERIC;
                r = link_make(a, p, (int)ifindex, XDP_FLAGS_SKB_MODE, &pin, &fd);
        }
        if (r == -ENODEV)
                return err_set(reterr, r, "there is no interface with index %u", ifindex);
        if (r) {
                err_set(reterr, 0, "XDP cannot be attached to the interface with index %u: %s", ifindex, xdp_reason(r));
                *ret_mode = ATTACH_NONE;
                return 0;
        }
        *h = (struct hook_state){.mode = mode, .link = fd};
        *ret_mode = mode;
        return 0;
}

int attacher_set_cgroup(struct attacher *a, const char *path, enum program_id p, struct err *reterr)
{
        _cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct pin_path pin = cgroup_pin(a, p);
        int fd, r = dir < 0 ? -errno : 0;
        uint64_t id = 0;

        if (r == 0)
                r = cgroup_id(path, &id);
        if (r)
                return err_set(reterr, r, "the cgroup %s cannot be opened: %s", path, strerror(-r));
        if (a->cgroup_links[p] >= 0 && link_refresh(a, a->cgroup_links[p], p, id, &pin) == 0)
                return 0;
        r = link_make(a, p, dir, 0, &pin, &fd);
        if (r)
                return err_set(reterr, r, "the program %s cannot be attached to the cgroup %s: %s%s",
                               program_infos[p].name, path, strerror(-r),
                               r == -EINVAL || r == -EBADF ? "; it must be of cgroup v2" : "");
        close_link(&a->cgroup_links[p]); /* of another cgroup: only now, so that sockets are always served */
        a->cgroup_links[p] = fd;
        return 0;
}

void attacher_unset_cgroup(struct attacher *a, enum program_id p)
{
        struct pin_path pin = cgroup_pin(a, p);

        unlink(pin.text);
        close_link(&a->cgroup_links[p]);
}

static void remove_own_qdisc(struct attacher *a, uint32_t ifindex)
{
        struct pin_path pin = qdisc_pin(a, ifindex);

        if (!is_there(&pin))
                return;
        clsact_remove_empty(ifindex);
        unlink(pin.text);
}

void attacher_unset_hook(struct attacher *a, uint32_t ifindex, enum program_id p)
{
        struct device *d = hashmap_get_u64(&a->devices, ifindex);

        if (d)
                drop_hook(a, d, p);
}

void attacher_unset_device(struct attacher *a, uint32_t ifindex)
{
        struct device *d = hashmap_del_u64(&a->devices, ifindex);
        struct expedite expedite;

        if (!d)
                return;
        expedite_begin(&expedite, a->root, a->programs[PROGRAM_from_pod].fd);
        for (int p = 0; p < PROGRAM_COUNT; p++)
                drop_hook(a, d, p);
        expedite_end(&expedite);
        remove_own_qdisc(a, ifindex);
        device_free(d);
}

bool attacher_holds(struct attacher *a, uint32_t ifindex)
{
        struct device *d = hashmap_get_u64(&a->devices, ifindex);
        int hooks = 0;

        for (int p = 0; d && p < PROGRAM_COUNT; p++) {
                if (d->hooks[p].mode == ATTACH_NONE)
                        continue;
                if (!hook_holds(a, d, p))
                        return false;
                hooks++;
        }
        return hooks > 0;
}

bool attacher_holds_cgroup(const struct attacher *a, enum program_id p)
{
        struct pin_path pin = cgroup_pin(a, p);
        struct link_state state;

        return a->cgroup_links[p] >= 0 && link_query(a->cgroup_links[p], false, &state) == 0 && state.target != 0 &&
               is_there(&pin);
}

/* ---- adopting */

struct adoption {
        struct attacher *a;
        struct err *reterr;
        char path[PINS_PATH + 64]; /* of the present pin */
};

/* From another version's folder into ours, for which there is nothing yet. */
static int move_pin(const struct adoption *ad, const char *name)
{
        char own[PINS_PATH + 64];

        snprintf(own, sizeof(own), "%s/%s", ad->a->folder, name);
        if (str_eq(own, ad->path))
                return 0;
        return rename(ad->path, own) ? -errno : 0;
}

/* A link that lives: the new program in the place of the old one, in one step. */
static int adopt_link(struct adoption *ad, struct pin_name pin, const char *name)
{
        bool device = pin.kind == PIN_DEVICE;
        _cleanup_close_ int fd = bpf_obj_get(ad->path);
        struct link_state state = {0};
        struct hook_state *h;
        int r = fd < 0 ? fd : link_query(fd, device, &state);

        if (r == 0 && (!state.target || (device && state.target != pin.ifindex)))
                r = -ENOLINK;
        if (r == 0 && ad->a->programs[pin.program].fd < 0)
                r = -ENOLINK; /* it is not wanted any more */
        if (r == 0 && state.program != ad->a->programs[pin.program].id)
                r = bpf_link_update(fd, ad->a->programs[pin.program].fd, NULL);
        if (r == 0)
                r = move_pin(ad, name);
        if (r) {
                log_debug("not adopted", "pin=%s reason=%s", ad->path, strerror(-r));
                unlink(ad->path);
                return 0;
        }
        if (!device) {
                close_link(&ad->a->cgroup_links[pin.program]);
                ad->a->cgroup_links[pin.program] = TAKE_FD(fd);
                return 0;
        }
        h = &device_get(ad->a, pin.ifindex)->hooks[pin.program];
        close_link(&h->link);
        h->link = TAKE_FD(fd);
        h->mode = program_infos[pin.program].attach == BPF_XDP ? xdp_mode(pin.ifindex) : ATTACH_TCX;
        return 0;
}

/* The marker was there before the filter, and outlives a device whose index another one may have now: only a filter
 * that is really there is taken over. */
static int adopt_clsact(struct adoption *ad, struct pin_name pin, const char *name)
{
        struct attacher *a = ad->a;
        bool egress = program_infos[pin.program].attach == TCX_EGRESS, there = clsact_present(pin.ifindex, egress);
        struct device *d = there ? device_get(a, pin.ifindex) : NULL;

        /* TCX as well: killed while changing over. */
        if (!d || d->hooks[pin.program].mode == ATTACH_TCX || a->programs[pin.program].fd < 0 || move_pin(ad, name)) {
                if (there)
                        clsact_detach(pin.ifindex, egress);
                unlink(ad->path);
                return 0;
        }
        d->hooks[pin.program].mode = ATTACH_CLSACT;
        if (set_clsact(a, d, pin.program))
                drop_hook(a, d, pin.program);
        return 0;
}

static int adopt_qdisc(struct adoption *ad, struct pin_name pin, const char *name)
{
        device_get(ad->a, pin.ifindex); /* so that it goes when the device does */
        return move_pin(ad, name);
}

static int adopt_pin(void *userdata, const char *folder, const char *name)
{
        struct adoption *ad = userdata;
        struct pin_name pin = pin_name_parse(name);

        snprintf(ad->path, sizeof(ad->path), "%s/%s", folder, name);
        switch (pin.kind) {
        case PIN_DEVICE:
        case PIN_CGROUP:
                return adopt_link(ad, pin, name);
        case PIN_CLSACT:
                return adopt_clsact(ad, pin, name);
        case PIN_QDISC:
                return adopt_qdisc(ad, pin, name);
        case PIN_UNKNOWN:
                break;
        }
        unlink(ad->path); /* half done ("_pinning"), or of a program that there is no more */
        return 0;
}

int attacher_adopt(struct attacher *a, const char *folder, struct err *reterr)
{
        struct adoption ad = {.a = a, .reterr = reterr};
        int r = pins_each(folder, adopt_pin, &ad);

        return r ? err_set(reterr, r, "the pinned links in %s cannot be taken over: %s", folder, strerror(-r)) : 0;
}
