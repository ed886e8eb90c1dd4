/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random transactions, ranges, compactions and reopenings against a plain model that keeps every version in an array.
 * FAIRLEAD_SEED=n repeats a run.
 */
#include <string.h>
#include <time.h>

#include "unit/store/sqlite_help.h"

enum { KEYS = 12, STEPS = 1500, VERSIONS_MAX = STEPS * 4, OPS_MAX = 4 };

static const char *const keys[KEYS] = {"/a",   "/a/1", "/a/2",    "/a/10", "/b",        "/b/x",
                                       "/b/y", "/c",   "/c/\x7f", "/d",    "/a/1/deep", "/\xfe"};

struct version {
        int key;
        long value; /* -1: deleted */
        uint64_t mod, created;
};

struct model {
        struct version versions[VERSIONS_MAX];
        size_t n;
        uint64_t revision, compacted;
        size_t told; /* events that the watcher got */
        unsigned int seed;
};

static struct model model;

static unsigned int roll(unsigned int n)
{
        return (unsigned int)rand_r(&model.seed) % n;
}

/* The key's state at a revision; NULL when it does not exist. */
static const struct version *model_get(int key, uint64_t revision)
{
        for (size_t i = model.n; i-- > 0;)
                if (model.versions[i].key == key && model.versions[i].mod <= revision)
                        return model.versions[i].value < 0 ? NULL : &model.versions[i];
        return NULL;
}

struct plan {
        struct store_op ops[OPS_MAX];
        int key[OPS_MAX];
        long value[OPS_MAX];
        size_t n;
};

static uint64_t pick_expectation(const struct version *now)
{
        switch (roll(5)) {
        case 0:
        case 1:
                return STORE_REV_ANY;
        case 2:
                return roll(10) ? (now ? now->mod : STORE_REV_NONE) : 1 + roll((unsigned int)model.revision + 1);
        case 3:
                return now ? now->mod : STORE_REV_NONE;
        default:
                return roll(4) ? (now ? now->mod : STORE_REV_NONE) : STORE_REV_NONE;
        }
}

static void plan_make(struct plan *plan)
{
        bool written[KEYS] = {false};

        plan->n = 1 + roll(OPS_MAX);
        for (size_t i = 0; i < plan->n; i++) {
                enum store_op_kind kind = roll(10) < 6 ? STORE_PUT : roll(4) < 3 ? STORE_DELETE : STORE_CHECK;
                int key = (int)roll(KEYS);
                char text[24];

                if (written[key])
                        kind = STORE_CHECK;
                written[key] |= kind != STORE_CHECK;
                plan->key[i] = key;
                plan->value[i] = (long)roll(1000000);
                snprintf(text, sizeof(text), "%ld", plan->value[i]);
                plan->ops[i] = (struct store_op){kind, keys[key], pick_expectation(model_get(key, UINT64_MAX)),
                                                 kind == STORE_PUT ? suite_blob(text) : NULL};
        }
}

static void plan_free(struct plan *plan)
{
        for (size_t i = 0; i < plan->n; i++)
                blob_unref(plan->ops[i].value);
}

/* Returns the index of the first op that fails, or -1, after which the model has the changes. */
static int model_apply(const struct plan *plan)
{
        uint64_t revision = model.revision + 1;
        size_t begin = model.n;

        for (size_t i = 0; i < plan->n; i++) {
                const struct version *now = model_get(plan->key[i], UINT64_MAX);

                if (plan->ops[i].expect_rev != STORE_REV_ANY && plan->ops[i].expect_rev != (now ? now->mod : 0))
                        return (int)i;
        }
        for (size_t i = 0; i < plan->n; i++) {
                const struct version *now = model_get(plan->key[i], UINT64_MAX);
                bool put = plan->ops[i].kind == STORE_PUT;

                if (plan->ops[i].kind == STORE_CHECK || (!put && !now))
                        continue;
                model.versions[model.n++] = (struct version){plan->key[i], put ? plan->value[i] : -1, revision,
                                                             now ? now->created : revision};
        }
        if (model.n > begin)
                model.revision = revision;
        return -1;
}

static void step_txn(struct store *s)
{
        struct plan plan;
        struct store_result result = {0};
        int failed, r;

        plan_make(&plan);
        r = store_txn(s, &(struct store_txn){plan.ops, plan.n}, &result, NULL);
        failed = model_apply(&plan);
        if (failed < 0) {
                assert_int_equal(r, 0);
                assert_int_equal(result.revision, model.revision);
        } else {
                const struct version *now = model_get(plan.key[failed], UINT64_MAX);

                assert_int_equal(r, STORE_CONFLICT);
                assert_int_equal(result.failed_op, failed);
                assert_int_equal(result.failed_rev, now ? now->mod : 0);
        }
        plan_free(&plan);
        assert_int_equal(model.told, model.n);
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(keys[*(const int *)a], keys[*(const int *)b]);
}

static void check_range(const struct store_range *range, const struct suite_list *list)
{
        uint64_t revision = range->revision ? range->revision : model.revision;
        int order[KEYS];
        size_t n = 0;

        for (int k = 0; k < KEYS; k++)
                order[k] = k;
        qsort(order, KEYS, sizeof(*order), compare_keys);
        for (int k = 0; k < KEYS && (!range->limit || n < range->limit); k++) {
                const struct version *v = model_get(order[k], revision);
                const char *key = keys[order[k]];

                if (!v || strncmp(key, range->prefix, strlen(range->prefix)) != 0 ||
                    (range->start_after && strcmp(key, range->start_after) <= 0))
                        continue;
                assert_true(n < list->n);
                assert_string_equal(list->entries[n].key, key);
                assert_int_equal(strtol(list->entries[n].value->data, NULL, 10), v->value);
                assert_int_equal(list->entries[n].mod, v->mod);
                assert_int_equal(list->entries[n].created, v->created);
                n++;
        }
        assert_int_equal(n, list->n);
        assert_int_equal(list->revision, revision);
}

static void step_range(struct store *s)
{
        static const char *const prefixes[] = {"", "/", "/a", "/a/", "/a/1", "/b/", "/\xfe", "/zz"};
        struct store_range range = {.prefix = prefixes[roll(ARRAY_SIZE(prefixes))],
                                    .start_after = roll(3) ? NULL : keys[roll(KEYS)],
                                    .limit = roll(2) ? 0 : 1 + roll(5),
                                    .revision = roll(2) ? 0 : roll((unsigned int)model.revision + 2)};
        struct suite_list list;
        int r = suite_range(s, &range, &list);

        if (range.revision > model.revision)
                assert_int_equal(r, STORE_FUTURE);
        else if (range.revision && range.revision < model.compacted)
                assert_int_equal(r, STORE_COMPACTED);
        else
                assert_int_equal(r, 0);
        if (!r)
                check_range(&range, &list);
        suite_list_deinit(&list);
}

static void step_compact(struct store *s)
{
        uint64_t revision = model.compacted + roll((unsigned int)(model.revision - model.compacted) + 2);
        int r = store_compact(s, revision, NULL);

        assert_int_equal(r, revision > model.revision && revision > model.compacted ? STORE_FUTURE
                            : revision <= model.compacted                           ? STORE_COMPACTED
                                                                                    : 0);
        if (!r)
                model.compacted = revision;
        if (roll(2))
                suite_wait_compacted(s);
}

static void check_events(void *userdata, const struct store_event *events, size_t n)
{
        for (size_t i = 0; i < n; i++)
                assert_true(!i || events[i].revision >= events[i - 1].revision);
        model.told += n;
}

static struct store *reopen(struct store *s)
{
        struct store_stats stats;
        size_t live = 0;

        store_close(s);
        s = help_open();
        for (int k = 0; k < KEYS; k++)
                live += model_get(k, UINT64_MAX) != NULL;
        store_stats(s, &stats);
        assert_int_equal(stats.revision, model.revision);
        assert_int_equal(stats.compacted_revision, model.compacted);
        assert_int_equal(stats.keys, live);
        assert_int_equal(store_watch(s, model.revision, check_events, NULL, NULL), 0);
        return s;
}

static void a_random_history_equals_the_models(void **state)
{
        const char *seed = getenv("FAIRLEAD_SEED");
        struct store *s;

        help_reset();
        memset(&model, 0, sizeof(model));
        model.seed = seed ? (unsigned int)atoi(seed) : (unsigned int)time(NULL);
        print_message("FAIRLEAD_SEED=%u\n", model.seed);
        s = reopen(NULL);
        for (int i = 0; i < STEPS; i++) {
                unsigned int what = roll(100);

                if (what < 60)
                        step_txn(s);
                else if (what < 97)
                        step_range(s);
                else if (what < 99)
                        step_compact(s);
                else
                        s = reopen(s);
        }
        store_close(s);
}

int main(void)
{
        const struct CMUnitTest model_tests[] = {
                cmocka_unit_test(a_random_history_equals_the_models),
        };
        int failed;

        help_init();
        failed = cmocka_run_group_tests(model_tests, NULL, NULL);
        help_deinit();
        return failed;
}
