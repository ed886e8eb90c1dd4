/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of apply.c: keys and values on their way to one map, and the filters. */
#pragma once

#include "base/cleanup.h"
#include "bpf/abi/maps.h"
#include "datapath/map.h"

struct stage {
        size_t key_size, value_size, n, cap;
        char *keys, *values;
};

void stage_init(struct stage *s, size_t key_size, size_t value_size);
void stage_deinit(struct stage *s);
/* value may be NULL when value_size is 0. */
void stage_add(struct stage *s, const void *key, const void *value);
const void *stage_key(const struct stage *s, size_t i);
/* Empties it; much memory is given back. */
void stage_clear(struct stage *s);

/* The filters map, with how many frontends need each bit. */
struct filter_books {
        struct filters *bits;
        uint8_t *address;
        uint16_t *port[3]; /* TCP, UDP, SCTP */
        bool grown, shrunk;
};

void filter_books_init(struct filter_books *f);
void filter_books_deinit(struct filter_books *f);
void filter_books_add(struct filter_books *f, const struct service_key *key);
void filter_books_remove(struct filter_books *f, const struct service_key *key);
int filter_books_write(struct filter_books *f, struct map *m);
