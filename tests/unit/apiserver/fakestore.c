/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "unit/apiserver/fakestore.h"

struct change {
        uint64_t revision, create_revision;
        char *key;
        struct blob *value; /* NULL: deleted */
};

struct fakestore {
        struct store store;
        pthread_mutex_t lock;
        struct change *log; /* all that ever happened, in order */
        size_t n, cap, told;
        uint64_t revision, compacted;
        store_watch_fn fn;
        void *userdata;
        bool held;
        int fail;
        void (*before)(void *arg);
        void *before_arg;
};

static struct fakestore *fake_of(struct store *s)
{
        return container_of(s, struct fakestore, store);
}

/* The last change of the key up to that revision, or NULL. */
static const struct change *latest(const struct fakestore *f, const char *key, uint64_t revision)
{
        for (size_t i = f->n; i > 0; i--)
                if (f->log[i - 1].revision <= revision && strcmp(f->log[i - 1].key, key) == 0)
                        return &f->log[i - 1];
        return NULL;
}

static uint64_t revision_of(const struct fakestore *f, const char *key)
{
        const struct change *c = latest(f, key, UINT64_MAX);

        return c && c->value ? c->revision : STORE_REV_NONE;
}

static void tell(struct fakestore *f)
{
        size_t n = f->n - f->told;
        struct store_event *events;

        if (!f->fn || f->held || !n)
                return;
        events = mem_array(struct store_event, n);
        for (size_t i = 0; i < n; i++) {
                const struct change *c = &f->log[f->told + i];

                events[i] = (struct store_event){c->revision, c->create_revision, c->key, c->value};
        }
        f->told = f->n;
        f->fn(f->userdata, events, n);
        free(events);
}

static void append(struct fakestore *f, const struct store_op *op)
{
        const struct change *was = latest(f, op->key, UINT64_MAX);
        struct change c = {.revision = f->revision, .create_revision = f->revision};

        if (was && was->value)
                c.create_revision = was->create_revision;
        if (f->n == f->cap) {
                f->cap = f->cap ? f->cap * 2 : 64;
                f->log = mem_realloc(f->log, f->cap, sizeof(*f->log));
        }
        c.key = mem_strdup(op->key);
        c.value = op->kind == STORE_PUT ? blob_ref(op->value) : NULL;
        f->log[f->n++] = c;
}

static int check(const struct fakestore *f, const struct store_txn *txn, struct store_result *ret)
{
        for (size_t i = 0; i < txn->nops; i++) {
                uint64_t now = revision_of(f, txn->ops[i].key);

                if (txn->ops[i].expect_rev == STORE_REV_ANY || txn->ops[i].expect_rev == now)
                        continue;
                if (ret)
                        *ret = (struct store_result){f->revision, i, now};
                return STORE_CONFLICT;
        }
        return 0;
}

static bool writes(const struct fakestore *f, const struct store_op *op)
{
        return op->kind == STORE_PUT || (op->kind == STORE_DELETE && revision_of(f, op->key));
}

static int commit(struct fakestore *f, const struct store_txn *txn, struct store_result *ret)
{
        bool any = false;
        int r = f->fail ? f->fail : check(f, txn, ret);

        if (r)
                return r;
        for (size_t i = 0; i < txn->nops; i++)
                any |= writes(f, &txn->ops[i]);
        f->revision += any;
        for (size_t i = 0; i < txn->nops; i++)
                if (writes(f, &txn->ops[i]))
                        append(f, &txn->ops[i]);
        if (ret)
                *ret = (struct store_result){.revision = f->revision};
        tell(f);
        return 0;
}

static int fake_txn(struct store *s, const struct store_txn *txn, struct store_result *ret, struct err *reterr)
{
        struct fakestore *f = fake_of(s);
        void (*before)(void *arg) = f->before;
        int r;

        f->before = NULL;
        if (before)
                before(f->before_arg);
        pthread_mutex_lock(&f->lock);
        r = commit(f, txn, ret);
        pthread_mutex_unlock(&f->lock);
        return r ? err_set(reterr, r, "the store was told to fail") : 0;
}

static int order(const void *a, const void *b)
{
        return strcmp((*(const struct change *const *)a)->key, (*(const struct change *const *)b)->key);
}

/* What there was at that revision below the prefix, in order; the caller frees it. */
static const struct change **present(const struct fakestore *f, const struct store_range *range, uint64_t revision,
                                     size_t *ret_n)
{
        const struct change **found = mem_array(const struct change *, f->n + 1);
        size_t n = 0;

        for (size_t i = 0; i < f->n; i++) {
                const struct change *c = &f->log[i];

                if (c->value && c->revision <= revision && latest(f, c->key, revision) == c &&
                    strncmp(c->key, range->prefix, strlen(range->prefix)) == 0 &&
                    (!range->start_after || strcmp(c->key, range->start_after) > 0))
                        found[n++] = c;
        }
        qsort(found, n, sizeof(*found), order);
        *ret_n = range->limit ? MIN(n, (size_t)range->limit) : n;
        return found;
}

static int fake_range(struct store *s, const struct store_range *range, store_range_fn fn, void *userdata,
                      uint64_t *ret_revision, struct err *reterr _unused_)
{
        struct fakestore *f = fake_of(s);
        uint64_t revision = range->revision ? range->revision : f->revision;
        const struct change **found;
        size_t n;
        int r = 0;

        if (revision > f->revision)
                return STORE_FUTURE;
        if (revision < f->compacted)
                return STORE_COMPACTED;
        pthread_mutex_lock(&f->lock);
        found = present(f, range, revision, &n);
        for (size_t i = 0; i < n && !r; i++)
                r = fn(userdata, found[i]->key, found[i]->value, found[i]->revision, found[i]->create_revision);
        pthread_mutex_unlock(&f->lock);
        free(found);
        if (!r && ret_revision)
                *ret_revision = revision;
        return r;
}

static int fake_watch(struct store *s, uint64_t after_revision, store_watch_fn fn, void *userdata,
                      struct err *reterr _unused_)
{
        struct fakestore *f = fake_of(s);

        f->fn = fn;
        f->userdata = userdata;
        for (f->told = 0; f->told < f->n && f->log[f->told].revision <= after_revision;)
                f->told++;
        tell(f);
        return 0;
}

static int fake_compact(struct store *s, uint64_t revision, struct err *reterr _unused_)
{
        struct fakestore *f = fake_of(s);

        if (revision <= f->compacted)
                return STORE_COMPACTED;
        f->compacted = revision;
        return 0;
}

static void fake_stats(struct store *s, struct store_stats *ret)
{
        *ret = (struct store_stats){.revision = fake_of(s)->revision, .compacted_revision = fake_of(s)->compacted};
}

static void fake_close(struct store *s)
{
        struct fakestore *f = fake_of(s);

        for (size_t i = 0; i < f->n; i++) {
                free(f->log[i].key);
                blob_unref(f->log[i].value);
        }
        free(f->log);
        pthread_mutex_destroy(&f->lock);
        free(f);
}

struct store *fakestore_new(void)
{
        static const struct store_ops ops = {fake_txn, fake_range, fake_watch, fake_compact, fake_stats, fake_close};
        struct fakestore *f = mem_new(struct fakestore);

        f->store.ops = &ops;
        f->revision = 1;
        pthread_mutex_init(&f->lock, NULL);
        return &f->store;
}

void fakestore_hold(struct store *s)
{
        fake_of(s)->held = true;
}

void fakestore_release(struct store *s)
{
        fake_of(s)->held = false;
        tell(fake_of(s));
}

void fakestore_fail(struct store *s, int r)
{
        fake_of(s)->fail = r;
}

void fakestore_before(struct store *s, void (*fn)(void *arg), void *arg)
{
        fake_of(s)->before = fn;
        fake_of(s)->before_arg = arg;
}

uint64_t fakestore_revision(struct store *s)
{
        return fake_of(s)->revision;
}

uint64_t fakestore_put(struct store *s, const char *key, const char *value)
{
        _cleanup_blob_ struct blob *b = value ? blob_new(value, strlen(value)) : NULL;
        struct store_op op = {value ? STORE_PUT : STORE_DELETE, key, STORE_REV_ANY, b};
        struct store_result res = {0};

        if (store_txn(s, &(struct store_txn){&op, 1}, &res, NULL))
                abort();
        return res.revision;
}
