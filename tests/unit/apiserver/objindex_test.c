/* SPDX-License-Identifier: Apache-2.0 */
/* The index against the simplest model that is right: a sorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/objindex.h"

#define KEYS 4000

static const struct kind_ops ops = {.group = "", .plural = "things"};

struct model {
        struct objindex ix;
        struct object *all[KEYS]; /* one object per possible name, in key order */
        bool in[KEYS];
        size_t n;
};

static void model_open(struct model *m)
{
        _cleanup_blob_ struct blob *b = blob_new("{\"metadata\":{}}", 15);
        char name[16];

        memset(m, 0, sizeof(*m));
        for (size_t i = 0; i < KEYS; i++) {
                snprintf(name, sizeof(name), "k%05zu", i * 2); /* odd numbers are names that nobody has */
                m->all[i] = object_new(&ops, i < KEYS / 2 ? "a" : "b", name, i, i, b);
        }
}

static void model_close(struct model *m)
{
        objindex_deinit(&m->ix);
        for (size_t i = 0; i < KEYS; i++) {
                assert_int_equal(atomic_load(&m->all[i]->refs), 1); /* the index kept none */
                object_unref(m->all[i]);
        }
}

static void model_put(struct model *m, size_t i)
{
        struct object *old = objindex_put(&m->ix, m->all[i]);

        assert_ptr_equal(old, m->in[i] ? m->all[i] : NULL);
        object_unref(old);
        m->n += !m->in[i];
        m->in[i] = true;
}

static void model_remove(struct model *m, size_t i)
{
        struct object *old = objindex_remove(&m->ix, m->all[i]->key);

        assert_ptr_equal(old, m->in[i] ? m->all[i] : NULL);
        object_unref(old);
        m->n -= m->in[i];
        m->in[i] = false;
}

static void assert_scan(const struct model *m, struct objindex_pos pos, size_t from)
{
        for (size_t i = from; i < KEYS; i++)
                if (m->in[i])
                        assert_ptr_equal(objindex_next(&m->ix, &pos), m->all[i]);
        assert_null(objindex_next(&m->ix, &pos));
        assert_null(objindex_next(&m->ix, &pos));
}

static void assert_same(const struct model *m)
{
        assert_int_equal(m->ix.n, m->n);
        assert_scan(m, (struct objindex_pos){0, 0}, 0);
        for (size_t i = 0; i < KEYS; i++)
                assert_ptr_equal(objindex_get(&m->ix, m->all[i]->key), m->in[i] ? m->all[i] : NULL);
        for (size_t i = 0; i < m->ix.nchunks; i++)
                assert_true(m->ix.chunks[i]->n > 0);
}

static void random_changes_agree_with_a_sorted_array(void **state _unused_)
{
        static struct model m;

        srandom(11);
        model_open(&m);
        for (size_t round = 0; round < 12; round++) {
                /* Filling rounds, emptying ones, and ones that stay about the same. */
                unsigned puts = round % 3 == 0 ? 90 : round % 3 == 1 ? 50 : 5;

                for (size_t i = 0; i < 5000; i++) {
                        size_t k = (size_t)random() % KEYS;

                        if ((unsigned)random() % 100 < puts)
                                model_put(&m, k);
                        else
                                model_remove(&m, k);
                }
                assert_same(&m);
        }
        model_close(&m);
}

static void growing_and_falling_keys_fill_the_chunks(void **state _unused_)
{
        static struct model m;

        model_open(&m);
        for (size_t i = 0; i < KEYS; i++)
                model_put(&m, i);
        assert_same(&m);
        assert_int_equal(m.ix.nchunks, (KEYS + OBJINDEX_CHUNK - 1) / OBJINDEX_CHUNK); /* all full */
        for (size_t i = KEYS; i > 0; i--)
                model_remove(&m, i - 1);
        assert_same(&m);
        assert_int_equal(m.ix.nchunks, 0);
        for (size_t i = KEYS; i > 0; i--)
                model_put(&m, i - 1);
        assert_same(&m);
        model_close(&m);
}

static void a_seek_finds_the_first_key_that_is_not_smaller(void **state _unused_)
{
        static struct model m;
        char between[20];

        srandom(3);
        model_open(&m);
        assert_null(objindex_next(&m.ix, &(struct objindex_pos){0, 0}));
        for (size_t i = 0; i < KEYS; i++)
                if (random() % 3)
                        model_put(&m, i);
        for (size_t i = 0; i < KEYS; i += 37) {
                assert_scan(&m, objindex_seek(&m.ix, m.all[i]->key, false), i);
                assert_scan(&m, objindex_seek(&m.ix, m.all[i]->key, true), i + 1);
                snprintf(between, sizeof(between), "%c/k%05zu", m.all[i]->key[0], i * 2 + 1);
                assert_scan(&m, objindex_seek(&m.ix, between, false), i + 1);
                assert_scan(&m, objindex_seek(&m.ix, between, true), i + 1);
        }
        assert_scan(&m, objindex_seek(&m.ix, "", false), 0);
        assert_scan(&m, objindex_seek(&m.ix, "b/", false), KEYS / 2);
        assert_scan(&m, objindex_seek(&m.ix, "z", true), KEYS);
        model_close(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(random_changes_agree_with_a_sorted_array),
                cmocka_unit_test(growing_and_falling_keys_fill_the_chunks),
                cmocka_unit_test(a_seek_finds_the_first_key_that_is_not_smaller),
        };

        return cmocka_run_group_tests_name("objindex", tests, NULL, NULL);
}
