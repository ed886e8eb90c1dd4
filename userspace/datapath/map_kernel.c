/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's maps behind file descriptors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "base/str.h"
#include "datapath/map_ops.h"

#define ENOTSUPP 524 /* of the kernel, not of errno.h: a map that lacks the operation */

/* What the kernel says when a map cannot take one more. */
static int full_or(const struct map *m, int r)
{
        if (r == -E2BIG)
                return m->array ? -ERANGE : MAP_FULL;
        return r == -ENOSPC ? MAP_FULL : r;
}

static int kernel_lookup(const struct map *m, const void *key, void *ret_value)
{
        return bpf_map_lookup_elem(m->fd, key, ret_value);
}

static int kernel_update(struct map *m, const void *key, const void *value)
{
        return full_or(m, bpf_map_update_elem(m->fd, key, value, BPF_ANY));
}

static int kernel_update_many(struct map *m, const void *keys, const void *values, size_t n, size_t *ret_done)
{
        size_t done = 0;
        int r = 0;

        while (r == 0 && done < n) {
                uint32_t count = (uint32_t)MIN(n - done, (size_t)UINT32_MAX / 2);

                r = bpf_map_update_batch(m->fd, (const char *)keys + done * m->info.key_size,
                                         (const char *)values + done * map_lookup_size(m), &count, NULL);
                if (r == -ENOTSUPP || r == -EINVAL) /* old kernels have no batches for all kinds of maps */
                        r = -EOPNOTSUPP;
                else if (r != -EFAULT) /* else count was not written */
                        done += count;
        }
        *ret_done = done;
        return full_or(m, r);
}

static int kernel_delete(struct map *m, const void *key)
{
        int r = bpf_map_delete_elem(m->fd, key);

        return r == -ENOENT ? 0 : r;
}

/* A key that a program deletes under the walk makes the kernel start again from the first: the walk has an end. */
static int kernel_keys(struct map *m, void **ret_keys, size_t *ret_n)
{
        _cleanup_free_ char *keys = NULL;
        size_t size = m->info.key_size, n = 0, cap = 0, limit = 2 * (size_t)m->info.max_entries;
        int r = 0;

        while (n < limit) {
                if (n == cap) {
                        cap = cap ? 2 * cap : 256;
                        keys = mem_realloc(keys, cap, size);
                }
                r = bpf_map_get_next_key(m->fd, n ? keys + (n - 1) * size : NULL, keys + n * size);
                if (r)
                        break;
                n++;
        }
        if (r && r != -ENOENT)
                return r;
        *ret_keys = TAKE_PTR(keys);
        *ret_n = n;
        return 0;
}

/* Begins behind the key that it is given, and says -ENOENT when it has reached the end. */
static int kernel_read_many(const struct map *m, uint32_t first, uint32_t n, void *ret_values)
{
        _cleanup_free_ uint32_t *keys = mem_array(uint32_t, n);
        uint32_t before = first - 1, last = 0, count = n;
        int r = bpf_map_lookup_batch(m->fd, first ? &before : NULL, &last, keys, ret_values, &count, NULL);

        return (r == 0 || r == -ENOENT) && count == n ? 0 : -EOPNOTSUPP;
}

static void kernel_free(struct map *m)
{
        close(m->fd);
        free(m);
}

static const struct map_ops kernel_ops = {
        .lookup = kernel_lookup,
        .update = kernel_update,
        .update_many = kernel_update_many,
        .delete = kernel_delete,
        .keys = kernel_keys,
        .read_many = kernel_read_many,
        .free = kernel_free,
};

static bool is_array(uint32_t type)
{
        return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static bool is_per_cpu(uint32_t type)
{
        return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
               type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

int map_new_kernel(int fd, struct map **ret)
{
        _cleanup_close_ int own = fd;
        struct bpf_map_info info = {0};
        uint32_t size = sizeof(info);
        struct map *m;
        int r = bpf_obj_get_info_by_fd(fd, &info, &size);

        if (r)
                return r;
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->ops = &kernel_ops;
        m->fd = TAKE_FD(own);
        m->array = is_array(info.type);
        m->prefixes = info.type == BPF_MAP_TYPE_LPM_TRIE;
        str_copy(m->name, sizeof(m->name), info.name);
        m->info = (struct map_info){
                .name = m->name,
                .key_size = info.key_size,
                .value_size = info.value_size,
                .max_entries = info.max_entries,
                .per_cpu = is_per_cpu(info.type),
        };
        *ret = m;
        return 0;
}
