/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata and the order of checks (apiserver/pkg/registry/rest: BeforeCreate, BeforeUpdate). */
#include <inttypes.h>

#include "apiserver/codec/normalise.h"
#include "apiserver/meta_validate.h"
#include "apiserver/rest/patch.h"
#include "apiserver/rest/write.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/uuid.h"

/* status as it is when nobody has written it yet */
static void reset_status(struct json_object *obj, const struct schema_struct *type)
{
        const struct schema_field *f = schema_field_find(type, "status");

        json_del(obj, "status");
        if (!f || !(f->flags & SCHEMA_ALWAYS) || f->type.kind != SCHEMA_OBJECT)
                return;
        codec_normalise(json_ensure(obj, "status"), f->type.object, NULL, NULL); /* adds what Go always writes */
}

/* ---- managed fields ---- */

static void track(struct write *w)
{
        struct managed_context ctx = managed_context_of(w->req);

        ctx.type = w->stored->type;
        ctx.manager = w->manager;
        if (w->manager && !w->applied)
                managed_update(&ctx, w->old_tree, w->obj);
}

int write_admit(struct write *w, enum admit_verb verb)
{
        struct admit_result res = {0};
        int r = admit_mutate(&w->kctx, verb, w->obj, w->old_tree, &res);
        struct status_cause cause = {res.cause_reason, res.cause_message, res.cause_field};
        struct status s = {
                .code = res.code,
                .reason = res.reason,
                .message = res.message,
                .name = w->name,
                .group = w->req->group,
                .kind = w->req->plural,
                .causes = &cause,
                .ncauses = res.cause_reason ? 1 : 0,
        };

        return r ? api_fail_status(w->req, &s) : 0;
}

static int fail_if_any(struct write *w, const struct ferrs *e)
{
        return e->n ? api_fail_invalid(w->req, w->name, e) : 0;
}

/* ---- create ---- */

static void stamp_new(struct write *w)
{
        struct json_object *meta = json_ensure(w->obj, "metadata");
        char now[CLOCK_TEXT_SIZE], uid[UUID_TEXT_SIZE];
        static const char *const server_owned[] = {"selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
                                                   "resourceVersion", "generation"};

        for (size_t i = 0; i < ARRAY_SIZE(server_owned); i++)
                json_del(meta, server_owned[i]);
        uuid_new(uid);
        json_set_str(meta, "uid", uid);
        json_set_str(meta, "creationTimestamp", clock_format(w->kctx.now_us / 1000000, now));
        if (w->ops->flags & KIND_GENERATION)
                json_set_i64(meta, "generation", 1);
        if (w->namespace)
                json_set_str(meta, "namespace", w->namespace);
        else
                json_del(meta, "namespace");
}

int write_check_create(struct write *w)
{
        struct ferrs errs = FERRS(w->req->arena);
        int r;

        stamp_new(w);
        r = write_admit(w, ADMIT_CREATE);
        if (r)
                return r;
        if (w->ops->flags & KIND_STATUS_RESET)
                reset_status(w->obj, w->stored->type);
        if (w->ops->prepare_create)
                w->ops->prepare_create(&w->kctx, w->obj);
        meta_validate(&w->kctx, w->ops, w->obj, &errs);
        if (w->ops->validate)
                w->ops->validate(&w->kctx, w->obj, &errs);
        r = fail_if_any(w, &errs);
        if (r)
                return r;
        if (w->ops->warn)
                w->ops->warn(&w->kctx, w->obj, NULL);
        track(w);
        return 0;
}

/* ---- update ---- */

/* What a client cannot change is what it was. */
static void keep_server_owned(struct write *w)
{
        static const char *const kept[] = {"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                                           "generation", "uid"};
        struct json_object *meta = json_ensure(w->obj, "metadata"), *was = json_get(w->old_tree, "metadata");

        json_del(meta, "selfLink");
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                struct json_object *v = json_get(was, kept[i]);

                if (v)
                        json_set(meta, kept[i], json_object_get(v));
                else
                        json_del(meta, kept[i]);
        }
        if (w->namespace)
                json_set_str(meta, "namespace", w->namespace);
        json_set_str(meta, "name", w->name);
}

static bool is_beside_spec(const char *key)
{
        return str_eq(key, "metadata") || str_eq(key, "status") || str_eq(key, "apiVersion") || str_eq(key, "kind");
}

static bool spec_changed(const struct json_object *a, const struct json_object *b)
{
        {
                json_foreach (a, key, val) {
                        if (!is_beside_spec(key) && !json_equal(val, json_get(b, key)))
                                return true;
                }
        }
        json_foreach (b, other, value) {
                if (!is_beside_spec(other) && !json_has(a, other))
                        return true;
        }
        return false;
}

static void count_generation(struct write *w)
{
        int64_t was = json_at_i64(w->old_tree, "metadata.generation", 0);

        if (w->ops->flags & KIND_GENERATION && spec_changed(w->obj, w->old_tree))
                json_set_i64(json_get(w->obj, "metadata"), "generation", was + 1);
}

/* All but status (and, for most kinds, metadata) as it was. */
static void only_status(struct write *w)
{
        struct json_object *status = json_object_get(json_get(w->obj, "status"));
        struct json_object *meta = json_object_get(json_get(w->obj, "metadata"));
        struct json_object *obj = json_copy(w->old_tree);

        json_set(obj, "status", status);
        if (!status)
                reset_status(obj, w->stored->type);
        if (w->ops->flags & KIND_STATUS_KEEPS_META) {
                struct json_object *managed = json_get(meta, "managedFields");

                if (managed)
                        json_set(json_get(obj, "metadata"), "managedFields", json_object_get(managed));
                json_object_put(meta);
        } else {
                json_set(obj, "metadata", meta);
        }
        json_object_put(w->obj);
        w->obj = obj;
}

static void keep_status(struct write *w)
{
        struct json_object *was = json_get(w->old_tree, "status");

        if (was)
                json_set(w->obj, "status", json_copy(was));
        else
                json_del(w->obj, "status");
}

static int check_status_update(struct write *w)
{
        struct ferrs errs = FERRS(w->req->arena);
        int r;

        only_status(w);
        keep_server_owned(w);
        if (w->ops->prepare_status)
                w->ops->prepare_status(&w->kctx, w->obj, w->old_tree);
        meta_validate_update(&w->kctx, w->obj, w->old_tree, &errs);
        if (w->ops->validate_status)
                w->ops->validate_status(&w->kctx, w->obj, w->old_tree, &errs);
        r = fail_if_any(w, &errs);
        if (!r)
                track(w);
        return r;
}

int write_check_update(struct write *w)
{
        struct ferrs errs = FERRS(w->req->arena);
        int r;

        if (str_eq(w->req->subresource, "status") || str_eq(w->req->subresource, "approval"))
                return check_status_update(w);
        keep_server_owned(w);
        r = write_admit(w, ADMIT_UPDATE);
        if (r)
                return r;
        if (w->ops->flags & KIND_STATUS_RESET)
                keep_status(w);
        if (w->ops->prepare_update)
                w->ops->prepare_update(&w->kctx, w->obj, w->old_tree);
        count_generation(w);
        meta_validate_update(&w->kctx, w->obj, w->old_tree, &errs);
        if (w->ops->validate)
                w->ops->validate(&w->kctx, w->obj, &errs);
        if (w->ops->validate_update)
                w->ops->validate_update(&w->kctx, w->obj, w->old_tree, &errs);
        r = fail_if_any(w, &errs);
        if (r)
                return r;
        if (w->ops->warn)
                w->ops->warn(&w->kctx, w->obj, w->old_tree);
        track(w);
        return 0;
}

int write_check_version(struct write *w, const struct json_object *obj)
{
        const char *rv = json_at_str(obj, "metadata.resourceVersion"), *uid = json_at_str(obj, "metadata.uid");
        const char *old_uid = json_at_str(w->old_tree, "metadata.uid");
        char now[24];

        snprintf(now, sizeof(now), "%" PRIu64, w->old->revision);
        if (uid && *uid && old_uid && !str_eq(uid, old_uid))
                return api_fail_conflict(w->req, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                                         uid, old_uid);
        if (rv && *rv && !str_eq(rv, "0") && !str_eq(rv, now))
                return api_fail_conflict(w->req,
                                         "the object has been modified; please apply your changes to the latest "
                                         "version and try again");
        if ((!rv || !*rv || str_eq(rv, "0")) && w->ops->flags & KIND_NO_UNCONDITIONAL_UPDATE) {
                struct ferrs errs = FERRS(w->req->arena);
                struct fpath meta = fpath_child(NULL, "metadata"), p = fpath_child(&meta, "resourceVersion");

                ferr_invalid_i64(&errs, &p, 0, "must be specified for an update");
                return api_fail_invalid(w->req, w->name, &errs);
        }
        return 0;
}

bool write_is_finished(const struct json_object *obj)
{
        const struct json_object *meta = json_get(obj, "metadata");

        return json_has(meta, "deletionTimestamp") && !json_len(json_get(meta, "finalizers")) &&
               !json_get_i64(meta, "deletionGracePeriodSeconds", 0) && !json_len(json_at(obj, "spec.finalizers"));
}
