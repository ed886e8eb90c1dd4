/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <bpf/bpf.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/adopt.h"
#include "datapath/attach.h"
#include "datapath/cgroup.h"
#include "datapath/expedite.h"
#include "datapath/map_ops.h"
#include "datapath/object.h"
#include "datapath/tables.h"

struct datapath {
        struct datapath_opts opts; /* its strings are copies */
        char root[PINS_PATH], cgroup[PINS_PATH];
        struct features features;
        struct maps maps;
        struct program programs[PROGRAM_COUNT];
        struct attacher attacher;
        int lock;
        void *flows;
};

static void version_path(const char *root, const char *what, char ret[static PINS_PATH])
{
        snprintf(ret, PINS_PATH, "%.400s/v%d%s%s", root, MAPS_VERSION, what ? "/" : "", what ? what : "");
}

static uint32_t floor_power_of_two(uint32_t n)
{
        return n ? 1U << (31 - __builtin_clz(n)) : 0;
}

static void fill_sizes(const struct datapath_opts *opts, uint32_t ret[MAP_COUNT])
{
        const struct datapath_sizes *s = &opts->sizes;

        memset(ret, 0, MAP_COUNT * sizeof(*ret));
        ret[MAP_SERVICES] = s->services;
        ret[MAP_BACKENDS] = s->backends;
        ret[MAP_SLOTS] = s->slot_lines;
        ret[MAP_ROUTES] = s->routes;
        ret[MAP_SOURCE_RANGES] = s->ranges;
        ret[MAP_AFFINITY] = s->affinity;
        ret[MAP_FRAGMENTS] = s->fragments;
        ret[MAP_SOCK_REPLIES] = s->sock_replies;
        ret[MAP_FLOWS] = ret[MAP_FLOW_MARKS] = floor_power_of_two(opts->knobs.flow_sets);
}

static void fill_knobs(struct knobs *k, const struct features *f, uint32_t flow_sets)
{
        k->hz = f->hz;
        k->host_netns = f->host_netns;
        k->flow_sets = flow_sets;
        k->flags &= ~(uint32_t)(KNOB_RETVAL | KNOB_REDIRECT_PEER | KNOB_WEAK_ORDER | KNOB_SKB);
        if (!f->cgroup_v2)
                k->flags &= ~(uint32_t)KNOB_SOCK;
        if (f->sock_retval)
                k->flags |= KNOB_RETVAL;
        if (f->kernel_ctx)
                k->flags |= KNOB_SKB;
        if (f->redirect_peer)
                k->flags |= KNOB_REDIRECT_PEER;
#if !defined(__x86_64__) && !defined(__i386__) && !defined(__s390x__)
        k->flags |= KNOB_WEAK_ORDER;
#endif
}

bool datapath_serves_sockets(const struct datapath *dp)
{
        return dp->features.cgroup_v2 && dp->opts.knobs.flags & KNOB_SOCK;
}

static uint32_t wanted_objects(const struct datapath *dp)
{
        uint32_t wanted = 1U << OBJECT_pod | 1U << OBJECT_overlay | 1U << OBJECT_uplink;

        if (dp->features.cgroup_v2)
                wanted |= 1U << OBJECT_sock;
        if (dp->features.xdp && !dp->opts.no_xdp)
                wanted |= 1U << OBJECT_edge;
        if (!datapath_serves_sockets(dp))
                wanted |= 1U << OBJECT_lo;
        return wanted;
}

/* Programs and new maps into the kernel. The flow table's size is known only when its map is. */
static int load(struct datapath *dp, struct adopter *ad, struct loader *l, struct err *reterr)
{
        uint32_t entries[MAP_COUNT];
        int fds[MAP_COUNT], r;

        for (int id = 0; id < MAP_COUNT; id++) {
                fds[id] = ad->maps[id].fd;
                entries[id] = ad->maps[id].max_entries;
        }
        if (fds[MAP_FLOWS] >= 0) {
                struct bpf_map_info info = {0};
                uint32_t size = sizeof(info);

                r = bpf_obj_get_info_by_fd(fds[MAP_FLOWS], &info, &size);
                if (r)
                        return err_set(reterr, r, "the pinned flow table cannot be asked for its size: %s",
                                       strerror(-r));
                entries[MAP_FLOWS] = entries[MAP_FLOW_MARKS] = info.max_entries;
        }
        fill_knobs(&dp->opts.knobs, &dp->features, entries[MAP_FLOWS]);
        r = loader_load(l, &dp->opts.knobs, fds, entries, dp->programs, reterr);
        for (int id = 0; id < MAP_COUNT; id++)
                ad->maps[id].fd = fds[id];
        return r;
}

static int pin_programs(struct datapath *dp, struct err *reterr)
{
        char folder[PINS_PATH], path[PINS_PATH + 64];
        int r;

        version_path(dp->root, "programs", folder);
        for (int i = 0; i < PROGRAM_COUNT; i++) {
                snprintf(path, sizeof(path), "%s/%s", folder, program_infos[i].name);
                if (dp->programs[i].fd < 0) {
                        unlink(path);
                        continue;
                }
                r = pins_replace(dp->programs[i].fd, path);
                if (r)
                        return err_set(reterr, r, "the program %s cannot be pinned at %s: %s", program_infos[i].name,
                                       path, strerror(-r));
        }
        return 0;
}

struct link_folders {
        struct datapath *dp;
        struct err *reterr;
};

static int adopt_links(void *userdata, const char *folder, uint32_t version)
{
        struct link_folders *f = userdata;
        char path[PINS_PATH + 64];

        snprintf(path, sizeof(path), "%s/links", folder);
        return attacher_adopt(&f->dp->attacher, path, f->reterr);
}

static int make_folders(const struct datapath *dp, struct err *reterr)
{
        static const char *const names[] = {"maps", "links", "programs", "tables"};
        char path[PINS_PATH];
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
                version_path(dp->root, names[i], path);
                r = pins_folder(path, reterr);
        }
        return r;
}

/* From the old maps and programs to the new ones, step by step; whatever step is the last one before a crash, the next
 * start goes on from there (adopt.h, attach.h). */
static int take_over(struct datapath *dp, struct adopter *ad, struct err *reterr)
{
        struct link_folders folders = {.dp = dp, .reterr = reterr};
        int r = adopter_fill(ad, reterr);

        if (r == 0)
                r = make_folders(dp, reterr);
        if (r == 0)
                r = adopter_pin(ad, reterr);
        if (r == 0)
                r = pin_programs(dp, reterr);
        if (r == 0)
                r = adopt_each_version(dp->root, adopt_links, &folders);
        if (r == 0) /* what the old programs wrote while the others changed over */
                r = adopter_fill(ad, reterr);
        return r ? r : adopter_finish(ad, reterr);
}

static int open_maps(struct datapath *dp, struct adopter *ad, struct err *reterr)
{
        dp->maps.fresh = true;
        for (int id = 0; id < MAP_COUNT; id++) {
                int r = map_new_kernel(TAKE_FD(ad->maps[id].fd), &dp->maps.m[id]);

                dp->maps.fresh &= ad->maps[id].made && !ad->maps[id].source_count;
                if (r)
                        return err_set(reterr, r, "the map %s cannot be opened: %s", map_layout(id)->info.name,
                                       strerror(-r));
        }
        return 0;
}

/* For people who look: nothing depends on it. */
static void pin_tables(struct datapath *dp)
{
        struct err why = ERR_NULL;
        char folder[PINS_PATH];

        version_path(dp->root, "tables", folder);
        if (tables_pin(&dp->maps, &dp->opts.knobs, folder, &why))
                log_info("the tables cannot be read as text", "folder=%s reason=%s", folder, why.msg);
}

static int bring_up(struct datapath *dp, struct err *reterr)
{
        struct loader loader = LOADER_NULL;
        struct adopter ad = {0};
        uint32_t sizes[MAP_COUNT];
        char links[PINS_PATH];
        int r = loader_open(&loader, wanted_objects(dp), reterr);

        if (r)
                return r;
        fill_sizes(&dp->opts, sizes);
        version_path(dp->root, "links", links);
        attacher_init(&dp->attacher, dp->root, links, dp->programs);
        r = adopter_plan(&ad, dp->root, MAPS_VERSION, &migrate_converters, &loader, sizes, reterr);
        if (r == 0)
                r = load(dp, &ad, &loader, reterr);
        loader_close(&loader);
        if (r == 0)
                r = take_over(dp, &ad, reterr);
        if (r == 0)
                r = open_maps(dp, &ad, reterr);
        if (r == 0)
                pin_tables(dp);
        adopter_deinit(&ad);
        return r;
}

static int find_cgroup(struct datapath *dp, const struct datapath_opts *opts, struct err *reterr)
{
        if (opts->cgroup_root)
                str_copy(dp->cgroup, sizeof(dp->cgroup), opts->cgroup_root);
        else if (dp->features.cgroup_v2 && cgroup_find_v2(dp->cgroup, sizeof(dp->cgroup)))
                dp->features.cgroup_v2 = false;
        return 0;
}

int datapath_open(const struct datapath_opts *opts, struct datapath **ret, struct err *reterr)
{
        _cleanup_(datapath_closep) struct datapath *dp = mem_new(struct datapath);
        int r;

        dp->lock = -1;
        for (int i = 0; i < PROGRAM_COUNT; i++)
                dp->programs[i].fd = -1;
        attacher_init(&dp->attacher, "", "", dp->programs);
        dp->opts = *opts;
        dp->opts.pin_root = dp->root;
        dp->opts.cgroup_root = dp->cgroup;
        if (strlen(opts->pin_root) > 300 || !str_copy(dp->root, sizeof(dp->root), opts->pin_root))
                return err_set(reterr, -ENAMETOOLONG, "the folder of the pins must have a path of at most 300 bytes");
        /* Kernels before 5.11 count maps as locked memory; nothing is lost where it may not be raised. */
        setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
        r = features_probe(&dp->features, reterr);
        if (r == 0)
                r = find_cgroup(dp, opts, reterr);
        if (r == 0)
                r = pins_prepare(dp->root, reterr);
        if (r == 0)
                r = pins_lock(dp->root, &dp->lock, reterr);
        if (r == 0) {
                expedite_recover(dp->root);
                r = bring_up(dp, reterr);
        }
        if (r)
                return r;
        *ret = TAKE_PTR(dp);
        return 0;
}

void datapath_close(struct datapath *dp)
{
        if (!dp)
                return;
        datapath_unmap_flows(dp);
        attacher_deinit(&dp->attacher);
        maps_deinit(&dp->maps);
        for (int i = 0; i < PROGRAM_COUNT; i++)
                if (dp->programs[i].fd >= 0)
                        close(dp->programs[i].fd);
        if (dp->lock >= 0)
                close(dp->lock);
        free(dp);
}

struct maps *datapath_maps(struct datapath *dp)
{
        return &dp->maps;
}

const struct features *datapath_features(const struct datapath *dp)
{
        return &dp->features;
}

static size_t flows_bytes(const struct datapath *dp)
{
        return (size_t)map_info(dp->maps.m[MAP_FLOWS])->max_entries * sizeof(struct flow_set);
}

const struct flow_set *datapath_flows(struct datapath *dp)
{
        void *at;

        if (!dp->flows) {
                at = mmap(NULL, flows_bytes(dp), PROT_READ, MAP_SHARED, map_fd(dp->maps.m[MAP_FLOWS]), 0);
                dp->flows = at == MAP_FAILED ? NULL : at;
        }
        return dp->flows;
}

void datapath_unmap_flows(struct datapath *dp)
{
        if (dp->flows)
                munmap(dp->flows, flows_bytes(dp));
        dp->flows = NULL;
}

/* ---- attaching */

static bool sock_wants(const struct datapath *dp, enum program_id p)
{
        return (p != PROGRAM_bind4 && p != PROGRAM_bind6) || dp->opts.knobs.flags & KNOB_BIND_PROTECT;
}

int datapath_attach_sock(struct datapath *dp, struct err *reterr)
{
        int r = 0;

        if (!dp->features.cgroup_v2)
                return err_set(reterr, -EOPNOTSUPP,
                               "no cgroup v2 hierarchy is mounted, or this kernel has no programs for its sockets");
        for (int p = 0; r == 0 && p < PROGRAM_COUNT; p++) {
                if (program_infos[p].device)
                        continue;
                if (sock_wants(dp, p))
                        r = attacher_set_cgroup(&dp->attacher, dp->cgroup, p, reterr);
                else
                        attacher_unset_cgroup(&dp->attacher, p);
        }
        return r;
}

int datapath_detach_sock(struct datapath *dp)
{
        for (int p = 0; p < PROGRAM_COUNT; p++)
                if (!program_infos[p].device)
                        attacher_unset_cgroup(&dp->attacher, p);
        return 0;
}

bool datapath_sock_attached(struct datapath *dp)
{
        for (int p = 0; p < PROGRAM_COUNT; p++)
                if (!program_infos[p].device && sock_wants(dp, p) && !attacher_holds_cgroup(&dp->attacher, p))
                        return false;
        return true;
}

static bool use_tcx(const struct datapath *dp)
{
        return dp->features.tcx && !dp->opts.no_tcx;
}

static int attach_both(struct datapath *dp, uint32_t ifindex, enum program_id ingress, enum program_id egress,
                       struct err *reterr)
{
        int r = attacher_set_tc(&dp->attacher, ifindex, egress, use_tcx(dp), reterr);

        return r ? r : attacher_set_tc(&dp->attacher, ifindex, ingress, use_tcx(dp), reterr);
}

int datapath_attach_pod(struct datapath *dp, uint32_t ifindex, struct err *reterr)
{
        return attach_both(dp, ifindex, PROGRAM_from_pod, PROGRAM_to_pod, reterr);
}

int datapath_attach_overlay(struct datapath *dp, uint32_t ifindex, struct err *reterr)
{
        return attach_both(dp, ifindex, PROGRAM_from_overlay, PROGRAM_to_overlay, reterr);
}

int datapath_attach_uplink(struct datapath *dp, uint32_t ifindex, enum attach_mode *ret_tc, enum attach_mode *ret_xdp,
                           struct err *reterr)
{
        enum attach_mode xdp = ATTACH_NONE;
        int r = attach_both(dp, ifindex, PROGRAM_from_uplink, PROGRAM_to_uplink, reterr);

        if (r)
                return r;
        if (dp->programs[PROGRAM_edge].fd >= 0)
                r = attacher_set_xdp(&dp->attacher, ifindex, PROGRAM_edge, dp->opts.xdp_generic_ok, &xdp, reterr);
        if (r)
                return r;
        if (ret_tc)
                *ret_tc = use_tcx(dp) ? ATTACH_TCX : ATTACH_CLSACT;
        if (ret_xdp)
                *ret_xdp = xdp;
        return 0;
}

int datapath_attach_lo(struct datapath *dp, uint32_t ifindex, struct err *reterr)
{
        if (dp->programs[PROGRAM_to_lo].fd < 0)
                return err_set(reterr, -EOPNOTSUPP, "the loopback device's program is loaded without KNOB_SOCK only");
        return attacher_set_tc(&dp->attacher, ifindex, PROGRAM_to_lo, use_tcx(dp), reterr);
}

void datapath_detach(struct datapath *dp, uint32_t ifindex)
{
        attacher_unset_device(&dp->attacher, ifindex);
}

bool datapath_attached(struct datapath *dp, uint32_t ifindex)
{
        return attacher_holds(&dp->attacher, ifindex);
}

void datapath_prune(struct datapath *dp, bool (*keep)(void *userdata, uint32_t ifindex), void *userdata)
{
        size_t n = 0, count = dp->attacher.devices.count;
        _cleanup_free_ uint32_t *gone = mem_array(uint32_t, count + 1);

        hashmap_foreach (&dp->attacher.devices, slot)
                if (!keep(userdata, (uint32_t)slot->key.num))
                        gone[n++] = (uint32_t)slot->key.num;
        for (size_t i = 0; i < n; i++)
                datapath_detach(dp, gone[i]);
}

/* ---- cleaning up */

static bool keep_none(void *userdata, uint32_t ifindex)
{
        return false;
}

/* Links end with their pins. A filter does not: what the markers name is taken away, as by an agent that has nothing
 * loaded. */
static int remove_filters(void *userdata, const char *folder, uint32_t version)
{
        struct datapath *dp = userdata;
        char links[PINS_PATH + 64];
        int r;

        snprintf(links, sizeof(links), "%s/links", folder);
        str_copy(dp->attacher.folder, sizeof(dp->attacher.folder), links);
        r = attacher_adopt(&dp->attacher, links, NULL);
        datapath_prune(dp, keep_none, NULL);
        return r;
}

int datapath_cleanup(const char *pin_root, struct err *reterr)
{
        _cleanup_close_ int lock = -1;
        struct datapath dp = {.lock = -1};
        int r;

        if (access(pin_root, F_OK) && errno == ENOENT)
                return 0;
        r = pins_lock(pin_root, &lock, reterr);
        if (r)
                return r;
        for (int i = 0; i < PROGRAM_COUNT; i++)
                dp.programs[i].fd = -1;
        expedite_recover(pin_root);
        attacher_init(&dp.attacher, pin_root, pin_root, dp.programs);
        r = adopt_each_version(pin_root, remove_filters, &dp);
        attacher_deinit(&dp.attacher);
        if (r == 0)
                r = pins_remove_root(pin_root);
        return r ? err_set(reterr, r, "what is pinned below %s cannot be removed: %s", pin_root, strerror(-r)) : 0;
}
