/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/str.h"
#include "datapath/load.h"
#include "datapath/map_ops.h"
#include "datapath/pins.h"
#include "datapath/tables.h"

extern const char bpf_object_tables[], bpf_object_tables_end[];

static const struct {
        const char *file, *program;
        enum map_id map;
} tables[] = {
#define X(file, program, map) {#file, #program, MAP_##map},
        TABLES(X)
#undef X
};

DEFINE_CLEANUP(struct bpf_object *, bpf_object__close)

/* The dataplane's maps are shared; what else the common headers declare is not made. */
static int share_map(struct bpf_map *map, const struct maps *maps)
{
        bpf_map__set_pin_path(map, NULL);
        for (int id = 0; id < MAP_COUNT; id++)
                if (str_eq(bpf_map__name(map), map_layout(id)->info.name))
                        return bpf_map__reuse_fd(map, map_fd(maps->m[id]));
        return bpf_map__is_internal(map) ? 0 : bpf_map__set_autocreate(map, false);
}

static int share_maps(struct bpf_object *object, const struct maps *maps)
{
        struct bpf_map *map;
        int r;

        bpf_object__for_each_map(map, object)
        {
                r = share_map(map, maps);
                if (r)
                        return r;
        }
        return 0;
}

static int pin_one(struct bpf_object *object, size_t i, const struct maps *maps, const char *folder)
{
        struct bpf_program *program = bpf_object__find_program_by_name(object, tables[i].program);
        union bpf_iter_link_info info = {.map = {.map_fd = (__u32)map_fd(maps->m[tables[i].map])}};
        DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
        struct bpf_link *link = program ? bpf_program__attach_iter(program, &opts) : NULL;
        char path[PINS_PATH + 64];
        int r = link ? 0 : -errno;

        snprintf(path, sizeof(path), "%s/%s", folder, tables[i].file);
        if (!r)
                r = pins_replace(bpf_link__fd(link), path);
        bpf_link__destroy(link);
        return r;
}

static int load_and_pin(struct bpf_object *object, const struct maps *maps, const struct knobs *knobs,
                        const char *folder, struct err *reterr)
{
        int r = share_maps(object, maps);

        if (!r)
                r = loader_set_knobs(object, knobs);
        if (r)
                return err_set(reterr, r, "the BPF object tables does not fit the maps: %s", strerror(-r));
        r = bpf_object__load(object);
        if (r)
                return err_set(reterr, r, "the BPF object tables does not load: %s", strerror(-r));
        for (size_t i = 0; !r && i < ARRAY_SIZE(tables); i++) {
                r = pin_one(object, i, maps, folder);
                if (r)
                        err_set(reterr, r, "%s/%s cannot be pinned: %s", folder, tables[i].file, strerror(-r));
        }
        return r;
}

int tables_pin(const struct maps *maps, const struct knobs *knobs, const char *folder, struct err *reterr)
{
        _cleanup_(bpf_object__closep) struct bpf_object *object =
                bpf_object__open_mem(bpf_object_tables, (size_t)(bpf_object_tables_end - bpf_object_tables), NULL);
        int r = object ? 0
                       : err_set(reterr, -errno, "the built-in BPF object tables cannot be read: %s", strerror(errno));

        if (!r)
                r = load_and_pin(object, maps, knobs, folder, reterr);
        if (!r)
                return 0;
        pins_remove(folder); /* those of a former agent would show its maps */
        return r == -ENOMEM || r == -EMFILE ? r : TABLES_UNSUPPORTED;
}
