/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <zlib.h>

#include "apiserver/openapi.h"
#include "ask.h"
#include "base/str.h"
#include "swagger_read.h"

#define PROTOBUF      "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#define PROTOBUF_SENT "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

static void ask(struct ask *a, const char *path, const struct http_header *headers)
{
        static const struct http_header none[] = {{NULL, NULL}};

        ask_init(a, path, headers ? headers : none);
        assert_true(openapi_handles(a->http.path));
        assert_int_equal(openapi_answer(&a->req), API_ANSWERED);
}

static struct json_object *parse(const char *data, size_t len)
{
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        if (json_parse(data, len, &o, &err))
                fail_msg("%s", err.msg);
        return o;
}

static struct json_object *fetch(const char *path)
{
        struct json_object *o;
        struct ask a;

        ask(&a, path, NULL);
        assert_int_equal(a.res.status, 200);
        assert_int_equal(a.res.kind, HTTP_BODY_BUFFER);
        assert_string_equal(a.res.content_type, "application/json");
        o = parse(a.res.buffer.data, a.res.buffer.len);
        ask_done(&a);
        return o;
}

static struct json_object *fetch_version(const char *group, const char *version)
{
        char path[200];

        snprintf(path, sizeof(path), "/openapi/v3/%s%s/%s", *group ? "apis/" : "api", group, version);
        return fetch(path);
}

static struct json_object *fetch_protobuf(void)
{
        static const struct http_header headers[] = {{"Accept", PROTOBUF}, {NULL, NULL}};
        struct json_object *o;
        struct ask a;

        ask(&a, "/openapi/v2", headers);
        assert_int_equal(a.res.status, 200);
        assert_string_equal(a.res.content_type, PROTOBUF_SENT);
        o = swagger_read(a.res.buffer.data, a.res.buffer.len);
        assert_non_null(o);
        ask_done(&a);
        return o;
}

static void assert_json(const struct json_object *o, const char *quoted)
{
        _cleanup_free_ char *want = strdup(quoted), *text = o ? json_text(o) : NULL;
        _cleanup_json_ struct json_object *tree = NULL;

        for (char *p = want; *p; p++)
                if (*p == '\'')
                        *p = '"';
        tree = parse(want, strlen(want));
        if (!json_equal(o, tree))
                fail_msg("is %s\nwant %s", text ? text : "(none)", want);
}

/* ---- schemas ---- */

#define CORE "io.k8s.api.core.v1."
#define META "io.k8s.apimachinery.pkg.apis.meta.v1."
#define REF3 "'allOf':[{'$ref':'#/components/schemas/"
#define REF2 "'$ref':'#/definitions/"

static const struct {
        const char *schema, *field, *v3, *v2; /* NULL field: the whole schema */
} golden[] = {
        {CORE "PodSpec", "containers",
         "{'type':'array','items':{" REF3 CORE "Container'}],'default':{}},'x-kubernetes-list-type':'map',"
         "'x-kubernetes-list-map-keys':['name'],'x-kubernetes-patch-merge-key':'name','x-kubernetes-patch-strategy':"
         "'merge'}",
         "{'type':'array','items':{" REF2 CORE "Container'},'x-kubernetes-list-type':'map',"
         "'x-kubernetes-list-map-keys':['name'],'x-kubernetes-patch-merge-key':'name','x-kubernetes-patch-strategy':"
         "'merge'}"},
        {CORE "PodSpec", "volumes",
         "{'type':'array','items':{" REF3 CORE "Volume'}],'default':{}},'x-kubernetes-list-type':'map',"
         "'x-kubernetes-list-map-keys':['name'],'x-kubernetes-patch-merge-key':'name','x-kubernetes-patch-strategy':"
         "'merge,retainKeys'}",
         NULL},
        {CORE "PodSpec", "nodeSelector",
         "{'type':'object','additionalProperties':{'type':'string','default':''},'x-kubernetes-map-type':'atomic'}",
         "{'type':'object','additionalProperties':{'type':'string'},'x-kubernetes-map-type':'atomic'}"},
        {CORE "PodSpec", "activeDeadlineSeconds", "{'type':'integer','format':'int64'}",
         "{'type':'integer','format':'int64'}"},
        {CORE "Container", "name", "{'type':'string','default':''}", "{'type':'string'}"},
        {CORE "Container", "securityContext", "{" REF3 CORE "SecurityContext'}]}", "{" REF2 CORE "SecurityContext'}"},
        {CORE "Container", "resources", "{" REF3 CORE "ResourceRequirements'}],'default':{}}",
         "{" REF2 CORE "ResourceRequirements'}"},
        {CORE "ResourceRequirements", "limits",
         "{'type':'object','additionalProperties':{" REF3 "io.k8s.apimachinery.pkg.api.resource.Quantity'}]}}",
         "{'type':'object','additionalProperties':{" REF2 "io.k8s.apimachinery.pkg.api.resource.Quantity'}}"},
        {CORE "ServicePort", "targetPort", "{" REF3 "io.k8s.apimachinery.pkg.util.intstr.IntOrString'}]}",
         "{" REF2 "io.k8s.apimachinery.pkg.util.intstr.IntOrString'}"},
        {CORE "Secret", "data", "{'type':'object','additionalProperties':{'type':'string','format':'byte'}}",
         "{'type':'object','additionalProperties':{'type':'string','format':'byte'}}"},
        {META "ObjectMeta", "creationTimestamp", "{" REF3 META "Time'}]}", "{" REF2 META "Time'}"},
        {META "ObjectMeta", "finalizers",
         "{'type':'array','items':{'type':'string','default':''},'x-kubernetes-list-type':'set',"
         "'x-kubernetes-patch-strategy':'merge'}",
         NULL},
        {META "ManagedFieldsEntry", "fieldsV1", "{" REF3 META "FieldsV1'}]}", "{" REF2 META "FieldsV1'}"},
        {META "Time", NULL, "{'type':'string','format':'date-time'}", "{'type':'string','format':'date-time'}"},
        {META "Patch", NULL, "{'type':'object'}", "{'type':'object'}"},
        {"io.k8s.apimachinery.pkg.api.resource.Quantity", NULL, "{'oneOf':[{'type':'string'},{'type':'number'}]}",
         "{'type':'string'}"},
        {"io.k8s.apimachinery.pkg.util.intstr.IntOrString", NULL,
         "{'format':'int-or-string','oneOf':[{'type':'integer'},{'type':'string'}]}",
         "{'format':'int-or-string','type':'string'}"},
        {CORE "LocalObjectReference", NULL,
         "{'type':'object','properties':{'name':{'type':'string'}},'x-kubernetes-map-type':'atomic'}", NULL},
};

static struct json_object *piece(struct json_object *schemas, const char *schema, const char *field)
{
        struct json_object *o = json_get(schemas, schema);

        return field ? json_get(json_get(o, "properties"), field) : o;
}

static void schemas_are_written_as_kubernetes_writes_them(void **state _unused_)
{
        _cleanup_json_ struct json_object *v3 = fetch_version("", "v1"), *v2 = fetch("/openapi/v2");
        struct json_object *schemas = json_get(json_get(v3, "components"), "schemas");
        struct json_object *definitions = json_get(v2, "definitions");

        for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
                assert_json(piece(schemas, golden[i].schema, golden[i].field), golden[i].v3);
                if (golden[i].v2)
                        assert_json(piece(definitions, golden[i].schema, golden[i].field), golden[i].v2);
        }
        assert_json(json_get(json_get(schemas, CORE "Container"), "required"), "['name']");
        assert_json(json_get(json_get(schemas, CORE "Pod"), "x-kubernetes-group-version-kind"),
                    "[{'group':'','kind':'Pod','version':'v1'}]");
        assert_json(json_get(json_get(schemas, CORE "PodList"), "x-kubernetes-group-version-kind"),
                    "[{'group':'','kind':'PodList','version':'v1'}]");
        assert_null(json_get(json_get(schemas, CORE "PodSpec"), "x-kubernetes-group-version-kind"));
}

/* ---- every reference, every resource ---- */

static void check_refs(const struct json_object *o, struct json_object *schemas, const char *prefix)
{
        const char *ref = json_get_str(o, "$ref");

        if (ref && (!str_after(ref, prefix) || !json_get(schemas, str_after(ref, prefix))))
                fail_msg("%s leads nowhere", ref);
        json_foreach (o, key, v) {
                check_refs(v, schemas, prefix);
        }
        if (json_is_array(o)) {
                json_array_foreach (o, i, item)
                        check_refs(item, schemas, prefix);
        }
}

static void every_reference_leads_to_a_schema(void **state _unused_)
{
        _cleanup_json_ struct json_object *v2 = fetch("/openapi/v2"), *index = fetch("/openapi/v3");

        assert_true(json_object_object_length(json_get(v2, "definitions")) > 400);
        check_refs(v2, json_get(v2, "definitions"), "#/definitions/");
        assert_int_equal(json_object_object_length(json_get(index, "paths")), 21);
        json_foreach (json_get(index, "paths"), key, v) {
                _cleanup_json_ struct json_object *doc = fetch(json_get_str(v, "serverRelativeURL"));

                check_refs(doc, json_get(json_get(doc, "components"), "schemas"), "#/components/schemas/");
        }
}

/* A document has what its operations lead to, and nothing else. */
static void a_document_has_only_what_it_reaches(void **state _unused_)
{
        _cleanup_json_ struct json_object *doc = fetch_version("coordination.k8s.io", "v1");
        struct json_object *schemas = json_get(json_get(doc, "components"), "schemas");

        assert_non_null(json_get(schemas, "io.k8s.api.coordination.v1.LeaseSpec"));
        assert_non_null(json_get(schemas, META "MicroTime"));
        assert_non_null(json_get(schemas, META "DeleteOptions"));
        assert_null(json_get(schemas, CORE "Pod"));
        assert_null(json_get(schemas, "io.k8s.apimachinery.pkg.api.resource.Quantity"));
}

static bool has_gvk(struct json_object *schemas, const struct schema_resource *r)
{
        json_array_foreach (json_get(json_get(schemas, r->type->name), "x-kubernetes-group-version-kind"), i, gvk) {
                if (str_eq(json_get_str(gvk, "group"), r->group) && str_eq(json_get_str(gvk, "version"), r->version) &&
                    str_eq(json_get_str(gvk, "kind"), r->kind))
                        return true;
        }
        return false;
}

static struct json_object *item_of(const struct json_object *paths, const struct schema_resource *r, const char *rest)
{
        char path[256];

        snprintf(path, sizeof(path), "%s%s/%s/%s%s%s", *r->group ? "/apis/" : "/api", r->group, r->version,
                 r->namespaced ? "namespaces/{namespace}/" : "", r->plural, rest);
        return json_get(paths, path);
}

static bool has_parameter(const struct json_object *op, const char *name)
{
        json_array_foreach (json_get(op, "parameters"), i, p) {
                if (str_eq(json_get_str(p, "name"), name) && str_eq(json_get_str(p, "in"), "query"))
                        return true;
        }
        return false;
}

static const struct {
        uint16_t verb;
        const char *rest, *method, *action;
        bool validated;
} operations[] = {
        {VERB_LIST, "", "get", "list", false},
        {VERB_CREATE, "", "post", "post", true},
        {VERB_DELETECOLLECTION, "", "delete", "deletecollection", false},
        {VERB_GET, "/{name}", "get", "get", false},
        {VERB_UPDATE, "/{name}", "put", "put", true},
        {VERB_PATCH, "/{name}", "patch", "patch", true},
        {VERB_DELETE, "/{name}", "delete", "delete", false},
};

static void check_resource(const struct json_object *paths, struct json_object *schemas,
                           const struct schema_resource *r)
{
        if (!has_gvk(schemas, r))
                fail_msg("no schema is a %s", r->kind);
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
                struct json_object *op = json_get(item_of(paths, r, operations[i].rest), operations[i].method);

                if (!op != !(r->verbs & operations[i].verb))
                        fail_msg("%s %s%s", operations[i].method, r->plural, operations[i].rest);
                if (!op)
                        continue;
                assert_string_equal(json_get_str(op, "x-kubernetes-action"), operations[i].action);
                assert_string_equal(json_at_str(op, "x-kubernetes-group-version-kind.kind"), r->kind);
                assert_int_equal(has_parameter(op, "fieldValidation"), operations[i].validated);
                assert_int_equal(has_parameter(op, "fieldManager"), operations[i].validated);
                assert_int_equal(has_parameter(op, "dryRun"),
                                 operations[i].validated || str_eq(operations[i].method, "delete"));
        }
}

static void every_resource_has_its_schema_and_its_operations(void **state _unused_)
{
        _cleanup_json_ struct json_object *v2 = fetch("/openapi/v2");

        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];
                _cleanup_json_ struct json_object *v3 = fetch_version(r->group, r->version);

                check_resource(json_get(v3, "paths"), json_get(json_get(v3, "components"), "schemas"), r);
                check_resource(json_get(v2, "paths"), json_get(v2, "definitions"), r);
        }
}

static void subresources_and_patches_say_what_they_take(void **state _unused_)
{
        _cleanup_json_ struct json_object *apps = fetch_version("apps", "v1"), *core = fetch_version("", "v1");
        const struct schema_resource *d = schema_resource_find("apps", "v1", "deployments");
        const struct schema_resource *p = schema_resource_find("", "v1", "pods");
        struct json_object *patch = json_get(item_of(json_get(apps, "paths"), d, "/{name}"), "patch");
        struct json_object *scale = json_get(item_of(json_get(apps, "paths"), d, "/{name}/scale"), "get");
        struct json_object *evict = json_get(item_of(json_get(core, "paths"), p, "/{name}/eviction"), "post");
        struct json_object *exec = json_get(item_of(json_get(core, "paths"), p, "/{name}/exec"), "post");

        assert_string_equal(json_get_str(patch, "operationId"), "patchAppsV1NamespacedDeployment");
        assert_true(has_parameter(patch, "force"));
        assert_int_equal(json_object_object_length(json_get(json_get(patch, "requestBody"), "content")), 4);
        assert_non_null(json_get(json_get(json_get(patch, "requestBody"), "content"),
                                 "application/strategic-merge-patch+json"));
        assert_json(json_get(scale, "x-kubernetes-group-version-kind"),
                    "{'group':'autoscaling','kind':'Scale','version':'v1'}");
        assert_json(json_get(evict, "x-kubernetes-group-version-kind"),
                    "{'group':'policy','kind':'Eviction','version':'v1'}");
        assert_string_equal(json_get_str(exec, "x-kubernetes-action"), "connect");
        assert_non_null(json_get(json_get(core, "paths"), "/api/v1/pods"));
        assert_null(json_get(json_get(json_get(core, "paths"), "/api/v1/pods"), "post"));
}

static void operation_names_are_unique(void **state _unused_)
{
        _cleanup_json_ struct json_object *v2 = fetch("/openapi/v2"), *seen = json_object_new_object();

        json_foreach (json_get(v2, "paths"), path, item) {
                json_foreach (item, method, op) {
                        const char *id = json_get_str(op, "operationId");

                        if (!id)
                                continue;
                        if (json_get(seen, id))
                                fail_msg("%s: %s twice", path, id);
                        json_set_bool(seen, id, true);
                }
        }
}

/* ---- protobuf ---- */

static void protobuf_says_the_same_as_json(void **state _unused_)
{
        _cleanup_json_ struct json_object *json = fetch("/openapi/v2"), *pb = fetch_protobuf();

        json_foreach (json, section, want) {
                const struct json_object *have = json_get(pb, section);

                if (!json_is_object(want)) {
                        assert_true(json_equal(have, want));
                        continue;
                }
                assert_int_equal(json_object_object_length(have), json_object_object_length(want));
                json_foreach (want, name, entry) {
                        if (!json_equal(json_get(have, name), entry))
                                fail_msg("%s differs:\n%s\n%s", name, json_object_to_json_string(entry),
                                         json_object_to_json_string(json_get(have, name)));
                }
        }
}

/* ---- HTTP ---- */

static void compressed_answers_hold_the_same_text(void **state _unused_)
{
        static const struct http_header gzip[] = {{"Accept-Encoding", "deflate, gzip;q=0.5"}, {NULL, NULL}};
        struct ask plain, packed;
        z_stream z = {.next_in = NULL};
        _cleanup_free_ char *text = NULL;

        ask(&plain, "/openapi/v3/apis/apps/v1", NULL);
        ask(&packed, "/openapi/v3/apis/apps/v1", gzip);
        assert_string_equal(ask_header(&packed, "Content-Encoding"), "gzip");
        assert_null(ask_header(&plain, "Content-Encoding"));
        assert_int_equal(packed.res.kind, HTTP_BODY_BLOB);
        assert_true(packed.res.blob->len * 5 < plain.res.buffer.len);
        text = calloc(1, plain.res.buffer.len + 1);
        z.next_in = (Bytef *)packed.res.blob->data;
        z.avail_in = packed.res.blob->len;
        z.next_out = (Bytef *)text;
        z.avail_out = (uInt)plain.res.buffer.len + 1;
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.total_out, plain.res.buffer.len);
        assert_memory_equal(text, plain.res.buffer.data, plain.res.buffer.len);
        inflateEnd(&z);
        ask_done(&plain);
        ask_done(&packed);
}

static void gzip_is_sent_only_to_those_that_take_it(void **state _unused_)
{
        static const struct {
                const char *codings;
                bool gzip;
        } rows[] = {
                {NULL, false},        {"", false},         {"identity", false},   {"gzip", true},
                {"br, gzip", true},   {"gzip;q=0", false}, {"gzip;q=0.0", false}, {"gzip; q=0.1", true},
                {"gzip;q=1.0", true}, {"gzipped", false},  {"x-gzip", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct http_header headers[] = {{"Accept-Encoding", rows[i].codings}, {NULL, NULL}};
                struct ask a;

                ask(&a, "/openapi/v3", headers);
                if ((ask_header(&a, "Content-Encoding") != NULL) != rows[i].gzip)
                        fail_msg("Accept-Encoding: %s", rows[i].codings);
                ask_done(&a);
        }
}

static void the_index_leads_to_answers_for_ever(void **state _unused_)
{
        _cleanup_json_ struct json_object *index = fetch("/openapi/v3");
        const char *url = json_get_str(json_get(json_get(index, "paths"), "apis/apps/v1"), "serverRelativeURL");
        struct ask a;

        assert_true(str_has_prefix(url, "/openapi/v3/apis/apps/v1?hash="));
        ask(&a, url, NULL);
        assert_int_equal(a.res.status, 200);
        assert_non_null(strstr(ask_header(&a, "Cache-Control"), "immutable"));
        ask_done(&a);
        ask(&a, "/openapi/v3/apis/apps/v1?hash=00", NULL);
        assert_int_equal(a.res.status, 301);
        assert_string_equal(ask_header(&a, "Location"), url);
        ask_done(&a);
        ask(&a, "/openapi/v3/apis/apps/v1", NULL);
        assert_null(ask_header(&a, "Cache-Control"));
        ask_done(&a);
}

static void a_client_that_has_the_document_gets_304(void **state _unused_)
{
        static const char *const paths[] = {"/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct ask a;
                char tag[64];

                ask(&a, paths[i], NULL);
                assert_true(str_copy(tag, sizeof(tag), ask_header(&a, "ETag")));
                ask_done(&a);
                ask(&a, paths[i], (const struct http_header[]){{"If-None-Match", tag}, {NULL, NULL}});
                assert_int_equal(a.res.status, 304);
                assert_int_equal(a.res.kind, HTTP_BODY_NONE);
                ask_done(&a);
        }
}

static void json_is_the_form_of_those_that_do_not_ask_for_protobuf(void **state _unused_)
{
        static const char *const accepts[] = {NULL, "*/*", "application/json", "application/json, */*"};

        for (size_t i = 0; i < ARRAY_SIZE(accepts); i++) {
                struct ask a;

                ask(&a, "/openapi/v2", (const struct http_header[]){{"Accept", accepts[i]}, {NULL, NULL}});
                assert_string_equal(a.res.content_type, "application/json");
                ask_done(&a);
        }
}

static void unknown_documents_are_not_found(void **state _unused_)
{
        static const char *const paths[] = {"/openapi/",          "/openapi/v1",
                                            "/openapi/v3/api/v2", "/openapi/v3/apis/apps",
                                            "/openapi/v33",       "/openapi/v2/x"};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct ask a;

                ask(&a, paths[i], NULL);
                assert_int_equal(a.res.status, 404);
                ask_done(&a);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(schemas_are_written_as_kubernetes_writes_them),
                cmocka_unit_test(every_reference_leads_to_a_schema),
                cmocka_unit_test(a_document_has_only_what_it_reaches),
                cmocka_unit_test(every_resource_has_its_schema_and_its_operations),
                cmocka_unit_test(subresources_and_patches_say_what_they_take),
                cmocka_unit_test(operation_names_are_unique),
                cmocka_unit_test(protobuf_says_the_same_as_json),
                cmocka_unit_test(compressed_answers_hold_the_same_text),
                cmocka_unit_test(gzip_is_sent_only_to_those_that_take_it),
                cmocka_unit_test(the_index_leads_to_answers_for_ever),
                cmocka_unit_test(a_client_that_has_the_document_gets_304),
                cmocka_unit_test(json_is_the_form_of_those_that_do_not_ask_for_protobuf),
                cmocka_unit_test(unknown_documents_are_not_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
