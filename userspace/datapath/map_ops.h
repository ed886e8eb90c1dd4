/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a map, for the kinds of maps: what stands behind the calls of map.h. */
#pragma once

#include "datapath/map.h"

struct map_ops {
        int (*lookup)(const struct map *m, const void *key, void *ret_value);
        int (*update)(struct map *m, const void *key, const void *value);
        int (*update_many)(struct map *m, const void *keys, const void *values, size_t n, size_t *ret_done);
        int (*delete)(struct map *m, const void *key);
        /* Appends the present keys; those of an array need not come through here. 0 or negative errno. */
        int (*keys)(struct map *m, void **ret_keys, size_t *ret_n);
        /* NULL, or reads n elements of an array at once. 0, or negative errno when that cannot be done so. */
        int (*read_many)(const struct map *m, uint32_t first, uint32_t n, void *ret_values);
        void (*free)(struct map *m);
};

/* The first member of each kind of map. */
struct map {
        const struct map_ops *ops;
        struct map_info info;
        char name[16]; /* what info.name points to */
        bool array;    /* all its elements are always there */
        bool prefixes; /* an LPM trie: a look-up also finds wider ones */
        int fd;        /* -1 of a fake */
};

/* Layouts of the dataplane's maps, by enum map_id: names, sizes of bpf/abi, default numbers of elements. A ring buffer
 * has key and value size 0. */
struct map_layout {
        struct map_info info;
        bool array;
};

const struct map_layout *map_layout(enum map_id id);
