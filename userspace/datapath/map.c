/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "datapath/map_ops.h"

#define READ_BYTES ((size_t)256 * 1024) /* of elements that are read at once */

int map_cpus(void)
{
        static int cpus; /* cannot change while the kernel runs */

        if (!cpus)
                cpus = MAX(libbpf_num_possible_cpus(), 1);
        return cpus;
}

size_t map_lookup_size(const struct map *m)
{
        size_t one = m->info.value_size;

        return m->info.per_cpu ? (one + 7) / 8 * 8 * (size_t)map_cpus() : one;
}

int map_lookup(const struct map *m, const void *key, void *ret_value)
{
        return m->ops->lookup(m, key, ret_value);
}

int map_update(struct map *m, const void *key, const void *value)
{
        return m->ops->update(m, key, value);
}

int map_update_many(struct map *m, const void *keys, const void *values, size_t n, size_t *ret_done)
{
        size_t done = 0;
        int r = n && m->ops->update_many ? m->ops->update_many(m, keys, values, n, &done) : 0;

        /* One by one: what the kernel cannot do at once, and what comes after where it stopped, to learn why. */
        for (r = r == -EOPNOTSUPP ? 0 : r; r == 0 && done < n; done += r == 0)
                r = map_update(m, (const char *)keys + done * m->info.key_size,
                               (const char *)values + done * map_lookup_size(m));
        *ret_done = done;
        return r;
}

int map_delete(struct map *m, const void *key)
{
        return m->ops->delete (m, key);
}

/* At once where the kernel can. */
int map_read(const struct map *m, uint32_t first, uint32_t n, void *ret_values)
{
        int r = n > 1 && m->ops->read_many ? m->ops->read_many(m, first, n, ret_values) : -EOPNOTSUPP;
        char *values = ret_values;

        if (r == 0)
                return 0;
        r = 0;
        for (uint32_t i = first; r == 0 && i < first + n; i++, values += map_lookup_size(m))
                r = map_lookup(m, &i, values);
        return r;
}

static int each_element(struct map *m, int (*fn)(void *userdata, const void *key, const void *value), void *userdata)
{
        size_t size = map_lookup_size(m);
        uint32_t most = (uint32_t)MAX(READ_BYTES / MAX(size, (size_t)1), (size_t)1), n;
        _cleanup_free_ char *values = mem_alloc(most * size + 1);
        int r = 0;

        for (uint32_t first = 0; r == 0 && first < m->info.max_entries; first += n) {
                n = MIN(most, m->info.max_entries - first);
                r = map_read(m, first, n, values);
                for (uint32_t i = first; r == 0 && i < first + n; i++)
                        r = fn(userdata, &i, values + (i - first) * size);
        }
        return r;
}

int map_each(struct map *m, int (*fn)(void *userdata, const void *key, const void *value), void *userdata)
{
        _cleanup_free_ void *keys = NULL, *value = NULL;
        size_t n = 0;
        int r;

        if (m->array)
                return each_element(m, fn, userdata);
        value = mem_alloc(map_lookup_size(m) + 1);
        r = m->ops->keys(m, &keys, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
                const void *key = (const char *)keys + i * m->info.key_size;

                r = map_lookup(m, key, value);
                if (r == 0)
                        r = fn(userdata, key, value);
                else if (r == -ENOENT) /* gone meanwhile */
                        r = 0;
        }
        return r;
}

const struct map_info *map_info(const struct map *m)
{
        return &m->info;
}

int map_fd(const struct map *m)
{
        return m->fd;
}

void map_free(struct map *m)
{
        if (m)
                m->ops->free(m);
}
