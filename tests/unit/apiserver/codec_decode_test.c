/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CORE "io.k8s.api.core.v1."
#define APPS "io.k8s.api.apps.v1."

/* One body of a kind, and the tree as compact JSON with sorted members, or a part of the message. */
struct row {
        const char *type, *in, *out, *error;
};

static struct json_object *sorted(struct json_object *o);

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct json_object *sorted_object(struct json_object *o)
{
        struct json_object *out = json_object_new_object();
        const char *keys[64];
        size_t n = 0;

        json_foreach (o, key, val) {
                assert_true(n < ARRAY_SIZE(keys));
                keys[n++] = key;
        }
        qsort(keys, n, sizeof(*keys), compare_keys);
        for (size_t i = 0; i < n; i++)
                json_object_object_add(out, keys[i], sorted(json_object_object_get(o, keys[i])));
        return out;
}

static struct json_object *sorted(struct json_object *o)
{
        struct json_object *out;

        if (json_is_object(o))
                return sorted_object(o);
        if (!json_is_array(o))
                return json_object_get(o);
        out = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(o); i++)
                json_object_array_add(out, sorted(json_object_array_get_idx(o, i)));
        return out;
}

static void check_text(struct json_object *tree, const char *want, const char *in)
{
        _cleanup_json_ struct json_object *copy = sorted(tree);
        _cleanup_free_ char *text = json_text(copy);

        if (strcmp(text, want))
                fail_msg("%s\n  became %s\n  not    %s", in, text, want);
}

static void check(const struct row *row)
{
        struct codec_input in = {.data = row->in, .len = strlen(row->in), .type = schema_struct_find(row->type)};
        _cleanup_json_ struct json_object *tree = NULL;
        struct err err = ERR_NULL;
        int r;

        assert_non_null(in.type);
        r = codec_decode(&in, &tree, NULL, &err);
        if (row->error) {
                if (r != CODEC_INVALID || !strstr(err.msg, row->error))
                        fail_msg("%s: %d %s\n  not %s", row->in, r, err.msg, row->error);
                return;
        }
        if (r)
                fail_msg("%s: %d %s", row->in, r, err.msg);
        check_text(tree, row->out, row->in);
}

#define CHECK_ALL(rows)                                                                                                \
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)                                                                  \
        check(&(rows)[i])

static void zero_values_go_and_what_go_writes_comes(void **state)
{
        static const struct row rows[] = {
                {CORE "ConfigMap", "{}", "{\"metadata\":{}}", NULL},
                {CORE "ConfigMap", "{\"data\":{},\"immutable\":false}", "{\"immutable\":false,\"metadata\":{}}", NULL},
                {CORE "ConfigMap", "{\"data\":{\"a\":\"\"},\"binaryData\":null}",
                 "{\"data\":{\"a\":\"\"},\"metadata\":{}}", NULL},
                {CORE "Service", "{}", "{\"metadata\":{},\"spec\":{},\"status\":{\"loadBalancer\":{}}}", NULL},
                {CORE "Container", "{\"name\":\"a\",\"stdin\":false,\"image\":\"\",\"securityContext\":{}}",
                 "{\"name\":\"a\",\"resources\":{},\"securityContext\":{}}", NULL},
                {CORE "ServicePort", "{\"port\":80,\"nodePort\":0}", "{\"port\":80,\"targetPort\":0}", NULL},
                {CORE "ServicePort", "{}", "{\"port\":0,\"targetPort\":0}", NULL},
                {CORE "PodCondition", "{}",
                 "{\"lastProbeTime\":null,\"lastTransitionTime\":null,\"status\":\"\",\"type\":\"\"}", NULL},
                {APPS "Deployment", "{\"spec\":{\"replicas\":0,\"minReadySeconds\":0}}",
                 "{\"metadata\":{},\"spec\":{\"replicas\":0,\"selector\":null,\"strategy\":{},\"template\":{"
                 "\"metadata\":{},\"spec\":{\"containers\":null}}},\"status\":{}}",
                 NULL},
                {"io.k8s.api.rbac.v1.Role", "{\"rules\":[]}", "{\"metadata\":{},\"rules\":null}", NULL},
                {CORE "ResourceFieldSelector", "{\"resource\":\"limits.cpu\"}",
                 "{\"divisor\":\"0\",\"resource\":\"limits.cpu\"}", NULL},
                {CORE "PersistentVolumeClaimSpec", "{\"dataSource\":{\"kind\":\"X\",\"name\":\"y\"}}",
                 "{\"dataSource\":{\"apiGroup\":null,\"kind\":\"X\",\"name\":\"y\"},\"resources\":{}}", NULL},
                {CORE "PodSpec", "{\"containers\":[null],\"nodeSelector\":{\"a\":null}}",
                 "{\"containers\":[{\"name\":\"\",\"resources\":{}}],\"nodeSelector\":{\"a\":\"\"}}", NULL},
                {"io.k8s.api.discovery.v1.Endpoint", "{\"addresses\":[\"::1\"],\"conditions\":{\"ready\":false}}",
                 "{\"addresses\":[\"::1\"],\"conditions\":{\"ready\":false}}", NULL},
        };

        CHECK_ALL(rows);
}

static void scalars_get_their_canonical_form(void **state)
{
        static const struct row rows[] = {
                {CORE "ResourceRequirements", "{\"limits\":{\"cpu\":0.5,\"memory\":\"1024Mi\",\"x\":2,\"y\":1e3}}",
                 "{\"limits\":{\"cpu\":\"500m\",\"memory\":\"1Gi\",\"x\":\"2\",\"y\":\"1e3\"}}", NULL},
                {CORE "ResourceRequirements", "{\"limits\":{\"cpu\":null}}", "{\"limits\":{\"cpu\":\"0\"}}", NULL},
                {CORE "ResourceRequirements", "{\"limits\":{\"cpu\":\"1x\"}}", NULL,
                 "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' "
                 "(in limits.cpu)"},
                {"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
                 "{\"creationTimestamp\":\"2024-02-29T12:00:00.9+02:00\"}",
                 "{\"creationTimestamp\":\"2024-02-29T10:00:00Z\"}", NULL},
                {"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "{\"creationTimestamp\":\"0001-01-01T00:00:00Z\"}",
                 "{}", NULL},
                {"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "{\"deletionTimestamp\":\"tomorrow\"}", NULL,
                 "parsing time \"tomorrow\" as \"2006-01-02T15:04:05Z07:00\""},
                {"io.k8s.api.coordination.v1.LeaseSpec", "{\"renewTime\":\"2024-01-02T03:04:05.123456789Z\"}",
                 "{\"renewTime\":\"2024-01-02T03:04:05.123456Z\"}", NULL},
                {"io.k8s.api.coordination.v1.LeaseSpec", "{\"renewTime\":\"9999-12-31T23:59:59Z\"}",
                 "{\"renewTime\":\"9999-12-31T23:59:59.000000Z\"}", NULL},
                {"io.k8s.api.coordination.v1.LeaseSpec", "{\"renewTime\":\"9999-12-31T23:59:59-01:00\"}", NULL,
                 "parsing time \"9999-12-31T23:59:59-01:00\""},
                {CORE "Secret", "{\"data\":{\"a\":\"aGk=\",\"b\":\"\",\"c\":\"YWJj\\nZGVm\\n\"}}",
                 "{\"data\":{\"a\":\"aGk=\",\"b\":\"\",\"c\":\"YWJjZGVm\"},\"metadata\":{}}", NULL},
                {CORE "Secret", "{\"data\":{\"a\":\"not base64\"}}", NULL, "illegal base64 data at input byte 3"},
                {CORE "Secret", "{\"data\":{\"a\":\"YWJjaGk\"}}", NULL, "illegal base64 data at input byte 4"},
                {CORE "ServicePort", "{\"port\":1,\"targetPort\":\"http\"}", "{\"port\":1,\"targetPort\":\"http\"}",
                 NULL},
                {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
                 "{\"maximum\":1.5,\"default\":{\"a\":null},\"minimum\":0}",
                 "{\"default\":{\"a\":null},\"maximum\":1.5,\"minimum\":0}", NULL},
        };

        CHECK_ALL(rows);
}

static void wrong_types_are_named_as_go_does(void **state)
{
        static const struct row rows[] = {
                {APPS "Deployment", "{\"spec\":{\"replicas\":\"3\"}}", NULL,
                 "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"},
                {APPS "Deployment", "{\"spec\":{\"replicas\":1.5}}", NULL,
                 "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"},
                {APPS "Deployment", "{\"spec\":{\"replicas\":2147483648}}", NULL, "number 2147483648 into"},
                {CORE "PodSpec", "{\"terminationGracePeriodSeconds\":9223372036854775808}", NULL,
                 "number 9223372036854775808 into Go struct field PodSpec.terminationGracePeriodSeconds of type int64"},
                {APPS "Deployment", "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"image\":5}]}}}}", NULL,
                 "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.image of "
                 "type string"},
                {CORE "Pod", "{\"spec\":[]}", NULL,
                 "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"},
                {CORE "Pod", "{\"spec\":{\"containers\":{}}}", NULL,
                 "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"},
                {CORE "ConfigMap", "{\"data\":\"x\"}", NULL,
                 "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string"},
                {CORE "ConfigMap", "{\"data\":{\"a\":true}}", NULL, "cannot unmarshal bool into Go struct field"},
                {CORE "PodSpec", "{\"hostNetwork\":\"yes\"}", NULL, "of type bool"},
                {CORE "Pod", "[]", NULL, "json: cannot unmarshal array into Go value of type v1.Pod"},
                {CORE "ServicePort", "{\"targetPort\":4294967296}", NULL, "cannot unmarshal"},
        };

        CHECK_ALL(rows);
}

static const struct codec_input deployment = {.group = "apps", .version = "v1", .kind = "Deployment"};

static int decode(struct codec_input in, const char *text, struct codec_report *report, struct json_object **ret,
                  struct err *err)
{
        in.data = text;
        in.len = strlen(text);
        in.type = schema_kind_find(in.group, in.version, in.kind);
        return codec_decode(&in, ret, report, err);
}

#define ODD                                                                                                            \
        "{\"spec\":{\"replicas\":1,\"foo\":{\"a\":1},\"replicas\":2,\"template\":{\"spec\":{\"containers\":[{},{"      \
        "\"Image\":1}]}}}}"

static void unknown_and_duplicate_fields_are_refused_when_strict(void **state)
{
        _cleanup_json_ struct json_object *tree = NULL;
        struct codec_input in = deployment;
        struct err err = ERR_NULL;

        in.validation = CODEC_STRICT;
        assert_int_equal(decode(in, ODD, NULL, &tree, &err), CODEC_INVALID);
        assert_null(tree);
        assert_string_equal(err.msg,
                            "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: "
                            "duplicate field \"spec.replicas\", unknown field \"spec.foo\", "
                            "unknown field \"spec.template.spec.containers[1].Image\"");
        assert_int_equal(decode(in, "{\"metadata\":{\"name\":\"a\"}}", NULL, &tree, &err), 0);
}

static void unknown_and_duplicate_fields_are_reported_or_ignored(void **state)
{
        static const struct {
                enum codec_validation validation;
                size_t n;
        } rows[] = {{CODEC_WARN, 3}, {CODEC_IGNORE, 0}};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_report_ struct codec_report report = CODEC_REPORT_NULL;
                _cleanup_json_ struct json_object *tree = NULL;
                struct codec_input in = deployment;

                in.validation = rows[i].validation;
                assert_int_equal(decode(in, ODD, &report, &tree, NULL), 0);
                assert_int_equal(report.n, rows[i].n);
                if (report.n)
                        assert_string_equal(report.items[0], "duplicate field \"spec.replicas\"");
                assert_int_equal(json_at_i64(tree, "spec.replicas", 0), 2);
                assert_null(json_at(tree, "spec.foo"));
                assert_string_equal(json_get_str(tree, "apiVersion"), "apps/v1");
                assert_string_equal(json_get_str(tree, "kind"), "Deployment");
        }
}

static void reports_are_bounded(void **state)
{
        _cleanup_report_ struct codec_report report = CODEC_REPORT_NULL;
        _cleanup_json_ struct json_object *tree = NULL;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct codec_input in = deployment;

        in.validation = CODEC_WARN;
        strbuf_add_str(&b, "{\"a\":1");
        for (int i = 0; i < 1000; i++)
                strbuf_add_str(&b, ",\"a\":1");
        strbuf_add_str(&b, "}");
        assert_int_equal(decode(in, b.data, &report, &tree, NULL), 0);
        assert_int_equal(report.n, CODEC_REPORT_MAX);
}

static void a_body_must_be_of_the_expected_kind(void **state)
{
        static const struct {
                const char *in, *error;
        } rows[] = {
                {"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\"}", NULL},
                {"{\"apiVersion\":\"\",\"kind\":null}", NULL},
                {"null", NULL},
                {"{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}",
                 "the API version in the data (v1) does not match the expected API version (apps/v1)"},
                {"{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\"}",
                 "ReplicaSet in version \"v1\" cannot be handled as a Deployment: converting (v1.ReplicaSet) to "
                 "(apps.Deployment): unknown conversion"},
                {"{\"apiVersion\":\"apps/v9\",\"kind\":\"Deployment\"}",
                 "no kind \"Deployment\" is registered for version \"apps/v9\" in scheme"},
                {"{\"apiVersion\":\"apps/v1\",\"kind\":\"Nothing\"}", "no kind \"Nothing\" is registered"},
                {"{\"kind\":5}", "cannot unmarshal number into Go struct field Deployment.kind of type string"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *tree = NULL;
                struct err err = ERR_NULL;
                int r = decode(deployment, rows[i].in, NULL, &tree, &err);

                if (!rows[i].error)
                        assert_int_equal(r, 0);
                else if (r != CODEC_INVALID || !strstr(err.msg, rows[i].error))
                        fail_msg("%s: %d %s", rows[i].in, r, err.msg);
        }
}

static void delete_options_of_any_group_are_taken(void **state)
{
        struct codec_input in = {.group = "", .version = "v1", .kind = "DeleteOptions"};
        _cleanup_json_ struct json_object *tree = NULL;

        assert_int_equal(decode(in, "{\"apiVersion\":\"apps/v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0}",
                                NULL, &tree, NULL),
                         0);
        assert_int_equal(json_get_i64(tree, "gracePeriodSeconds", 9), 0);
}

static void media_types_choose_the_format(void **state)
{
        static const struct {
                const char *type;
                int r;
                enum codec_format format;
        } rows[] = {
                {NULL, 0, CODEC_JSON},
                {"", 0, CODEC_JSON},
                {"application/json", 0, CODEC_JSON},
                {"Application/JSON; charset=utf-8", 0, CODEC_JSON},
                {"application/yaml", 0, CODEC_YAML},
                {"application/vnd.kubernetes.protobuf", 0, CODEC_PROTOBUF},
                {"application/jsonx", CODEC_UNSUPPORTED, 0},
                {"text/plain", CODEC_UNSUPPORTED, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                enum codec_format format = CODEC_JSON;

                assert_int_equal(codec_format_of(rows[i].type, &format), rows[i].r);
                assert_int_equal(format, rows[i].format);
        }
}

static void other_media_types_and_huge_bodies_are_refused(void **state)
{
        struct codec_input in = {.type = schema_struct_find(CORE "Pod"), .data = "{}", .len = 2};
        struct json_object *tree = NULL;
        struct err err = ERR_NULL;

        in.content_type = "text/html";
        assert_int_equal(codec_decode(&in, &tree, NULL, &err), CODEC_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "unknown format - accepted media types include: application/json"));
        in.content_type = NULL;
        in.len = CODEC_BODY_MAX + 1;
        assert_int_equal(codec_decode(&in, &tree, NULL, &err), CODEC_TOO_LARGE);
        assert_null(tree);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(zero_values_go_and_what_go_writes_comes),
                cmocka_unit_test(scalars_get_their_canonical_form),
                cmocka_unit_test(wrong_types_are_named_as_go_does),
                cmocka_unit_test(unknown_and_duplicate_fields_are_refused_when_strict),
                cmocka_unit_test(unknown_and_duplicate_fields_are_reported_or_ignored),
                cmocka_unit_test(reports_are_bounded),
                cmocka_unit_test(a_body_must_be_of_the_expected_kind),
                cmocka_unit_test(delete_options_of_any_group_are_taken),
                cmocka_unit_test(media_types_choose_the_format),
                cmocka_unit_test(other_media_types_and_huge_bodies_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
