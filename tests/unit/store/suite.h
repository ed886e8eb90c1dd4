/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What any store must do, whatever it is made of. An implementation's test gives a factory and runs store_suite().
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/store.h"

struct store_factory {
        /* Opens the store; twice in a row (with a store_close between) it has what it had. Asserts that it can. */
        struct store *(*open)(void);
        /* Forgets everything: the next open gives an empty store. */
        void (*reset)(void);
};

/* Runs the suite; returns the number of failed tests. */
int store_suite(const struct store_factory *factory);

/* Short forms for tests of stores. */
struct blob *suite_blob(const char *text);
/* One put; returns what store_txn does, *ret_rev (may be NULL) is the new or the real revision. */
int suite_put(struct store *s, const char *key, const char *value, uint64_t expect_rev, uint64_t *ret_rev);
int suite_delete(struct store *s, const char *key, uint64_t expect_rev, uint64_t *ret_rev);
uint64_t suite_must_put(struct store *s, const char *key, const char *value);

struct suite_entry {
        char key[1025];
        struct blob *value;
        uint64_t mod, created;
};

struct suite_list {
        struct suite_entry *entries;
        size_t n;
        uint64_t revision;
};

/* All of a range; returns what store_range does. */
int suite_range(struct store *s, const struct store_range *range, struct suite_list *ret);
void suite_list_deinit(struct suite_list *list);
/* "key=value,key=value" of a range at a revision; "!<result>" when it fails. The caller frees it. */
char *suite_text(struct store *s, const char *prefix, uint64_t revision);
void suite_wait_compacted(struct store *s);
