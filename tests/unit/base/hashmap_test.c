/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/uuid.h"

static void siphash_matches_its_published_vector(void **state)
{
        /* SipHash-1-3 of the empty input and of 00 under the key 00..0f, from Rust's core library tests. */
        static const uint64_t seed[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

        assert_true(hash_bytes(seed, "", 0) == 0xabac0158050fc4dcULL);
        assert_true(hash_bytes(seed, "\0", 1) == 0xc9f49bf37d57ca93ULL);
}

static void strings_are_put_replaced_and_deleted(void **state)
{
        struct hashmap m;
        int a, b;

        hashmap_init(&m, HASHMAP_STR_OWNED);
        assert_null(hashmap_get(&m, "x"));
        assert_null(hashmap_put(&m, "x", &a));
        assert_ptr_equal(hashmap_put(&m, "x", &b), &a);
        assert_int_equal(m.count, 1);
        assert_ptr_equal(hashmap_get_n(&m, "xyz", 1), &b);
        assert_ptr_equal(hashmap_del(&m, "x"), &b);
        assert_null(hashmap_del(&m, "x"));
        assert_null(hashmap_put(&m, "null", NULL));
        assert_non_null(hashmap_find(&m, "null", 4));
        assert_null(hashmap_find(&m, "nul", 3));
        hashmap_deinit(&m);
}

/* The oracle is an array indexed by the key. */
static void random_operations_agree_with_an_array(void **state)
{
        void *want[512] = {0};
        struct hashmap m;
        size_t count = 0;

        hashmap_init(&m, HASHMAP_U64);
        for (int step = 0; step < 200000; step++) {
                uint64_t k = random_below(512);
                void *v = (void *)(uintptr_t)(step + 1), *old = want[k];

                if (random_below(2)) {
                        assert_ptr_equal(hashmap_put_u64(&m, k, v), old);
                        want[k] = v;
                } else {
                        assert_ptr_equal(hashmap_del_u64(&m, k), old);
                        want[k] = NULL;
                }
                assert_ptr_equal(hashmap_get_u64(&m, k), want[k]);
        }
        for (size_t k = 0; k < 512; k++)
                count += want[k] != NULL;
        hashmap_foreach (&m, slot) {
                assert_ptr_equal(slot->value, want[slot->key.num]);
                count--;
        }
        assert_int_equal(count, 0);
        hashmap_deinit(&m);
}

static void bounded_randomness_stays_below_and_reaches_all(void **state)
{
        int seen[10] = {0};

        for (int i = 0; i < 1000; i++)
                seen[random_below(10)]++;
        for (int i = 0; i < 10; i++)
                assert_true(seen[i] > 0);
        for (int i = 0; i < 1000; i++) {
                uint64_t v = random_jitter(100, 50);

                assert_in_range(v, 100, 150);
        }
}

static void a_forked_child_draws_other_bytes(void **state)
{
        uint64_t mine[4], theirs[4];
        int fds[2];
        pid_t pid;

        random_u64();
        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (!pid) {
                random_bytes(theirs, sizeof(theirs));
                _exit(write(fds[1], theirs, sizeof(theirs)) != sizeof(theirs));
        }
        random_bytes(mine, sizeof(mine));
        assert_int_equal(read(fds[0], theirs, sizeof(theirs)), sizeof(theirs));
        waitpid(pid, NULL, 0);
        assert_memory_not_equal(mine, theirs, sizeof(mine));
        close(fds[0]);
        close(fds[1]);
}

static void uuids_are_version_4_and_differ(void **state)
{
        struct hashmap m;
        char buf[UUID_TEXT_SIZE];

        hashmap_init(&m, HASHMAP_STR_OWNED);
        for (int i = 0; i < 10000; i++) {
                assert_ptr_equal(uuid_new(buf), buf);
                assert_int_equal(strlen(buf), 36);
                assert_int_equal(buf[14], '4');
                assert_non_null(strchr("89ab", buf[19]));
                assert_true(buf[8] == '-' && buf[13] == '-' && buf[18] == '-' && buf[23] == '-');
                assert_null(hashmap_put(&m, buf, &m));
        }
        hashmap_deinit(&m);
}

static void quoting_follows_go(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"plain", "\"plain\""},
                {"a\"b\\c", "\"a\\\"b\\\\c\""},
                {"\n\t\x01\x7f", "\"\\n\\t\\x01\\x7f\""},
                {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
                {"\xff\xc3", "\"\\xff\\xc3\""},
                {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

                strbuf_add_quoted(&b, cases[i].in, strlen(cases[i].in));
                assert_string_equal(b.data, cases[i].out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(siphash_matches_its_published_vector),
                cmocka_unit_test(strings_are_put_replaced_and_deleted),
                cmocka_unit_test(random_operations_agree_with_an_array),
                cmocka_unit_test(bounded_randomness_stays_below_and_reaches_all),
                cmocka_unit_test(a_forked_child_draws_other_bytes),
                cmocka_unit_test(uuids_are_version_4_and_differ),
                cmocka_unit_test(quoting_follows_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
