/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "unit/store/suite.h"

struct blob *suite_blob(const char *text)
{
        struct blob *b = blob_new(text, strlen(text));

        assert_non_null(b);
        return b;
}

static int one_op(struct store *s, struct store_op *op, uint64_t *ret_rev)
{
        struct store_txn txn = {.ops = op, .nops = 1};
        struct store_result result = {0};
        struct err err = ERR_NULL;
        int r = store_txn(s, &txn, &result, &err);

        if (ret_rev)
                *ret_rev = r == STORE_CONFLICT ? result.failed_rev : result.revision;
        return r;
}

int suite_put(struct store *s, const char *key, const char *value, uint64_t expect_rev, uint64_t *ret_rev)
{
        _cleanup_blob_ struct blob *b = suite_blob(value);

        return one_op(s, &(struct store_op){STORE_PUT, key, expect_rev, b}, ret_rev);
}

int suite_delete(struct store *s, const char *key, uint64_t expect_rev, uint64_t *ret_rev)
{
        return one_op(s, &(struct store_op){STORE_DELETE, key, expect_rev, NULL}, ret_rev);
}

uint64_t suite_must_put(struct store *s, const char *key, const char *value)
{
        uint64_t rev = 0;

        assert_int_equal(suite_put(s, key, value, STORE_REV_ANY, &rev), 0);
        return rev;
}

static int collect(void *userdata, const char *key, struct blob *value, uint64_t mod, uint64_t created)
{
        struct suite_list *list = userdata;
        struct suite_entry *e;

        list->entries = reallocarray(list->entries, list->n + 1, sizeof(*list->entries));
        assert_non_null(list->entries);
        e = &list->entries[list->n++];
        *e = (struct suite_entry){.value = blob_ref(value), .mod = mod, .created = created};
        assert_true(strlen(key) < sizeof(e->key));
        strcpy(e->key, key);
        return 0;
}

int suite_range(struct store *s, const struct store_range *range, struct suite_list *ret)
{
        struct err err = ERR_NULL;

        *ret = (struct suite_list){0};
        return store_range(s, range, collect, ret, &ret->revision, &err);
}

void suite_list_deinit(struct suite_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                blob_unref(list->entries[i].value);
        free(list->entries);
        *list = (struct suite_list){0};
}

char *suite_text(struct store *s, const char *prefix, uint64_t revision)
{
        _cleanup_(suite_list_deinit) struct suite_list list;
        struct strbuf text = STRBUF_NULL;
        int r = suite_range(s, &(struct store_range){.prefix = prefix, .revision = revision}, &list);

        if (r)
                strbuf_printf(&text, "!%d", r);
        for (size_t i = 0; !r && i < list.n; i++)
                strbuf_printf(&text, "%s%s=%.*s", i ? "," : "", list.entries[i].key, (int)list.entries[i].value->len,
                              list.entries[i].value->data);
        return strbuf_take(&text, NULL);
}

void suite_wait_compacted(struct store *s)
{
        struct store_stats stats;

        for (int i = 0; i < 10000; i++) {
                store_stats(s, &stats);
                if (!stats.compacting)
                        return;
                usleep(1000);
        }
        fail_msg("compaction does not end");
}
