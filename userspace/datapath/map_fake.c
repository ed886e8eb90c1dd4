/* SPDX-License-Identifier: Apache-2.0 */
/* Maps in memory that answer as the kernel's do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "datapath/map_ops.h"

struct fake {
        struct map map;
        struct hashmap entries; /* of a hash: key -> malloc'ed value */
        char *elements;         /* of an array */
};

static struct fake *fake_of(const struct map *m)
{
        return container_of(m, struct fake, map);
}

static char *element(const struct map *m, const void *key)
{
        uint32_t index;

        memcpy(&index, key, sizeof(index));
        return index < m->info.max_entries ? fake_of(m)->elements + index * map_lookup_size(m) : NULL;
}

static int array_lookup(const struct map *m, const void *key, void *ret_value)
{
        const char *at = element(m, key);

        if (!at)
                return -ENOENT;
        memcpy(ret_value, at, map_lookup_size(m));
        return 0;
}

static int array_update(struct map *m, const void *key, const void *value)
{
        char *at = element(m, key);

        if (!at)
                return -ERANGE;
        memcpy(at, value, map_lookup_size(m));
        return 0;
}

static int array_delete(struct map *m, const void *key)
{
        return -EINVAL;
}

static int hash_lookup(const struct map *m, const void *key, void *ret_value)
{
        const void *value = hashmap_get_n(&fake_of(m)->entries, key, m->info.key_size);

        if (!value)
                return -ENOENT;
        memcpy(ret_value, value, map_lookup_size(m));
        return 0;
}

static int hash_update(struct map *m, const void *key, const void *value)
{
        struct fake *f = fake_of(m);
        void *held = hashmap_get_n(&f->entries, key, m->info.key_size);

        if (!held) {
                if (f->entries.count >= m->info.max_entries)
                        return MAP_FULL;
                held = mem_alloc(map_lookup_size(m) + 1);
                hashmap_put_n(&f->entries, key, m->info.key_size, held);
        }
        memcpy(held, value, map_lookup_size(m));
        return 0;
}

static int hash_delete(struct map *m, const void *key)
{
        free(hashmap_del_n(&fake_of(m)->entries, key, m->info.key_size));
        return 0;
}

static int hash_keys(struct map *m, void **ret_keys, size_t *ret_n)
{
        struct fake *f = fake_of(m);
        char *keys = mem_alloc(f->entries.count * m->info.key_size + 1);
        size_t n = 0;

        hashmap_foreach (&f->entries, slot)
                memcpy(keys + n++ * m->info.key_size, slot->key.str, m->info.key_size);
        *ret_keys = keys;
        *ret_n = n;
        return 0;
}

static void fake_free(struct map *m)
{
        struct fake *f = fake_of(m);

        hashmap_foreach (&f->entries, slot)
                free(slot->value);
        hashmap_deinit(&f->entries);
        free(f->elements);
        free(f);
}

static const struct map_ops hash_ops = {
        .lookup = hash_lookup,
        .update = hash_update,
        .delete = hash_delete,
        .keys = hash_keys,
        .free = fake_free,
};

static const struct map_ops array_ops = {
        .lookup = array_lookup,
        .update = array_update,
        .delete = array_delete,
        .free = fake_free,
};

int map_new_fake(const struct map_info *info, bool array, struct map **ret)
{
        struct fake *f;

        if (array && info->key_size != sizeof(uint32_t))
                return -EINVAL;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        hashmap_init(&f->entries, HASHMAP_STR_OWNED);
        f->map = (struct map){
                .ops = array ? &array_ops : &hash_ops,
                .info = *info,
                .array = array,
                .fd = -1,
        };
        if (array) {
                /* Untouched pages cost nothing. */
                f->elements = calloc(info->max_entries, map_lookup_size(&f->map));
                if (!f->elements) {
                        free(f);
                        return -ENOMEM;
                }
        }
        *ret = &f->map;
        return 0;
}
