/* SPDX-License-Identifier: Apache-2.0 */
/* What a request collects on its way: the store operations of its write, and the warnings of its answer. */
#include <stdarg.h>
#include <string.h>

#include "apiserver/kind.h"
#include "base/blob.h"

static void txn_add(struct txn_builder *t, struct store_op op)
{
        if (t->n == t->cap) {
                size_t cap = t->cap ? t->cap * 2 : 4;
                struct store_op *ops = arena_array(t->arena, struct store_op, cap);

                if (t->n)
                        memcpy(ops, t->ops, t->n * sizeof(*ops));
                t->ops = ops;
                t->cap = cap;
        }
        op.key = arena_strdup(t->arena, op.key);
        t->ops[t->n++] = op;
}

void txn_put(struct txn_builder *t, const char *key, const char *data, size_t len, uint64_t expect_rev)
{
        struct blob *value = blob_new(data, len);

        if (!value)
                abort(); /* as the arena does: a request that cannot get this much cannot be answered */
        txn_add(t, (struct store_op){.kind = STORE_PUT, .key = key, .expect_rev = expect_rev, .value = value});
}

void txn_delete(struct txn_builder *t, const char *key, uint64_t expect_rev)
{
        txn_add(t, (struct store_op){.kind = STORE_DELETE, .key = key, .expect_rev = expect_rev});
}

void txn_check(struct txn_builder *t, const char *key, uint64_t expect_rev)
{
        txn_add(t, (struct store_op){.kind = STORE_CHECK, .key = key, .expect_rev = expect_rev});
}

void txn_deinit(struct txn_builder *t)
{
        for (size_t i = 0; i < t->n; i++)
                blob_unref(t->ops[i].value);
        t->n = 0;
}

void warnings_add(struct warnings *w, const char *fmt, ...)
{
        const char *text;
        va_list ap;

        va_start(ap, fmt);
        text = arena_vprintf(w->arena, fmt, ap);
        va_end(ap);
        for (size_t i = 0; i < w->n; i++)
                if (strcmp(w->items[i], text) == 0)
                        return;
        if (w->n == w->cap) {
                size_t cap = w->cap ? w->cap * 2 : 4;
                const char **items = arena_array(w->arena, const char *, cap);

                if (w->n)
                        memcpy(items, w->items, w->n * sizeof(*items));
                w->items = items;
                w->cap = cap;
        }
        w->items[w->n++] = text;
}
