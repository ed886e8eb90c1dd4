/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "scheduler/state/carriers.h"

void carriers_init(struct carriers *c, struct shapes *shapes)
{
        *c = (struct carriers){.shapes = shapes};
        hashmap_init(&c->table, HASHMAP_STR);
}

static void carrier_free(struct carriers *c, struct carrier *one)
{
        shapes_put(c->shapes, one->shape);
        free(one->places);
        free(one);
}

void carriers_deinit(struct carriers *c)
{
        for (uint32_t i = 0; i < c->n; i++)
                carrier_free(c, c->all[i]);
        hashmap_deinit(&c->table);
        free(c->all);
        *c = (struct carriers){0};
}

static struct carrier *add(struct carriers *c, struct shape *shape)
{
        struct carrier *one = mem_new(struct carrier);

        if (c->n == c->cap) {
                c->cap = c->cap ? c->cap * 2 : 16;
                c->all = mem_realloc(c->all, c->cap, sizeof(*c->all));
        }
        *one = (struct carrier){.shape = shape_ref(shape), .index = c->n};
        hashmap_put_n(&c->table, shape->pods.key.data, shape->pods.key.len, one);
        return c->all[c->n++] = one;
}

static void drop(struct carriers *c, struct carrier *one)
{
        struct carrier *last = c->all[--c->n];

        c->all[one->index] = last;
        last->index = one->index;
        hashmap_del_n(&c->table, one->shape->pods.key.data, one->shape->pods.key.len);
        carrier_free(c, one);
}

/* Where the slot is, or would be. */
static uint32_t search(const struct carrier *one, uint32_t slot)
{
        uint32_t low = 0, high = one->nplaces;

        while (low < high) {
                uint32_t mid = low + (high - low) / 2;

                if (one->places[mid].slot < slot)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static void insert(struct carrier *one, uint32_t at, uint32_t slot)
{
        if (one->nplaces == one->cap) {
                one->cap = one->cap ? one->cap * 2 : 4;
                one->places = mem_realloc(one->places, one->cap, sizeof(*one->places));
        }
        memmove(one->places + at + 1, one->places + at, (one->nplaces - at) * sizeof(*one->places));
        one->places[at] = (struct carrier_place){.slot = slot};
        one->nplaces++;
}

void carriers_count(struct carriers *c, struct shape *shape, uint32_t slot, int delta)
{
        struct carrier *one;
        uint32_t at;

        if (!shape_has_pod_rules(shape))
                return;
        one = hashmap_get_n(&c->table, shape->pods.key.data, shape->pods.key.len);
        if (!one)
                one = add(c, shape);
        at = search(one, slot);
        if (at == one->nplaces || one->places[at].slot != slot)
                insert(one, at, slot);
        one->places[at].pods += (uint32_t)delta;
        if (one->places[at].pods)
                return;
        memmove(one->places + at, one->places + at + 1, (--one->nplaces - at) * sizeof(*one->places));
        if (!one->nplaces)
                drop(c, one);
}
