/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/discovery.h"
#include "ask.h"
#include "base/str.h"

#define V2     "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
#define V2BETA "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"

static void ask(struct ask *a, const char *path, const char *accept, const char *if_none_match)
{
        const struct http_header headers[] = {{"Accept", accept}, {"If-None-Match", if_none_match}, {NULL, NULL}};

        ask_init(a, path, headers);
        assert_int_equal(discovery_answer(&a->req), API_ANSWERED);
}

/* The answer of that path as a tree that the caller owns. */
static struct json_object *fetch(const char *path, const char *accept)
{
        struct json_object *o = NULL;
        struct ask a;

        ask(&a, path, accept, NULL);
        assert_int_equal(a.res.status, 200);
        assert_int_equal(a.res.kind, HTTP_BODY_BLOB);
        assert_int_equal(json_parse(a.res.blob->data, a.res.blob->len, &o, NULL), 0);
        ask_done(&a);
        return o;
}

static struct json_object *named(const struct json_object *list, const char *key, const char *name)
{
        json_array_foreach (list, i, o) {
                if (str_eq(json_get_str(o, key), name))
                        return o;
        }
        return NULL;
}

static void assert_json(const struct json_object *o, const char *want)
{
        _cleanup_free_ char *text = o ? json_text(o) : NULL;

        assert_string_equal(text ? text : "(none)", want);
}

/* ---- which form ---- */

static const struct {
        const char *accept;
        enum discovery_form form;
} accepts[] = {
        {NULL, DISCOVERY_LEGACY},
        {"", DISCOVERY_LEGACY},
        {"*/*", DISCOVERY_LEGACY},
        {"application/json", DISCOVERY_LEGACY},
        {"application/json, */*", DISCOVERY_LEGACY},
        {V2, DISCOVERY_V2},
        {V2 "," V2BETA ",application/json", DISCOVERY_V2},
        {V2BETA "," V2, DISCOVERY_V2BETA1},
        {V2BETA ",application/json", DISCOVERY_V2BETA1},
        {"application/json;as=APIGroupDiscoveryList;v=v2beta1;g=apidiscovery.k8s.io", DISCOVERY_V2BETA1},
        {"application/json; g=apidiscovery.k8s.io; v=v2; as=APIGroupDiscoveryList", DISCOVERY_V2},
        {"application/json," V2, DISCOVERY_LEGACY},
        {"application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList", DISCOVERY_LEGACY},
        {"application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList," V2, DISCOVERY_V2},
        {"application/json;g=other;v=v2;as=APIGroupDiscoveryList", DISCOVERY_LEGACY},
        {"application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", DISCOVERY_LEGACY},
        {"application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," V2, DISCOVERY_V2},
        {"application/json;as=Table;v=v1;g=meta.k8s.io", DISCOVERY_LEGACY},
};

static void the_first_form_that_accept_names_is_taken(void **state _unused_)
{
        for (size_t i = 0; i < ARRAY_SIZE(accepts); i++)
                if (discovery_form_of(accepts[i].accept) != accepts[i].form)
                        fail_msg("Accept: %s: form %d", accepts[i].accept, discovery_form_of(accepts[i].accept));
}

static const struct {
        const char *path, *accept, *content_type, *kind;
} forms[] = {
        {"/api", NULL, "application/json", "APIVersions"},
        {"/apis", NULL, "application/json", "APIGroupList"},
        {"/api/", V2, V2, "APIGroupDiscoveryList"},
        {"/apis", V2, V2, "APIGroupDiscoveryList"},
        {"/apis", V2BETA, V2BETA, "APIGroupDiscoveryList"},
        {"/apis/apps", V2, "application/json", "APIGroup"},
        {"/apis/apps/", NULL, "application/json", "APIGroup"},
        {"/api/v1", V2, "application/json", "APIResourceList"},
        {"/apis/autoscaling/v1", NULL, "application/json", "APIResourceList"},
        {"/", NULL, "application/json", NULL},
        {"/version", NULL, "application/json", NULL},
};

static void each_path_has_its_kind_and_content_type(void **state _unused_)
{
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                _cleanup_json_ struct json_object *o = fetch(forms[i].path, forms[i].accept);
                struct ask a;

                ask(&a, forms[i].path, forms[i].accept, NULL);
                assert_string_equal(a.res.content_type, forms[i].content_type);
                if (!str_eq(json_get_str(o, "kind"), forms[i].kind))
                        fail_msg("%s is a %s", forms[i].path, json_get_str(o, "kind"));
                ask_done(&a);
        }
}

static void unknown_paths_are_not_found(void **state _unused_)
{
        static const char *const paths[] = {"/apiz", "/api/v2", "/apis/nope", "/apis/apps/v2", "/foo/bar"};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct ask a;

                ask(&a, paths[i], NULL, NULL);
                assert_int_equal(a.res.status, 404);
                ask_done(&a);
        }
}

/* ---- entity tags ---- */

static void a_client_that_has_the_document_gets_304(void **state _unused_)
{
        char tag[64], list[160];
        struct ask a;

        ask(&a, "/apis", V2, NULL);
        assert_string_equal(ask_header(&a, "Vary"), "Accept");
        assert_true(str_copy(tag, sizeof(tag), ask_header(&a, "ETag")));
        ask_done(&a);
        snprintf(list, sizeof(list), "\"other\", W/%s", tag);
        for (int i = 0; i < 2; i++) {
                ask(&a, "/apis", V2, i ? list : tag);
                assert_int_equal(a.res.status, 304);
                assert_int_equal(a.res.kind, HTTP_BODY_NONE);
                assert_string_equal(ask_header(&a, "ETag"), tag);
                ask_done(&a);
        }
        ask(&a, "/apis", V2BETA, tag); /* another text */
        assert_int_equal(a.res.status, 200);
        ask_done(&a);
        ask(&a, "/apis", V2, "\"other\"");
        assert_int_equal(a.res.status, 200);
        ask_done(&a);
}

/* ---- content ---- */

static void resource_lists_say_what_kubernetes_says(void **state _unused_)
{
        static const struct {
                const char *path, *name, *want;
        } rows[] = {
                {"/api/v1", "pods",
                 "{\"name\":\"pods\",\"singularName\":\"pod\",\"namespaced\":true,\"kind\":\"Pod\",\"verbs\":["
                 "\"create\","
                 "\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"update\",\"watch\"],\"shortNames\":["
                 "\"po\"],\"categories\":[\"all\"]}"},
                {"/api/v1", "pods/eviction",
                 "{\"name\":\"pods/"
                 "eviction\",\"singularName\":\"\",\"namespaced\":true,\"group\":\"policy\",\"version\":"
                 "\"v1\",\"kind\":\"Eviction\",\"verbs\":[\"create\"]}"},
                {"/api/v1", "pods/exec",
                 "{\"name\":\"pods/"
                 "exec\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"PodExecOptions\",\"verbs\":"
                 "[\"create\",\"get\"]}"},
                {"/api/v1", "pods/proxy",
                 "{\"name\":\"pods/proxy\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"PodProxyOptions\","
                 "\"verbs\":[\"create\",\"delete\",\"get\",\"patch\",\"update\"]}"},
                {"/api/v1", "pods/status",
                 "{\"name\":\"pods/"
                 "status\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"Pod\",\"verbs\":[\"get\","
                 "\"patch\",\"update\"]}"},
                {"/api/v1", "bindings",
                 "{\"name\":\"bindings\",\"singularName\":\"binding\",\"namespaced\":true,\"kind\":\"Binding\","
                 "\"verbs\":"
                 "[\"create\"]}"},
                {"/apis/apps/v1", "deployments/scale",
                 "{\"name\":\"deployments/scale\",\"singularName\":\"\",\"namespaced\":true,\"group\":\"autoscaling\","
                 "\"version\":\"v1\",\"kind\":\"Scale\",\"verbs\":[\"get\",\"patch\",\"update\"]}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *o = fetch(rows[i].path, NULL);

                assert_json(named(json_get(o, "resources"), "name", rows[i].name), rows[i].want);
        }
}

static void aggregated_resources_carry_their_subresources(void **state _unused_)
{
        _cleanup_json_ struct json_object *o = fetch("/api", V2);
        struct json_object *core = json_idx(json_get(o, "items"), 0);
        struct json_object *v1 = json_idx(json_get(core, "versions"), 0);
        struct json_object *pods = named(json_get(v1, "resources"), "resource", "pods");

        assert_string_equal(json_get_str(o, "apiVersion"), "apidiscovery.k8s.io/v2");
        assert_json(json_get(core, "metadata"), "{}");
        assert_string_equal(json_get_str(v1, "freshness"), "Current");
        assert_string_equal(json_get_str(pods, "scope"), "Namespaced");
        assert_string_equal(json_get_str(pods, "singularResource"), "pod");
        assert_json(json_get(pods, "responseKind"), "{\"group\":\"\",\"version\":\"\",\"kind\":\"Pod\"}");
        assert_json(json_get(pods, "shortNames"), "[\"po\"]");
        assert_json(named(json_get(pods, "subresources"), "subresource", "eviction"),
                    "{\"subresource\":\"eviction\",\"responseKind\":{\"group\":\"policy\",\"version\":\"v1\",\"kind\":"
                    "\"Eviction\"},\"verbs\":[\"create\"]}");
        assert_string_equal(json_get_str(named(json_get(v1, "resources"), "resource", "nodes"), "scope"), "Cluster");
}

static size_t count_aggregated(const char *path, const char *accept)
{
        _cleanup_json_ struct json_object *o = fetch(path, accept);
        size_t n = 0;

        json_array_foreach (json_get(o, "items"), i, group) {
                json_array_foreach (json_get(group, "versions"), j, version)
                        n += json_len(json_get(version, "resources"));
        }
        return n;
}

static void every_resource_is_listed_once_in_each_form(void **state _unused_)
{
        assert_int_equal(count_aggregated("/api", V2) + count_aggregated("/apis", V2), schema_nresources);
        assert_int_equal(count_aggregated("/api", V2BETA) + count_aggregated("/apis", V2BETA), schema_nresources);
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];
                char path[200];
                _cleanup_json_ struct json_object *o = NULL;

                snprintf(path, sizeof(path), *r->group ? "/apis/%s/%s" : "/api%s/%s", r->group, r->version);
                o = fetch(path, NULL);
                assert_non_null(named(json_get(o, "resources"), "name", r->plural));
        }
}

static void the_first_version_of_a_group_is_preferred(void **state _unused_)
{
        _cleanup_json_ struct json_object *list = fetch("/apis", NULL), *group = fetch("/apis/autoscaling", NULL);
        struct json_object *g = named(json_get(list, "groups"), "name", "autoscaling");

        assert_json(g,
                    "{\"name\":\"autoscaling\",\"versions\":[{\"groupVersion\":\"autoscaling/v2\",\"version\":\"v2\"},{"
                    "\"groupVersion\":\"autoscaling/v1\",\"version\":\"v1\"}],\"preferredVersion\":{\"groupVersion\":"
                    "\"autoscaling/v2\",\"version\":\"v2\"}}");
        assert_true(json_equal(json_get(group, "versions"), json_get(g, "versions")));
        assert_null(named(json_get(list, "groups"), "name", ""));
}

static void the_root_lists_the_paths(void **state _unused_)
{
        static const char *const want[] = {"/api", "/api/v1", "/apis", "/apis/apps/v1", "/openapi/v3", "/version"};
        _cleanup_json_ struct json_object *o = fetch("/", NULL);
        const char *last = "";

        json_array_foreach (json_get(o, "paths"), i, path) {
                assert_true(strcmp(last, json_object_get_string(path)) < 0);
                last = json_object_get_string(path);
        }
        for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
                bool found = false;

                json_array_foreach (json_get(o, "paths"), j, p)
                        found |= str_eq(json_object_get_string(p), want[i]);
                assert_true(found);
        }
}

static void the_version_reads_as_kubernetes_1_36(void **state _unused_)
{
        _cleanup_json_ struct json_object *o = fetch("/version", NULL);

        assert_string_equal(json_get_str(o, "major"), "1");
        assert_string_equal(json_get_str(o, "minor"), "36");
        assert_true(str_has_prefix(json_get_str(o, "gitVersion"), "v1.36.0+fairlead."));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_form_that_accept_names_is_taken),
                cmocka_unit_test(each_path_has_its_kind_and_content_type),
                cmocka_unit_test(unknown_paths_are_not_found),
                cmocka_unit_test(a_client_that_has_the_document_gets_304),
                cmocka_unit_test(resource_lists_say_what_kubernetes_says),
                cmocka_unit_test(aggregated_resources_carry_their_subresources),
                cmocka_unit_test(every_resource_is_listed_once_in_each_form),
                cmocka_unit_test(the_first_version_of_a_group_is_preferred),
                cmocka_unit_test(the_root_lists_the_paths),
                cmocka_unit_test(the_version_reads_as_kubernetes_1_36),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
