/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/meta_validate.h"
#include "unit/apiserver/kinds_harness.h"

static void validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e);

static const struct kind_ops pods = {
        .group = "",
        .plural = "pods",
        .validate = validate,
        .validate_update = meta_validate_update,
};
static const struct kind_ops nodes = {.group = "", .plural = "nodes", .validate = validate};

static void validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        meta_validate(c, &pods, obj, e);
}

#define SUBDOMAIN                                                                                                      \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "     \
        "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "              \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define QUALIFIED                                                                                                      \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "          \
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "           \
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define LABEL_VALUE                                                                                                    \
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "      \
        "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "   \
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

static const struct kinds_suite pod_suite = {
        .ops = &pods,
        .version = "v1",
        .base = "{'metadata':{'name':'a','namespace':'default','uid':'u','generation':2}}",
};
static const struct kinds_suite node_suite = {.ops = &nodes, .version = "v1", .base = "{'metadata':{'name':'a'}}"};

static void names_and_namespaces_are_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {"{'metadata':{'name':null}}", "metadata.name: Required value: name or generateName is required"},
                {"{'metadata':{'name':'A'}}", "metadata.name: Invalid value: \"A\": " SUBDOMAIN},
                {"{'metadata':{'generateName':'ok-'}}", ""},
                {"{'metadata':{'generateName':'_-'}}", ""}, /* as upstream: what is before the hyphen is masked */
                {"{'metadata':{'generateName':'_x-'}}", "metadata.generateName: Invalid value: \"_x-\": " SUBDOMAIN},
                {"{'metadata':{'namespace':null}}", "metadata.namespace: Required value"},
                {"{'metadata':{'generation':-1}}",
                 "metadata.generation: Invalid value: -1: must be greater than or equal to 0"},
        };
        static const struct kinds_row node_rows[] = {
                {"{}", ""},
                {"{'metadata':{'namespace':'x'}}", "metadata.namespace: Forbidden: not allowed on this type"},
        };

        kinds_check_validate(&pod_suite, rows, ARRAY_SIZE(rows));
        kinds_check_validate(&node_suite, node_rows, ARRAY_SIZE(node_rows));
}

static void labels_and_annotations_are_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'metadata':{'labels':{'example.com/a':'b','c':''}}}", ""},
                {"{'metadata':{'labels':{'-a':'b'}}}", "metadata.labels: Invalid value: \"-a\": " QUALIFIED},
                {"{'metadata':{'labels':{'a':'-b'}}}", "metadata.labels[a]: Invalid value: \"-b\": " LABEL_VALUE},
                {"{'metadata':{'annotations':{'Example.COM/A':'any thing'}}}", ""},
                {"{'metadata':{'annotations':{'-a':'b'}}}", "metadata.annotations: Invalid value: \"-a\": " QUALIFIED},
        };

        kinds_check_validate(&pod_suite, rows, ARRAY_SIZE(rows));
}

static void annotations_share_256_KiB(void **state)
{
        struct kctx *c = kinds_context(&pod_suite);
        _cleanup_json_ struct json_object *obj = kinds_json(pod_suite.base, "{'metadata':{'annotations':{}}}");
        char *big = arena_alloc(c->arena, (256 << 10) + 1);
        struct ferrs e = FERRS(c->arena);

        memset(big, 'x', 256 << 10);
        big[(256 << 10) - 1] = '\0';
        json_set_str(json_at(obj, "metadata.annotations"), "a", big);
        meta_validate(c, &pods, obj, &e);
        assert_int_equal(e.n, 0);
        json_set_str(json_at(obj, "metadata.annotations"), "ab", "");
        meta_validate(c, &pods, obj, &e);
        assert_string_equal(ferrs_message(&e), "metadata.annotations: Too long: may not be more than 262144 bytes");
        kinds_context_deinit(c);
}

static void owners_finalizers_and_managers_are_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'metadata':{'ownerReferences':[{'apiVersion':'apps/v1','kind':'ReplicaSet','name':'a','uid':'1'}]}}",
                 ""},
                {"{'metadata':{'ownerReferences':[{}]}}",
                 "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty\n"
                 "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty\n"
                 "metadata.ownerReferences.name: Invalid value: \"\": must not be empty\n"
                 "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"},
                {"{'metadata':{'ownerReferences':[{'apiVersion':'v1','kind':'Event','name':'a','uid':'1'}]}}",
                 "metadata.ownerReferences: Invalid value: "
                 "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"a\",\"uid\":\"1\"}: /v1, Kind=Event is "
                 "disallowed from being an owner"},
                {"{'metadata':{'ownerReferences':["
                 "{'apiVersion':'v1','kind':'Pod','name':'a','uid':'1','controller':true},"
                 "{'apiVersion':'v1','kind':'Pod','name':'b','uid':'2','controller':true}]}}",
                 "metadata.ownerReferences: Invalid value: "
                 "[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"a\",\"uid\":\"1\",\"controller\":true},"
                 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"b\",\"uid\":\"2\",\"controller\":true}]: Only one "
                 "reference can have Controller set to true. Found \"true\" in references for a and b"},
                {"{'metadata':{'finalizers':['kubernetes','orphan','example.com/a']}}", ""},
                {"{'metadata':{'finalizers':['mine']}}",
                 "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it "
                 "fully qualified"},
                {"{'metadata':{'finalizers':['x.y/-']}}", "metadata.finalizers: Invalid value: \"x.y/-\": " QUALIFIED},
                {"{'metadata':{'finalizers':['orphan','foregroundDeletion']}}",
                 "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and "
                 "foregroundDeletion cannot be both set"},
                {"{'metadata':{'managedFields':[{'operation':'Apply','fieldsType':'FieldsV1','manager':'m'}]}}", ""},
                {"{'metadata':{'managedFields':[{'operation':'Do','fieldsType':'V2','manager':'m'}]}}",
                 "metadata.managedFields[0].operation: Invalid value: \"Do\": must be `Apply` or `Update`\n"
                 "metadata.managedFields[0].fieldsType: Invalid value: \"V2\": must be `FieldsV1`"},
                {"{'metadata':{'managedFields':[{'operation':'Apply','manager':'m\\u0007'}]}}",
                 "metadata.managedFields[0].manager: Invalid value: \"m\\u0007\": should only contain printable "
                 "characters"},
        };

        kinds_check_validate(&pod_suite, rows, ARRAY_SIZE(rows));
}

static void an_update_keeps_what_is_immutable(void **state)
{
        static const struct kinds_update_row rows[] = {
                {NULL, "{'metadata':{'labels':{'a':'b'}}}", ""},
                {NULL, "{'metadata':{'uid':'v'}}", "metadata.uid: Invalid value: \"v\": field is immutable"},
                {NULL, "{'metadata':{'uid':null}}", "metadata.uid: Invalid value: null: field is immutable"},
                {NULL, "{'metadata':{'name':'b'}}", "metadata.name: Invalid value: \"b\": field is immutable"},
                {NULL, "{'metadata':{'namespace':'b'}}",
                 "metadata.namespace: Invalid value: \"b\": field is immutable"},
                {NULL, "{'metadata':{'creationTimestamp':'2026-01-01T00:00:00Z'}}",
                 "metadata.creationTimestamp: Invalid value: \"2026-01-01T00:00:00Z\": field is immutable"},
                {NULL, "{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z'}}",
                 "metadata.deletionTimestamp: Invalid value: \"2026-01-01T00:00:00Z\": field is immutable"},
                {NULL, "{'metadata':{'deletionGracePeriodSeconds':1}}",
                 "metadata.deletionGracePeriodSeconds: Invalid value: 1: field is immutable"},
                {NULL, "{'metadata':{'generation':1}}",
                 "metadata.generation: Invalid value: 1: must not be decremented"},
                {NULL, "{'metadata':{'labels':{'a':'!'}}}", "metadata.labels[a]: Invalid value: \"!\": " LABEL_VALUE},
                {"{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':['a.b/c']}}",
                 "{'metadata':{'finalizers':['a.b/c','a.b/d','a.b/e']}}",
                 "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found "
                 "new finalizers []string{\"a.b/d\", \"a.b/e\"}"},
                {"{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':['a.b/c']}}",
                 "{'metadata':{'finalizers':null}}", ""},
        };

        kinds_check_update(&pod_suite, rows, ARRAY_SIZE(rows));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_and_namespaces_are_checked),
                cmocka_unit_test(labels_and_annotations_are_checked),
                cmocka_unit_test(annotations_share_256_KiB),
                cmocka_unit_test(owners_finalizers_and_managers_are_checked),
                cmocka_unit_test(an_update_keeps_what_is_immutable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
