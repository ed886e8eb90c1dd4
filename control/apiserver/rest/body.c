/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/decode.h"
#include "apiserver/rest/body.h"
#include "apiserver/status.h"
#include "base/str.h"

static int codec_status(int outcome)
{
        switch (outcome) {
        case CODEC_UNSUPPORTED:
                return 415;
        case CODEC_TOO_LARGE:
                return 413;
        default:
                return 400;
        }
}

static int report_findings(struct api_request *req, const struct codec_report *report)
{
        for (size_t i = 0; i < report->n && req->field_validation == FIELD_VALIDATION_WARN; i++)
                warnings_add(&req->warnings, "%s", report->items[i]);
        return 0;
}

int body_object(struct api_request *req, const struct schema_struct *type, const char *group, const char *version,
                const char *kind, struct json_object **ret)
{
        _cleanup_report_ struct codec_report report = CODEC_REPORT_NULL;
        struct codec_input in = {
                .data = req->http->body,
                .len = req->http->body_len,
                .content_type = http_header(req->http, "Content-Type"),
                .type = type,
                .group = group,
                .version = version,
                .kind = kind,
                .validation = (enum codec_validation)req->field_validation,
        };
        struct err err = ERR_NULL;
        int r = codec_decode(&in, ret, &report, &err);

        if (r)
                return api_fail(req, codec_status(r), "%s", err.msg);
        return report_findings(req, &report);
}

int body_of_resource(struct api_request *req, struct json_object **ret)
{
        const struct schema_resource *r = req->resource;
        const struct schema_subresource *s = req->sub;

        if (s && s->type)
                return body_object(req, s->type, s->group, s->version, s->kind, ret);
        return body_object(req, r->type, r->group, r->version, r->kind, ret);
}

int body_normalise(struct api_request *req, const struct schema_struct *type, struct json_object **obj)
{
        _cleanup_report_ struct codec_report report = CODEC_REPORT_NULL;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct err err = ERR_NULL;
        int r = codec_normalise(*obj, type, &report, &err);

        if (!r && (!report.n || req->field_validation != FIELD_VALIDATION_STRICT))
                return report_findings(req, &report);
        json_object_put(TAKE_PTR(*obj));
        if (r)
                return api_fail(req, 422, "%s", err.msg);
        codec_report_write(&b, &report);
        return api_fail(req, 400, "strict decoding error: %s", b.data);
}

/* Takes out of full what was not in given: what normalising had added. */
static void keep_given(struct json_object *full, const struct json_object *given)
{
        if (json_is_array(full)) {
                json_array_foreach (full, i, val) {
                        keep_given(val, json_idx(given, i));
                }
                return;
        }
        if (!json_is_object(full) || !json_is_object(given))
                return;
        json_foreach (full, key, val) {
                if (json_has(given, key))
                        keep_given(val, json_get(given, key));
                else
                        json_del(full, key);
        }
}

int body_normalise_config(struct api_request *req, const struct schema_struct *type, struct json_object **obj)
{
        _cleanup_json_ struct json_object *given = json_copy(*obj);
        int r = body_normalise(req, type, obj);

        if (!r)
                keep_given(*obj, given);
        return r;
}

int body_check_scope(struct api_request *req, struct json_object *obj)
{
        struct json_object *meta = json_ensure(obj, "metadata");
        const char *ns = json_get_str(meta, "namespace"), *name = json_get_str(meta, "name");

        if (req->namespace && !str_empty(ns) && !str_eq(ns, req->namespace))
                return api_fail(
                        req, 400,
                        "the namespace of the provided object does not match the namespace sent on the request");
        if (req->namespace)
                json_set_str(meta, "namespace", req->namespace);
        if (req->name && str_empty(name))
                json_set_str(meta, "name", req->name);
        else if (req->name && !str_eq(name, req->name))
                return api_fail(req, 400, "the name of the object (%s) does not match the name on the URL (%s)", name,
                                req->name);
        return 0;
}

/* ---- DeleteOptions ---- */

static int check_propagation(struct api_request *req, const char *policy)
{
        if (!policy || str_eq(policy, "Orphan") || str_eq(policy, "Background") || str_eq(policy, "Foreground"))
                return 0;
        return api_fail(req, 422,
                        "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"%s\": "
                        "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
                        policy);
}

static const char *copied(struct api_request *req, const char *s)
{
        return s ? arena_strdup(req->arena, s) : NULL;
}

int delete_options_parse(struct api_request *req, const struct json_object *tree, struct delete_options *ret)
{
        struct json_object *orphan = json_get(tree, "orphanDependents");

        *ret = (struct delete_options){
                .has_grace = json_has(tree, "gracePeriodSeconds"),
                .grace_seconds = json_get_i64(tree, "gracePeriodSeconds", 0),
                .propagation = copied(req, json_get_str(tree, "propagationPolicy")),
                .uid = copied(req, json_at_str(tree, "preconditions.uid")),
                .resource_version = copied(req, json_at_str(tree, "preconditions.resourceVersion")),
                .dry_run = req->dry_run,
        };
        if (orphan && ret->propagation)
                return api_fail(req, 422,
                                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"%s\": "
                                "orphanDependents and deletionPropagation cannot be both set",
                                ret->propagation);
        if (orphan)
                ret->propagation = json_object_get_boolean(orphan) ? "Orphan" : "Background";
        json_array_foreach (json_get(tree, "dryRun"), i, d) {
                if (!str_eq(json_object_get_string(d), "All"))
                        return api_fail(req, 422,
                                        "DeleteOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"%s\": "
                                        "supported values: \"All\"",
                                        json_object_get_string(d));
                ret->dry_run = true;
        }
        return check_propagation(req, ret->propagation);
}

static int options_from_query(struct api_request *req, struct delete_options *o)
{
        const char *grace = api_query_get(req, "gracePeriodSeconds"), *policy = api_query_get(req, "propagationPolicy");
        bool orphan;
        int r;

        if (!str_empty(grace)) {
                r = api_query_i64(req, "gracePeriodSeconds", 0, &o->grace_seconds);
                if (r)
                        return r;
                o->has_grace = true;
        }
        if (!str_empty(policy))
                o->propagation = policy;
        if (!str_empty(api_query_get(req, "orphanDependents"))) {
                r = api_query_bool(req, "orphanDependents", &orphan);
                if (r)
                        return r;
                o->propagation = orphan ? "Orphan" : "Background";
        }
        return check_propagation(req, o->propagation);
}

int body_delete_options(struct api_request *req, struct delete_options *ret)
{
        const struct schema_struct *type = schema_struct_find("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
        _cleanup_json_ struct json_object *tree = NULL;
        const char *kind;
        int r;

        /* Clients send the kind DeleteOptions in whatever group they are talking to: only its fields matter. */
        r = req->http->body_len ? body_object(req, type, "", "v1", NULL, &tree) : 0;
        kind = json_get_str(tree, "kind");
        if (!r && !str_empty(kind) && !str_eq(kind, "DeleteOptions"))
                return api_fail(req, 400, "decoded object cannot be converted to DeleteOptions: it is a %s", kind);
        if (!r)
                r = delete_options_parse(req, tree, ret);
        return r ? r : options_from_query(req, ret);
}
