/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/kind.h"
#include "base/blob.h"

static void a_transaction_keeps_its_own_copies(void **state)
{
        struct arena a = ARENA_NULL;
        struct txn_builder t = {.arena = &a};
        char key[] = "/registry/pods/a/0";
        char data[] = "{}";

        for (int c = '0'; c <= '9'; c++) {
                key[strlen(key) - 1] = c;
                txn_put(&t, key, data, strlen(data), STORE_REV_NONE);
        }
        txn_delete(&t, key, 7);
        txn_check(&t, key, STORE_REV_ANY);
        memset(key, 'x', sizeof(key) - 1);
        data[0] = '!';
        assert_int_equal(t.n, 12);
        assert_string_equal(t.ops[0].key, "/registry/pods/a/0");
        assert_string_equal(t.ops[9].key, "/registry/pods/a/9");
        assert_string_equal(t.ops[9].value->data, "{}");
        assert_int_equal(t.ops[9].kind, STORE_PUT);
        assert_int_equal(t.ops[10].kind, STORE_DELETE);
        assert_int_equal(t.ops[10].expect_rev, 7);
        assert_int_equal(t.ops[11].kind, STORE_CHECK);
        txn_deinit(&t);
        assert_int_equal(t.n, 0);
        arena_deinit(&a);
}

static void a_warning_is_said_once(void **state)
{
        struct arena a = ARENA_NULL;
        struct warnings w = {.arena = &a};

        for (int i = 0; i < 10; i++)
                warnings_add(&w, "spec.x%d: deprecated", i % 6);
        assert_int_equal(w.n, 6);
        assert_string_equal(w.items[0], "spec.x0: deprecated");
        assert_string_equal(w.items[5], "spec.x5: deprecated");
        arena_deinit(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_transaction_keeps_its_own_copies),
                cmocka_unit_test(a_warning_is_said_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
