/* SPDX-License-Identifier: Apache-2.0 */
/* status.images, by which the scheduler prefers nodes that have an image already. */
#include <stdlib.h>

#include "agent/kubelet/node/impl.h"
#include "base/mem.h"

#define IMAGES_MAX 50
#define NAMES_MAX  5

struct sorted {
        const struct image **list;
        size_t n;
};

static void collect(void *userdata, const struct image *image)
{
        struct sorted *s = userdata;

        s->list = mem_realloc(s->list, s->n + 1, sizeof(*s->list));
        s->list[s->n++] = image;
}

static int by_size(const void *a, const void *b)
{
        const struct image *x = *(const struct image *const *)a, *y = *(const struct image *const *)b;

        return x->bytes > y->bytes ? -1 : x->bytes < y->bytes;
}

static void add_names(struct json_object *names, const char *const *list)
{
        for (size_t i = 0; list && list[i] && json_len(names) < NAMES_MAX; i++)
                json_object_array_add(names, json_object_new_string(list[i]));
}

static struct json_object *describe(const struct image *image)
{
        struct json_object *o = json_object_new_object(), *names = json_object_new_array();

        add_names(names, image->digests);
        add_names(names, image->tags);
        json_set(o, "names", names);
        json_set_i64(o, "sizeBytes", (int64_t)image->bytes);
        return o;
}

struct json_object *node_images(const struct images *im)
{
        struct json_object *list = json_object_new_array();
        struct sorted s = {0};

        if (im)
                images_each(im, collect, &s);
        if (s.n)
                qsort(s.list, s.n, sizeof(*s.list), by_size);
        for (size_t i = 0; i < MIN(s.n, (size_t)IMAGES_MAX); i++)
                json_object_array_add(list, describe(s.list[i]));
        free(s.list);
        return list;
}
