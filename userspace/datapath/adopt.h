/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How maps come over from the agent before: the same map when it fits; else a new one that is filled from the old.
 * Beside <map> there is <map>_new from before the programs change over until they all have, so that an agent that is
 * killed in between leaves both for the next one.
 */
#pragma once

#include "datapath/load.h"
#include "datapath/migrate.h"
#include "datapath/object.h"
#include "datapath/pins.h"

/* A map whose entries are to be copied. */
struct source {
        struct map *map;
        uint32_t version;
};

#define SOURCES_MAX 8

struct map_plan {
        int fd;               /* of the map to use; -1: it is to be made */
        bool made;            /* it was not pinned before */
        bool beside;          /* it is, or is to be, pinned as <map>_new */
        uint32_t max_entries; /* for a new one */
        struct source sources[SOURCES_MAX];
        uint32_t source_count;
};

struct adopter {
        char root[PINS_PATH];
        uint32_t version; /* of the maps to have */
        const struct converters *converters;
        struct map_plan maps[MAP_COUNT];
};

/* Looks at what is pinned. sizes: wanted elements by map, 0 for that of the ELF file. 0 or negative errno. */
int adopter_plan(struct adopter *ad, const char *root, uint32_t version, const struct converters *converters,
                 const struct loader *loader, const uint32_t sizes[MAP_COUNT], struct err *reterr);
/* Copies entries of the sources into what was made; may be repeated. 0 or negative errno. */
int adopter_fill(struct adopter *ad, struct err *reterr);
/* Pins what was made; beside the old one where there is one. 0 or negative errno. */
int adopter_pin(struct adopter *ad, struct err *reterr);
/* After all programs have changed over: the new maps take the old ones' names, other versions go. 0 or negative errno.
 */
int adopter_finish(struct adopter *ad, struct err *reterr);
void adopter_deinit(struct adopter *ad);

/* Calls fn with each folder v<N> below root and N. 0, what fn returned other than 0, or negative errno. */
int adopt_each_version(const char *root, int (*fn)(void *userdata, const char *folder, uint32_t version),
                       void *userdata);
