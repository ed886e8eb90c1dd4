/* SPDX-License-Identifier: Apache-2.0 */
/* A store in memory for tests: the whole interface, nothing durable. Changes are told on the writer's thread. */
#pragma once

#include "store/store.h"

struct store *fakestore_new(void);
/* From now on writes are remembered and told together, as a group commit does, at fakestore_release. */
void fakestore_hold(struct store *s);
void fakestore_release(struct store *s);
/* What every transaction answers from now on (STORE_FULL, -EIO); 0: works. */
void fakestore_fail(struct store *s, int r);
/* Called once, before the next transaction is looked at: where races are made. */
void fakestore_before(struct store *s, void (*fn)(void *arg), void *arg);
uint64_t fakestore_revision(struct store *s);
/* One write without preconditions; value NULL deletes. Returns its revision. */
uint64_t fakestore_put(struct store *s, const char *key, const char *value);
