/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/internal.h"

static int op_validate(const struct store_op *op, size_t i, struct err *reterr)
{
        size_t len = op->key ? strnlen(op->key, KEY_MAX + 1) : 0;

        if (len == 0)
                return err_set(reterr, -EINVAL, "op %zu: the key is empty", i);
        if (len > KEY_MAX)
                return err_set(reterr, -EINVAL, "op %zu: the key is longer than %d bytes", i, KEY_MAX);
        if (memchr(op->key, '\n', len))
                return err_set(reterr, -EINVAL, "op %zu: the key has a newline", i);
        if (op->kind == STORE_PUT && !op->value)
                return err_set(reterr, -EINVAL, "op %zu: a put without a value", i);
        return 0;
}

static int key_compare(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int reject_double_writes(const struct store_txn *txn, struct err *reterr)
{
        _cleanup_free_ const char **keys = NULL;
        size_t n = 0;

        if (txn->nops < 2)
                return 0;
        keys = malloc(txn->nops * sizeof(*keys));
        if (!keys)
                return err_set(reterr, -ENOMEM, "out of memory");
        for (size_t i = 0; i < txn->nops; i++)
                if (txn->ops[i].kind != STORE_CHECK)
                        keys[n++] = txn->ops[i].key;
        qsort(keys, n, sizeof(*keys), key_compare);
        for (size_t i = 1; i < n; i++)
                if (strcmp(keys[i - 1], keys[i]) == 0)
                        return err_set(reterr, -EINVAL, "key \"%s\" is written twice in one transaction", keys[i]);
        return 0;
}

int txn_validate(const struct store_txn *txn, struct err *reterr)
{
        int r;

        if (txn->nops > TXN_OPS_MAX)
                return err_set(reterr, -E2BIG, "%zu operations in one transaction, at most %u are possible", txn->nops,
                               TXN_OPS_MAX);
        for (size_t i = 0; i < txn->nops; i++) {
                r = op_validate(&txn->ops[i], i, reterr);
                if (r)
                        return r;
        }
        return reject_double_writes(txn, reterr);
}
