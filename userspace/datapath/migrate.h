/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a map held, copied into its successor: of another size, or of another version (MAPS_VERSION) by a table of
 * converters. Copying never replaces what the successor has already, so it can be repeated: once before the programs
 * change over, and once after, for what the old ones wrote meanwhile.
 */
#pragma once

#include "bpf/abi/maps.h"
#include "datapath/map.h"

/* Gives the successor's key and value for an entry of that version. 0, or MIGRATE_LEAVE to leave it out. */
enum { MIGRATE_LEAVE = 1 };
struct converter {
        uint32_t version;
        enum map_id map;
        int (*convert)(const void *key, const void *value, void *ret_key, void *ret_value);
};

struct converters {
        const struct converter *items;
        size_t count;
};

/* The converters of this release. */
extern const struct converters migrate_converters;

/* The one for a map of that version; NULL: entries stay as they are. */
const struct converter *migrate_find(const struct converters *table, uint32_t version, enum map_id map);

/* Copies entries that the successor lacks; an array's element of zeros counts as lacking. *ret_lost: those for which
 * there was no room. Sizes of keys and values must be the same unless there is a converter: -EPROTO. 0 or negative
 * errno. */
int migrate_copy(struct map *from, struct map *to, const struct converter *converter, size_t *ret_lost);

/* The same for flow tables in shared memory, which programs may use meanwhile. Flows find their sets by their hash. */
struct flow_table {
        struct flow_set *sets;
        uint64_t *marks; /* flow_marks, as many; NULL: of a table that is only read */
        uint32_t count;  /* of sets: a power of two */
};
void migrate_flows(struct flow_table from, struct flow_table to, size_t *ret_lost);
/* Marks what the table holds: of a release that had no marks. */
void migrate_mark_flows(struct flow_table t);

/* The least max_entries that keeps what the map holds: entries of a hash, the last element of an array that is not
 * zero. 0 or negative errno. */
int migrate_needed(struct map *m, uint32_t *ret);
/* The same of the slots, where ranges that were given back are not zeroed: by the services that refer to them. */
int migrate_needed_slot_lines(struct map *services, uint32_t *ret);
