/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "agent/check/findings.h"
#include "base/hashmap.h"
#include "base/mem.h"

void findings_add(struct findings *f, const char *table, const char *object, const char *fmt, ...)
{
        struct finding *item;
        va_list ap;

        if (f->n == f->cap) {
                f->cap = f->cap ? 2 * f->cap : 16;
                f->items = mem_realloc(f->items, f->cap, sizeof(*f->items));
        }
        item = &f->items[f->n++];
        item->table = table;
        item->object = arena_strdup(&f->arena, object);
        va_start(ap, fmt);
        item->text = arena_vprintf(&f->arena, fmt, ap);
        va_end(ap);
}

static const char *key_of(struct arena *a, const struct finding *item)
{
        return arena_printf(a, "%s\n%s\n%s", item->table, item->object, item->text);
}

void findings_keep_common(struct findings *f, const struct findings *other)
{
        struct arena arena = ARENA_NULL;
        struct hashmap there;
        size_t n = 0;

        hashmap_init(&there, HASHMAP_STR);
        for (size_t i = 0; i < other->n; i++)
                hashmap_put(&there, key_of(&arena, &other->items[i]), f);
        for (size_t i = 0; i < f->n; i++)
                if (hashmap_get(&there, key_of(&arena, &f->items[i])))
                        f->items[n++] = f->items[i];
        f->n = n;
        hashmap_deinit(&there);
        arena_deinit(&arena);
}

void findings_deinit(struct findings *f)
{
        free(f->items);
        arena_deinit(&f->arena);
        *f = FINDINGS_NULL;
}
