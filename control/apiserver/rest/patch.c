/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/decode.h"
#include "apiserver/patch/managed.h"
#include "apiserver/patch/patch.h"
#include "apiserver/rest/body.h"
#include "apiserver/rest/create.h"
#include "apiserver/rest/patch.h"
#include "apiserver/rest/rest.h"
#include "apiserver/rest/update.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/str.h"

static const struct {
        const char *media_type;
        enum patch_type type;
} patch_types[] = {
        {"application/json-patch+json", PATCH_JSON},
        {"application/merge-patch+json", PATCH_MERGE},
        {"application/strategic-merge-patch+json", PATCH_STRATEGIC},
        {"application/apply-patch+yaml", PATCH_APPLY},
        {"application/apply-patch+json", PATCH_APPLY},
};

static int patch_type(struct api_request *req, enum patch_type *ret)
{
        const char *ct = http_header(req->http, "Content-Type");
        size_t len = ct ? strcspn(ct, "; ") : 0;

        for (size_t i = 0; i < ARRAY_SIZE(patch_types); i++)
                if (len == strlen(patch_types[i].media_type) && strncasecmp(ct, patch_types[i].media_type, len) == 0) {
                        *ret = patch_types[i].type;
                        return 0;
                }
        return api_fail(req, 415,
                        "the body of the request was in an unknown format - accepted media types include: "
                        "application/json-patch+json, application/merge-patch+json, "
                        "application/strategic-merge-patch+json, application/apply-patch+yaml");
}

int patch_open(struct api_request *req, struct patch_request *p)
{
        struct err err = ERR_NULL;
        bool force;
        int r;

        *p = (struct patch_request){.req = req};
        r = patch_type(req, &p->type);
        if (!r)
                r = api_query_bool(req, "force", &force);
        if (r)
                return r;
        p->force = force;
        if (force && p->type != PATCH_APPLY)
                return api_fail(req, 422, "force: Forbidden: may not be specified for non-apply patch");
        if (p->type == PATCH_APPLY && str_empty(api_query_get(req, "fieldManager")))
                return api_fail(
                        req, 422,
                        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for "
                        "apply patch");
        r = codec_parse(p->type == PATCH_APPLY ? CODEC_YAML : CODEC_JSON, req->http->body, req->http->body_len,
                        &p->patch, &err);
        if (r)
                return api_fail(req, 400, "error decoding patch: %s", err.msg);
        if (p->type == PATCH_JSON ? !json_is_array(p->patch) : !json_is_object(p->patch))
                return api_fail(req, 400, "error decoding patch: %s expected",
                                p->type == PATCH_JSON ? "an array of operations" : "an object");
        return 0;
}

void patch_close(struct patch_request *p)
{
        json_object_put(TAKE_PTR(p->patch));
}

int patch_fail(struct patch_request *p, int outcome, const struct err *err)
{
        /* Naming no object, as Kubernetes does: kubectl would print the name in the place of the message. */
        struct status s = {.code = outcome, .message = err->msg};

        if (outcome < 0)
                return api_fail(p->req, 500, "the patch cannot be applied: %s", err->msg);
        return api_fail_status(p->req, &s);
}

int patch_plain(struct patch_request *p, const struct json_object *old, const struct schema_struct *type,
                struct json_object **ret)
{
        struct err err = ERR_NULL;
        int r;

        switch (p->type) {
        case PATCH_JSON:
                r = patch_json_apply(old, p->patch, ret, &err);
                break;
        case PATCH_MERGE:
                r = patch_merge_apply(old, p->patch, ret, &err);
                break;
        default:
                r = patch_strategic_apply(old, p->patch, type, ret, &err);
                break;
        }
        if (r)
                return patch_fail(p, r, &err);
        return body_normalise(p->req, type, ret);
}

/* ---- server-side apply ---- */

static int apply_conflict(struct api_request *req, const struct apply_result *res)
{
        struct status_cause *causes = arena_array(req->arena, struct status_cause, res->nconflicts + 1);
        struct status s = {.code = 409, .message = res->message, .causes = causes, .ncauses = res->nconflicts};

        for (size_t i = 0; i < res->nconflicts; i++)
                causes[i] = (struct status_cause){
                        "FieldManagerConflict",
                        arena_printf(req->arena, "conflict with %s", res->conflicts[i].manager),
                        res->conflicts[i].field,
                };
        return api_fail_status(req, &s);
}

/* The configuration itself: of the right kind and name, decoded strictly or not as asked. */
static int apply_config(struct patch_request *p, struct json_object **ret)
{
        struct api_request *req = p->req;
        const char *gv = json_get_str(p->patch, "apiVersion"), *kind = json_get_str(p->patch, "kind");
        struct json_object *config;
        int r;

        if (!gv || !kind)
                return api_fail(req, 400, "the applied configuration must have apiVersion and kind");
        if (!str_eq(gv, api_group_version(req)) || !str_eq(kind, req->resource->kind))
                return api_fail(req, 400, "the applied configuration is a %s of %s, but the URL is about a %s of %s",
                                kind, gv, req->resource->kind, api_group_version(req));
        if (json_has(json_get(p->patch, "metadata"), "managedFields"))
                return api_fail(req, 400, "metadata.managedFields must be nil");
        config = json_copy(p->patch);
        r = body_normalise_config(req, req->resource->type, &config);
        if (!r)
                r = body_check_scope(req, config);
        if (r)
                json_object_put(config);
        else
                *ret = config;
        return r;
}

struct managed_context managed_context_of(const struct api_request *req)
{
        char now[CLOCK_TEXT_SIZE];

        return (struct managed_context){
                .arena = req->arena,
                .type = req->resource->type,
                .api_version = api_group_version(req),
                .kind = req->resource->kind,
                .manager = api_field_manager(req),
                .subresource = req->subresource,
                .reset = managed_reset_fields(req->resource, req->subresource),
                .time = arena_strdup(req->arena, clock_format(req->now_us / 1000000, now)),
        };
}

static int apply(struct patch_request *p, const struct json_object *live, struct json_object **ret)
{
        struct managed_context ctx = managed_context_of(p->req);
        struct apply_result res = {0};
        struct err err = ERR_NULL;
        int r;

        r = managed_apply(&ctx, live, p->config, p->force, &res, &err);
        if (r == PATCH_CONFLICT)
                return apply_conflict(p->req, &res);
        if (r)
                return patch_fail(p, r, &err);
        *ret = res.object;
        return body_normalise(p->req, p->req->resource->type, ret);
}

static int make_patched(void *arg, struct write *w, struct json_object **ret)
{
        _cleanup_json_ struct json_object *old = write_old_as_requested(w);
        struct patch_request *p = arg;
        int r;

        if (p->type == PATCH_APPLY)
                return apply(p, old, ret);
        r = patch_plain(p, old, p->req->resource->type, ret);
        if (!r)
                r = body_check_scope(p->req, *ret);
        if (r)
                json_object_put(TAKE_PTR(*ret));
        return r;
}

static int patch_existing(struct patch_request *p)
{
        struct write w;
        int r;

        write_open(&w, p->req, p->req->namespace, p->req->name);
        w.manager = api_field_manager(p->req);
        w.applied = p->type == PATCH_APPLY;
        r = update_object(&w, make_patched, p);
        if (!r)
                r = write_answer(&w, 200);
        write_close(&w);
        return r;
}

static int apply_new(struct patch_request *p)
{
        _cleanup_blob_ struct blob *made = NULL;
        struct json_object *obj = NULL;
        int r;

        r = apply(p, NULL, &obj);
        if (r)
                return r;
        json_set_str(json_ensure(obj, "metadata"), "name", p->req->name);
        r = create_object(p->req, obj, true, &made);
        return r ? r : rest_answer_object(p->req, 201, made);
}

static bool is_there(struct api_request *req)
{
        _cleanup_object_ struct object *o =
                cache_get(cache_of(req->server->caches, req->resource), req->namespace, req->name);

        return o != NULL;
}

int rest_patch(struct api_request *req)
{
        struct patch_request p;
        int r;

        r = patch_open(req, &p);
        if (!r && p.type == PATCH_APPLY)
                r = apply_config(&p, &p.config);
        if (!r && p.type == PATCH_APPLY && !req->subresource && !is_there(req))
                r = apply_new(&p);
        else if (!r)
                r = patch_existing(&p);
        json_object_put(p.config);
        patch_close(&p);
        return r;
}
