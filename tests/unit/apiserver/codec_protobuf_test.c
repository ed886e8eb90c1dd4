/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies are written in a small notation and encoded here: NUMBER and then "bytes", =varint, {message} or #double;
 * \xHH inside bytes. So `1{1"a"} 3=5` is a message in field 1 and a number in field 3.
 */
#include "apiserver/codec/protobuf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/codec/decode.h"
#include "base/json.h"

static void add_varint(struct strbuf *b, uint64_t v)
{
        for (; v > 127; v >>= 7)
                strbuf_add_char(b, (char)(v | 0x80));
        strbuf_add_char(b, (char)v);
}

static void add_bytes(struct strbuf *b, uint64_t number, const struct strbuf *bytes)
{
        add_varint(b, number << 3 | 2);
        add_varint(b, bytes->len);
        strbuf_add(b, bytes->data, bytes->len);
}

static const char *encode(struct strbuf *b, const char *s);

static const char *encode_string(struct strbuf *b, uint64_t number, const char *s)
{
        _cleanup_strbuf_ struct strbuf bytes = STRBUF_NULL;

        for (s++; *s != '"'; s++) {
                if (*s == '\\') {
                        char hex[3] = {s[2], s[3]};

                        strbuf_add_char(&bytes, (char)strtoul(hex, NULL, 16));
                        s += 3;
                } else {
                        strbuf_add_char(&bytes, *s);
                }
        }
        add_bytes(b, number, &bytes);
        return s + 1;
}

static const char *encode_field(struct strbuf *b, const char *s)
{
        _cleanup_strbuf_ struct strbuf inner = STRBUF_NULL;
        char *end;
        uint64_t number = strtoull(s, &end, 10);
        double d;

        switch (*end) {
        case '"':
                return encode_string(b, number, end);
        case '=':
                add_varint(b, number << 3);
                add_varint(b, (uint64_t)strtoll(end + 1, &end, 10));
                return end;
        case '#':
                add_varint(b, number << 3 | 1);
                d = strtod(end + 1, &end);
                strbuf_add(b, &d, sizeof(d));
                return end;
        case '{':
                s = encode(&inner, end + 1);
                add_bytes(b, number, &inner);
                return s + 1;
        default:
                fail_msg("bad notation: %s", s);
                return NULL;
        }
}

static const char *encode(struct strbuf *b, const char *s)
{
        for (;;) {
                s += strspn(s, " ");
                if (!*s || *s == '}')
                        return s;
                s = encode_field(b, s);
        }
}

/* The envelope around a message: apiVersion, kind. */
static void envelope(struct strbuf *b, const char *type_meta, const char *message)
{
        _cleanup_strbuf_ struct strbuf raw = STRBUF_NULL, meta = STRBUF_NULL;

        strbuf_add(b, "k8s", 4);
        encode(&raw, message);
        encode(&meta, type_meta);
        add_bytes(b, 1, &meta);
        add_bytes(b, 2, &raw);
}

struct row {
        const char *type, *message, *out, *error;
};

static void check(const struct row *row)
{
        _cleanup_strbuf_ struct strbuf body = STRBUF_NULL;
        _cleanup_json_ struct json_object *tree = NULL;
        _cleanup_free_ char *text = NULL;
        struct codec_input in = {.content_type = "application/vnd.kubernetes.protobuf"};
        struct err err = ERR_NULL;
        int r;

        envelope(&body, "", row->message);
        in.data = body.data;
        in.len = body.len;
        in.type = schema_struct_find(row->type);
        assert_non_null(in.type);
        r = codec_decode(&in, &tree, NULL, &err);
        if (row->error) {
                if (r != CODEC_INVALID || !strstr(err.msg, row->error))
                        fail_msg("%s: %d %s\n  not %s", row->message, r, err.msg, row->error);
                return;
        }
        if (r)
                fail_msg("%s: %s", row->message, err.msg);
        text = json_text(tree);
        if (strcmp(text, row->out))
                fail_msg("%s\n  became %s\n  not    %s", row->message, text, row->out);
}

#define CORE "io.k8s.api.core.v1."

static void messages_become_the_json_of_their_struct(void **state)
{
        static const struct row rows[] = {
                {CORE "ConfigMap", "1{1\"cm\" 3\"\" 7=0 8{}} 2{1\"a\" 2\"b\"} 2{1\"c\"}",
                 "{\"metadata\":{\"name\":\"cm\"},\"data\":{\"a\":\"b\",\"c\":\"\"}}", NULL},
                {CORE "Secret", "1{} 2{1\"a\" 2\"hi\"} 2{1\"b\" 2\"\\x00\\xff\\x10\"} 2{1\"c\"} 3\"Opaque\"",
                 "{\"metadata\":{},\"data\":{\"a\":\"aGk=\",\"b\":\"AP8Q\",\"c\":\"\"},\"type\":\"Opaque\"}", NULL},
                /* numbers: zero of a non-pointer goes, that of a pointer stays; negative ones take ten bytes */
                {"io.k8s.api.apps.v1.RollingUpdateDeployment", "1{1=0 2=1 3\"\"} 2{1=1 2=0 3\"25%\"}",
                 "{\"maxUnavailable\":1,\"maxSurge\":\"25%\"}", NULL},
                {CORE "ServicePort", "1\"\" 2\"TCP\" 3=80 4{1=0 2=0 3\"\"} 5=0",
                 "{\"protocol\":\"TCP\",\"port\":80,\"targetPort\":0}", NULL},
                {CORE "PodSecurityContext", "2=0 3=0 4=-1 4=7 4\"\\x01\\x02\"",
                 "{\"runAsUser\":0,\"runAsNonRoot\":false,\"supplementalGroups\":[-1,7,1,2]}", NULL},
                /* quantities, times */
                {CORE "ResourceRequirements", "1{1\"cpu\" 2{1\"1000m\"}} 1{1\"memory\" 2{}}",
                 "{\"limits\":{\"cpu\":\"1\",\"memory\":\"0\"}}", NULL},
                {"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "1\"a\" 8{1=1709200800 2=0} 9{1=0}",
                 "{\"name\":\"a\",\"creationTimestamp\":\"2024-02-29T10:00:00Z\",\"deletionTimestamp\":"
                 "\"1970-01-01T00:00:00Z\"}",
                 NULL},
                {"io.k8s.api.coordination.v1.LeaseSpec", "1\"me\" 4{1=1709200800 2=123456789}",
                 "{\"holderIdentity\":\"me\",\"renewTime\":\"2024-02-29T10:00:00.123456Z\"}", NULL},
                /* embedded structs */
                {CORE "Volume", "1\"v\" 2{19{1{1\"cm\"} 3=420}}",
                 "{\"name\":\"v\",\"configMap\":{\"name\":\"cm\",\"defaultMode\":420}}", NULL},
                {CORE "EnvVarSource", "3{1{1\"cm\"} 2\"key\" 3=0}",
                 "{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"key\",\"optional\":false}}", NULL},
                {CORE "Probe", "1{2{1\"/\" 2{1=1 3\"http\"} 4\"HTTP\"}} 2=0 4=5",
                 "{\"httpGet\":{\"path\":\"/\",\"port\":\"http\",\"scheme\":\"HTTP\"},\"periodSeconds\":5}", NULL},
                {CORE "EphemeralContainer", "1{1\"debug\" 2\"busybox\" 8{}} 2\"web\"",
                 "{\"name\":\"debug\",\"image\":\"busybox\",\"resources\":{},\"targetContainerName\":\"web\"}", NULL},
                {"io.k8s.api.admissionregistration.v1.RuleWithOperations", "1\"CREATE\" 2{1\"\" 2\"v1\" 3\"pods\"}",
                 "{\"operations\":[\"CREATE\"],\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"resources\":[\"pods\"]}",
                 NULL},
                {"io.k8s.api.authorization.v1.SubjectAccessReviewSpec",
                 "3\"me\" 5{1\"scopes\" 2{1\"a\" 1\"b\"}} 5{1\"x\" 2{}}",
                 "{\"user\":\"me\",\"extra\":{\"scopes\":[\"a\",\"b\"],\"x\":[]}}", NULL},
                /* JSON inside */
                {"io.k8s.api.apps.v1.ControllerRevision", "1{} 2{1\"[1,null]\"} 3=4",
                 "{\"metadata\":{},\"data\":[1,null],\"revision\":4}", NULL},
                {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
                 "5\"object\" 8{1\"true\"} 9#1.5 11#0.1 10=0 30{1=1 2{1\"\" 5\"string\" 37=0}} 33{1=0} 38=0",
                 "{\"type\":\"object\",\"default\":true,\"maximum\":1.5,\"minimum\":0.1,\"additionalProperties\":{"
                 "\"type\":\"string\"},\"additionalItems\":false,\"x-kubernetes-preserve-unknown-fields\":false}",
                 NULL},
                /* what is not known is skipped */
                {CORE "LocalObjectReference", "1\"a\" 99\"x\" 98=5 97#1.0 96{1{}}", "{\"name\":\"a\"}", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

static void broken_messages_are_refused(void **state)
{
        static const struct row rows[] = {
                {CORE "ConfigMap", "1\"\\x0a\"", NULL, "proto: unexpected EOF"},
                {CORE "ConfigMap", "1\"\\x0a\\x05ab\"", NULL, "proto: unexpected EOF"},
                {CORE "ConfigMap", "1\"\\x0b\"", NULL, "proto: wire type that is not known"},
                {CORE "ConfigMap", "1\"\\x00\\x00\"", NULL, "proto: broken field tag"},
                {CORE "ConfigMap", "1\"\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\"", NULL,
                 "broken field tag"},
                {CORE "ConfigMap", "1=5", NULL, "proto: wrong wireType = 0 for field metadata"},
                {CORE "LocalObjectReference", "1\"\\xff\"", NULL, "not UTF-8"},
                {CORE "LocalObjectReference", "1\"a\\x00\"", NULL, "holds NUL"},
                {CORE "ConfigMap", "2=5", NULL, "a map entry that is no message"},
                {CORE "Volume", "2=5", NULL, "an embedded message that is none"},
                {"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "8{1=253402300800}", NULL, "time out of range"},
                {"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "8{1=1 2=1000000000}", NULL, "time out of range"},
                {"io.k8s.api.apps.v1.ControllerRevision", "2{1\"{\"}", NULL, "unexpected end of JSON input"},
                {CORE "ServicePort", "3=4294967296", NULL, "cannot unmarshal number 4294967296 into"},
                {CORE "ResourceRequirements", "1{1\"cpu\" 2{1\"x\"}}", NULL, "quantities must match"},
                {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps", "9#inf", NULL,
                 "infinity and NaN have no JSON"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

static void depth_is_bounded(void **state)
{
        _cleanup_strbuf_ struct strbuf s = STRBUF_NULL;
        struct row row = {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps", NULL, NULL,
                          "exceeded max depth"};

        for (int i = 0; i < 200; i++)
                strbuf_add_str(&s, "28{");
        for (int i = 0; i < 200; i++)
                strbuf_add_str(&s, "}");
        row.message = s.data;
        check(&row);
}

static int decode_as_pod(const struct strbuf *body, struct json_object **ret, struct err *err)
{
        struct codec_input in = {
                .data = body->data,
                .len = body->len,
                .content_type = "application/vnd.kubernetes.protobuf",
                .type = schema_struct_find(CORE "Pod"),
                .group = "",
                .version = "v1",
                .kind = "Pod",
        };

        return codec_decode(&in, ret, NULL, err);
}

static void the_envelope_names_the_kind(void **state)
{
        static const struct {
                const char *type_meta, *error;
        } rows[] = {
                {"1\"v1\" 2\"Pod\"", NULL},
                {"", NULL},
                {"1\"apps/v1\" 2\"Deployment\"", "the API version in the data (apps/v1) does not match"},
                {"1\"v1\" 2\"Nothing\"", "no kind \"Nothing\" is registered"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_strbuf_ struct strbuf body = STRBUF_NULL;
                _cleanup_json_ struct json_object *tree = NULL;
                struct err err = ERR_NULL;

                envelope(&body, rows[i].type_meta, "1{1\"a\"}");
                if (rows[i].error) {
                        assert_int_equal(decode_as_pod(&body, &tree, &err), CODEC_INVALID);
                        assert_non_null(strstr(err.msg, rows[i].error));
                        continue;
                }
                assert_int_equal(decode_as_pod(&body, &tree, &err), 0);
                assert_string_equal(json_get_str(tree, "kind"), "Pod");
                assert_string_equal(json_get_str(tree, "apiVersion"), "v1");
                assert_string_equal(json_at_str(tree, "metadata.name"), "a");
        }
}

static void what_has_no_envelope_is_refused(void **state)
{
        static const char *const bodies[] = {"", "k8s", "{\"kind\":\"Pod\"}", "K8s\1\1\1"};

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                struct strbuf body = {.data = (char *)bodies[i], .len = strlen(bodies[i])};
                struct json_object *tree = NULL;
                struct err err = ERR_NULL;

                assert_int_equal(decode_as_pod(&body, &tree, &err), CODEC_INVALID);
                assert_non_null(strstr(err.msg, "expected prefix [107 56 115 0]"));
        }
}

static void every_message_of_a_kind_is_known(void **state)
{
        for (size_t i = 0; i < schema_nresources; i++) {
                const char *name = schema_resources[i].type->name;
                bool found = false;

                for (size_t j = 0; j < pb_nmessages && !found; j++)
                        found = !strcmp(pb_messages[j].name, name);
                if (!found)
                        fail_msg("no message for %s", name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(messages_become_the_json_of_their_struct),
                cmocka_unit_test(broken_messages_are_refused),
                cmocka_unit_test(depth_is_bounded),
                cmocka_unit_test(the_envelope_names_the_kind),
                cmocka_unit_test(what_has_no_envelope_is_refused),
                cmocka_unit_test(every_message_of_a_kind_is_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
