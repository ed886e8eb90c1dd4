/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the projections: lists that grow in an arena, and one block that takes everything over at the end. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"

#define SKIPS_MAX 8

/* Texts for people; the last one tells how many found no room. */
struct skips {
        struct arena *arena;
        const char *text[SKIPS_MAX + 1];
        uint16_t count;
        uint32_t more;
};

void skips_add(struct skips *p, const char *fmt, ...) _printf_(2, 3);
/* To be called once, when all have been added. */
void skips_end(struct skips *p);

/* Measures first (base NULL), then copies. */
struct packer {
        char *base;
        size_t used;
};

/* data NULL: room, not filled. */
const void *pack_bytes(struct packer *p, const void *data, size_t n, size_t align);
const char *pack_str(struct packer *p, const char *s);
const char *const *pack_strs(struct packer *p, const char *const *s, size_t n);

#define pack_array(p, array, n)                                                                                        \
        ((__typeof__(array))pack_bytes((p), (array), sizeof(*(array)) * (n), _Alignof(__typeof__(*(array)))))
