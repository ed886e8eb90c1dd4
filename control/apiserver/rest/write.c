/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "apiserver/rest/write.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "apiserver/storekey.h"
#include "base/log.h"

#define OBJECT_MAX_BYTES (1536 * 1024) /* etcd's limit, so that a store can be moved there */
#define STAGE_ATTEMPTS   64
#define WAIT_MS          10000

void write_open(struct write *w, struct api_request *req, const char *namespace, const char *name)
{
        *w = (struct write){.req = req, .namespace = namespace, .name = name};
        w->stored = kind_storage(req->resource);
        w->cache = cache_of(req->server->caches, req->resource);
        w->ops = kind_ops_find(w->stored->group, w->stored->plural);
        w->kctx = api_kctx(req);
        w->kctx.namespace = namespace;
        if (name)
                w->key = store_key(req->arena, w->stored->group, w->stored->plural, namespace, name);
}

static void forget(struct write *w)
{
        object_unref(TAKE_PTR(w->old));
        json_object_put(TAKE_PTR(w->old_tree));
        json_object_put(TAKE_PTR(w->obj));
        blob_unref(TAKE_PTR(w->result));
}

void write_close(struct write *w)
{
        forget(w);
}

void write_load(struct write *w)
{
        forget(w);
        w->old = cache_get(w->cache, w->namespace, w->name);
        if (w->old)
                w->old_tree = object_tree(w->old);
}

/* ---- versions ---- */

static void set_version(struct json_object *obj, const struct schema_resource *r)
{
        char text[300];

        snprintf(text, sizeof(text), "%s%s%s", r->group, *r->group ? "/" : "", r->version);
        json_set_str(obj, "apiVersion", text);
        json_set_str(obj, "kind", r->kind);
}

struct json_object *write_old_as_requested(const struct write *w)
{
        struct json_object *o = json_copy(w->old_tree);

        if (o && w->stored != w->req->resource) {
                kind_from_storage(w->req->resource, o);
                set_version(o, w->req->resource);
        }
        return o;
}

void write_set(struct write *w, struct json_object *obj)
{
        const struct schema_resource *r = w->req->resource;
        const struct kind_ops *ops = kind_ops_find(r->group, r->plural);

        json_object_put(w->obj);
        w->obj = obj;
        set_version(obj, r);
        if (ops->defaults)
                ops->defaults(&w->kctx, obj);
        if (w->stored == r)
                return;
        kind_to_storage(r, obj);
        set_version(obj, w->stored);
}

int write_answer(struct write *w, int status)
{
        return rest_answer_object(w->req, status, w->result);
}

/* ---- committing ---- */

static struct blob *encode(struct write *w)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        object_encode(&b, w->obj);
        return blob_new(b.data, b.len);
}

/* 0, or API_ANSWERED when these bytes cannot be stored. */
static int check_encoded(struct write *w, const struct blob *stored)
{
        size_t max = w->ops->max_bytes ? w->ops->max_bytes : OBJECT_MAX_BYTES;

        if (!stored)
                return api_fail(w->req, 500, "out of memory");
        if (stored->len <= max)
                return 0;
        return api_fail(w->req, 413, "the object is too large to store: %u bytes, at most %zu are allowed", stored->len,
                        max);
}

/* An update that changes nothing is answered with what is there: no revision, no event. */
static bool is_unchanged(const struct write *w)
{
        if (!w->old || !w->obj)
                return false;
        json_del(json_get(w->old_tree, "metadata"), "resourceVersion");
        json_del(json_get(w->obj, "metadata"), "resourceVersion");
        return json_equal(w->old_tree, w->obj);
}

static int dry_result(struct write *w)
{
        _cleanup_blob_ struct blob *stored = NULL;
        int r;

        if (!w->obj)
                return 0;
        stored = encode(w);
        r = check_encoded(w, stored);
        if (!r)
                w->result = w->old ? object_with_revision(stored, w->old->revision) : blob_ref(stored);
        return r;
}

/* After the commit, the bytes that readers get are the cache's own; when somebody was faster, they are made again. */
static void take_result(struct write *w, struct blob *stored, uint64_t revision)
{
        _cleanup_object_ struct object *now = cache_get(w->cache, w->namespace, w->name);

        w->result = now && now->revision == revision ? blob_ref(now->json) : object_with_revision(stored, revision);
}

static int stage(struct write *w, struct txn_builder *t)
{
        struct ferrs errs = FERRS(w->req->arena);

        if (!w->ops->stage)
                return 0;
        w->ops->stage(&w->kctx, w->obj, w->old_tree, t, &errs);
        return errs.n ? api_fail_invalid(w->req, w->name, &errs) : 0;
}

static void add_write(struct write *w, struct txn_builder *t, const struct blob *stored)
{
        uint64_t expect = w->old ? w->old->revision : STORE_REV_NONE;

        if (stored)
                txn_put(t, w->key, stored->data, stored->len, expect);
        else
                txn_delete(t, w->key, expect);
}

/* One attempt of staging and writing. WRITE_RETRY with *ret_staging: only what stage chose was taken by others. */
static int commit_once(struct write *w, bool *ret_staging)
{
        struct txn_builder t = {.arena = w->req->arena};
        _cleanup_blob_ struct blob *stored = NULL;
        struct store_result result = {0};
        struct err err = ERR_NULL;
        int r;

        r = stage(w, &t);
        if (!r && w->kctx.dry_run)
                r = dry_result(w);
        else if (!r && w->obj) {
                stored = encode(w);
                r = check_encoded(w, stored);
        }
        if (r || w->kctx.dry_run) {
                txn_deinit(&t);
                return r;
        }
        add_write(w, &t, stored);
        r = store_txn(w->req->server->store, &(struct store_txn){t.ops, t.n}, &result, &err);
        if (r == STORE_CONFLICT) {
                *ret_staging = result.failed_op + 1 < t.n;
                cache_wait(w->req->server->caches, result.failed_rev, 100);
                r = WRITE_RETRY;
        } else if (r) {
                r = api_fail_store(w->req, r, &err);
        } else {
                cache_wait(w->req->server->caches, result.revision, WAIT_MS);
                if (stored)
                        take_result(w, stored, result.revision);
        }
        txn_deinit(&t);
        return r;
}

int write_commit(struct write *w)
{
        void *memo = NULL;
        int r = WRITE_RETRY;

        if (is_unchanged(w)) {
                w->result = blob_ref(w->old->json);
                return 0;
        }
        w->kctx.stage_memo = &memo;
        for (w->kctx.attempt = 0; w->kctx.attempt < STAGE_ATTEMPTS; w->kctx.attempt++) {
                bool staging = false;

                r = commit_once(w, &staging);
                if (r != WRITE_RETRY || !staging)
                        break;
        }
        w->kctx.stage_memo = NULL;
        return r;
}
