/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <bpf/bpf.h>

#include "base/log.h"
#include "base/str.h"
#include "datapath/adopt.h"
#include "datapath/map_ops.h"

struct version_walk {
        int (*fn)(void *userdata, const char *folder, uint32_t version);
        void *userdata;
};

static int visit_version(void *userdata, const char *folder, const char *name)
{
        struct version_walk *w = userdata;
        char path[PINS_PATH];
        uint32_t version;

        if (name[0] != 'v' || str_parse_u32(name + 1, &version))
                return 0;
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        return w->fn(w->userdata, path, version);
}

int adopt_each_version(const char *root, int (*fn)(void *userdata, const char *folder, uint32_t version),
                       void *userdata)
{
        struct version_walk w = {.fn = fn, .userdata = userdata};

        return pins_each(root, visit_version, &w);
}

static const char *map_name(enum map_id id)
{
        return map_layout(id)->info.name;
}

static void pin_path(const struct adopter *ad, enum map_id id, bool beside, char ret[static PINS_PATH])
{
        snprintf(ret, PINS_PATH, "%.400s/v%u/maps/%s%s", ad->root, ad->version, map_name(id), beside ? "_new" : "");
}

/* ---- looking */

static bool is_iterable(uint32_t type)
{
        return type != BPF_MAP_TYPE_SK_STORAGE && type != BPF_MAP_TYPE_RINGBUF && type != BPF_MAP_TYPE_PERF_EVENT_ARRAY;
}

/* A map that cannot be the one to use, but whose entries may be worth something. */
static void add_source(struct adopter *ad, enum map_id id, const char *path, uint32_t version)
{
        struct map_plan *plan = &ad->maps[id];
        struct map *map = NULL;
        int fd = bpf_obj_get(path);

        if (fd < 0 || plan->source_count == SOURCES_MAX || map_new_kernel(fd, &map)) {
                if (fd >= 0 && !map)
                        close(fd);
                return;
        }
        plan->sources[plan->source_count++] = (struct source){.map = map, .version = version};
}

enum fit {
        FIT_NONE,  /* there is none, or of another layout: its entries are not ours */
        FIT_SIZE,  /* as wished but for the number of elements, or how they are allocated */
        FIT_WHOLE, /* it is the one */
};

/* By the services, which were looked at before. */
static int slot_lines_needed(const struct adopter *ad, uint32_t *ret)
{
        const struct map_plan *plan = &ad->maps[MAP_SERVICES];
        struct map *services = NULL;
        int fd, r;

        if (plan->fd < 0 && !plan->source_count)
                return -ENOENT;
        fd = fcntl(plan->fd >= 0 ? plan->fd : map_fd(plan->sources[0].map), F_DUPFD_CLOEXEC, 3);
        r = fd < 0 ? -errno : map_new_kernel(fd, &services);
        if (r == 0)
                r = migrate_needed_slot_lines(services, ret);
        map_free(services);
        return r;
}

/* A shrunk map must have room for what the old one holds: else the old size is kept, because traffic comes first. */
static bool holds_more(const struct adopter *ad, enum map_id id, struct map *map, uint32_t wanted)
{
        uint32_t needed = 0;
        int r;

        if (map_info(map)->max_entries <= wanted || id == MAP_FLOWS || id == MAP_FLOW_MARKS || id == MAP_AFFINITY ||
            id == MAP_FRAGMENTS || id == MAP_SOCK_REPLIES) /* tables that forget what is old */
                return false;
        r = id == MAP_SLOTS ? slot_lines_needed(ad, &needed) : migrate_needed(map, &needed);
        if (r || needed <= wanted)
                return false;
        log_warn("a map is kept larger than configured", "map=%s elements=%u configured=%u in_use=%u", map_name(id),
                 map_info(map)->max_entries, wanted, needed);
        return true;
}

static enum fit check_fit(const struct adopter *ad, enum map_id id, const struct map_wish *wish, uint32_t wanted,
                          int fd)
{
        struct bpf_map_info info = {0};
        uint32_t size = sizeof(info);
        struct map *map = NULL;
        bool keep;
        int copy;

        if (bpf_obj_get_info_by_fd(fd, &info, &size) || info.type != wish->type || info.key_size != wish->key_size ||
            info.value_size != wish->value_size || (info.map_flags ^ wish->flags) & ~(uint32_t)BPF_F_NO_PREALLOC)
                return FIT_NONE;
        if (info.map_flags != wish->flags)
                return FIT_SIZE;
        if (info.max_entries == wanted || !is_iterable(info.type))
                return info.max_entries == wanted ? FIT_WHOLE : FIT_NONE;
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0 || map_new_kernel(copy, &map))
                return FIT_SIZE;
        keep = holds_more(ad, id, map, wanted);
        map_free(map);
        return keep ? FIT_WHOLE : FIT_SIZE;
}

/* <map>_new, when it is there, is newer than <map>. */
static void plan_pinned(struct adopter *ad, enum map_id id, const struct map_wish *wish)
{
        struct map_plan *plan = &ad->maps[id];

        for (int beside = 1; beside >= 0; beside--) {
                char path[PINS_PATH];
                enum fit fit;
                int fd;

                pin_path(ad, id, beside, path);
                fd = bpf_obj_get(path);
                if (fd < 0)
                        continue;
                fit = check_fit(ad, id, wish, plan->max_entries, fd);
                if (fit == FIT_NONE)
                        log_warn("a pinned map is not of this release: starting with an empty one", "map=%s", path);
                plan->beside = true; /* a new one would go beside it */
                if (fit == FIT_WHOLE && plan->fd < 0) {
                        plan->fd = fd;
                        plan->beside = beside;
                        continue;
                }
                close(fd);
                if (fit != FIT_NONE && is_iterable(wish->type))
                        add_source(ad, id, path, ad->version);
        }
}

static int plan_version(void *userdata, const char *folder, uint32_t version)
{
        struct adopter *ad = userdata;
        char path[PINS_PATH];

        if (version == ad->version)
                return 0;
        for (int id = 0; id < MAP_COUNT; id++) {
                if (!map_layout(id)->info.key_size || id == MAP_SOCK_CONNECTED || id == MAP_MONITORS ||
                    id == MAP_MONITOR_EVENTS)
                        continue;
                snprintf(path, sizeof(path), "%.400s/maps/%s", folder, map_name(id));
                add_source(ad, id, path, version);
        }
        return 0;
}

int adopter_plan(struct adopter *ad, const char *root, uint32_t version, const struct converters *converters,
                 const struct loader *loader, const uint32_t sizes[MAP_COUNT], struct err *reterr)
{
        *ad = (struct adopter){.version = version, .converters = converters};
        str_copy(ad->root, sizeof(ad->root), root);
        for (int id = 0; id < MAP_COUNT; id++)
                ad->maps[id].fd = -1;
        for (int id = 0; id < MAP_COUNT; id++) {
                struct map_wish wish;

                if (!loader_wish(loader, id, &wish))
                        return err_set(reterr, -EPROTO, "no built-in BPF object has the map %s", map_name(id));
                ad->maps[id].max_entries = sizes[id] ? sizes[id] : wish.max_entries;
                plan_pinned(ad, id, &wish);
                ad->maps[id].made = ad->maps[id].fd < 0;
        }
        return adopt_each_version(root, plan_version, ad);
}

/* ---- filling */

static int map_memory(int fd, size_t size, int protection, void **ret)
{
        void *at = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

        if (at == MAP_FAILED)
                return -errno;
        *ret = at;
        return 0;
}

static void unmap_flow_table(struct flow_table t)
{
        if (t.sets)
                munmap(t.sets, (size_t)t.count * sizeof(struct flow_set));
        if (t.marks)
                munmap(t.marks, (size_t)t.count * sizeof(uint64_t));
}

/* marks: -1 for a table that is only read. */
static int map_flow_table(int fd, int marks, uint32_t sets, struct flow_table *ret)
{
        int protection = marks < 0 ? PROT_READ : PROT_READ | PROT_WRITE, r;
        struct flow_table t = {.count = sets};

        r = map_memory(fd, (size_t)sets * sizeof(struct flow_set), protection, (void **)&t.sets);
        if (r == 0 && marks >= 0)
                r = map_memory(marks, (size_t)sets * sizeof(uint64_t), protection, (void **)&t.marks);
        if (r)
                unmap_flow_table(t);
        else
                *ret = t;
        return r;
}

static int fill_flows(const struct adopter *ad, const struct map *from, const struct map *to, size_t *ret_lost)
{
        struct flow_table tables[2] = {0};
        int r = map_flow_table(map_fd(from), -1, map_info(from)->max_entries, &tables[0]);

        if (r == 0)
                r = map_flow_table(map_fd(to), ad->maps[MAP_FLOW_MARKS].fd, map_info(to)->max_entries, &tables[1]);
        if (r == 0)
                migrate_flows(tables[0], tables[1], ret_lost);
        unmap_flow_table(tables[0]);
        unmap_flow_table(tables[1]);
        return r;
}

/* New marks of a table that is there already. */
static int fill_marks(const struct adopter *ad)
{
        const struct map_plan *flows = &ad->maps[MAP_FLOWS], *marks = &ad->maps[MAP_FLOW_MARKS];
        struct bpf_map_info info = {0};
        uint32_t size = sizeof(info);
        struct flow_table t;
        int r;

        if (flows->made || !marks->made)
                return 0;
        r = bpf_obj_get_info_by_fd(flows->fd, &info, &size);
        if (r == 0)
                r = map_flow_table(flows->fd, marks->fd, info.max_entries, &t);
        if (r)
                return r;
        migrate_mark_flows(t);
        unmap_flow_table(t);
        return 0;
}

static int fill_one(struct adopter *ad, enum map_id id, struct map *to, struct err *reterr)
{
        const struct map_plan *plan = &ad->maps[id];

        for (uint32_t i = 0; i < plan->source_count; i++) {
                const struct source *s = &plan->sources[i];
                const struct converter *converter =
                        s->version == ad->version ? NULL : migrate_find(ad->converters, s->version, id);
                size_t lost = 0;
                int r;

                if (id == MAP_FLOWS && !converter && map_info(s->map)->value_size == sizeof(struct flow_set))
                        r = fill_flows(ad, s->map, to, &lost);
                else
                        r = migrate_copy(s->map, to, converter, &lost);
                if (r == -EPROTO) { /* of another version, and nobody knows how to read it */
                        log_warn("a map of another version is left behind", "map=%s version=%u", map_name(id),
                                 s->version);
                        continue;
                }
                if (r)
                        return err_set(reterr, r, "the entries of the old map %s cannot be copied: %s", map_name(id),
                                       strerror(-r));
                if (lost)
                        log_warn("a map lost entries on the way into a smaller one", "map=%s entries=%zu", map_name(id),
                                 lost);
        }
        return 0;
}

int adopter_fill(struct adopter *ad, struct err *reterr)
{
        int r = fill_marks(ad);

        if (r)
                return err_set(reterr, r, "the entries of the flow table cannot be marked: %s", strerror(-r));
        for (int id = 0; id < MAP_COUNT; id++) {
                struct map *to = NULL;
                int fd;

                if (!ad->maps[id].source_count || id == MAP_FLOW_MARKS) /* which come with their flows */
                        continue;
                fd = fcntl(ad->maps[id].fd, F_DUPFD_CLOEXEC, 3);
                r = fd < 0 ? -errno : map_new_kernel(fd, &to);
                if (r)
                        return err_set(reterr, r, "the map %s cannot be read: %s", map_name(id), strerror(-r));
                r = fill_one(ad, id, to, reterr);
                map_free(to);
                if (r)
                        return r;
        }
        return 0;
}

/* ---- pinning */

int adopter_pin(struct adopter *ad, struct err *reterr)
{
        for (int id = 0; id < MAP_COUNT; id++) {
                struct map_plan *plan = &ad->maps[id];
                char path[PINS_PATH];
                int r;

                if (!plan->made)
                        continue;
                pin_path(ad, id, plan->beside, path);
                r = pins_replace(plan->fd, path);
                if (r)
                        return err_set(reterr, r, "the map %s cannot be pinned at %s: %s", map_name(id), path,
                                       strerror(-r));
        }
        return 0;
}

static int remove_version(void *userdata, const char *folder, uint32_t version)
{
        const struct adopter *ad = userdata;

        return version == ad->version ? 0 : pins_remove(folder);
}

int adopter_finish(struct adopter *ad, struct err *reterr)
{
        int r;

        for (int id = 0; id < MAP_COUNT; id++) {
                char beside[PINS_PATH], path[PINS_PATH];

                pin_path(ad, id, true, beside);
                pin_path(ad, id, false, path);
                if (!ad->maps[id].beside)
                        unlink(beside); /* of a size that was given up before it was in use */
                else if (rename(beside, path))
                        return err_set(reterr, -errno, "%s cannot take the place of %s: %s", beside, path,
                                       strerror(errno));
        }
        r = adopt_each_version(ad->root, remove_version, ad);
        return r ? err_set(reterr, r, "another version's folder below %s cannot be removed: %s", ad->root, strerror(-r))
                 : 0;
}

void adopter_deinit(struct adopter *ad)
{
        for (int id = 0; id < MAP_COUNT; id++) {
                for (uint32_t i = 0; i < ad->maps[id].source_count; i++)
                        map_free(ad->maps[id].sources[i].map);
                if (ad->maps[id].fd >= 0)
                        close(ad->maps[id].fd);
                ad->maps[id].fd = -1;
                ad->maps[id].source_count = 0;
        }
}
