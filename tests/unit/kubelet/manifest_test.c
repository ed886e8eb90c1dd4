/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/sources/manifest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static const char pod_text[] = "apiVersion: v1\n"
                               "kind: Pod\n"
                               "metadata: {name: web}\n"
                               "spec:\n"
                               "  hostNetwork: true\n"
                               "  containers:\n"
                               "  - name: c\n"
                               "    image: nginx\n"
                               "    ports: [{containerPort: 80}]\n"
                               "    resources: {limits: {cpu: 100m}}\n"
                               "    livenessProbe: {httpGet: {port: 80}}\n"
                               "  volumes:\n"
                               "  - name: v\n"
                               "  - name: s\n"
                               "    secret: {secretName: x}\n";

static struct json_object *read_pod(const char *text, const char *node)
{
        struct json_object *pod = NULL;
        struct err err = ERR_NULL;

        if (manifest_read(text, strlen(text), "web.yaml", node, &pod, &err))
                fail_msg("%s", err.msg);
        return pod;
}

static void a_file_becomes_a_pod_of_the_node(void **state)
{
        _cleanup_json_ struct json_object *pod = read_pod(pod_text, "n1");

        assert_string_equal(json_at_str(pod, "metadata.name"), "web-n1");
        assert_string_equal(json_at_str(pod, "metadata.namespace"), "default");
        assert_string_equal(json_at_str(pod, "spec.nodeName"), "n1");
        assert_string_equal(json_get_str(json_at(pod, "metadata.annotations"), CONFIG_HASH_ANNOTATION),
                            json_at_str(pod, "metadata.uid"));
        assert_string_equal(json_get_str(json_idx(json_at(pod, "spec.tolerations"), 0), "effect"), "NoExecute");
}

static void defaults_are_those_of_the_api(void **state)
{
        _cleanup_json_ struct json_object *pod = read_pod(pod_text, "n1");
        struct json_object *c = json_idx(json_at(pod, "spec.containers"), 0);
        struct json_object *port = json_idx(json_get(c, "ports"), 0);

        assert_string_equal(json_at_str(pod, "spec.restartPolicy"), "Always");
        assert_int_equal(json_at_i64(pod, "spec.terminationGracePeriodSeconds", 0), 30);
        assert_string_equal(json_get_str(c, "imagePullPolicy"), "Always");
        assert_string_equal(json_get_str(port, "protocol"), "TCP");
        assert_int_equal(json_get_i64(port, "hostPort", 0), 80);
        assert_int_equal(json_at_i64(c, "livenessProbe.failureThreshold", 0), 3);
        assert_string_equal(json_at_str(c, "livenessProbe.httpGet.scheme"), "HTTP");
        assert_string_equal(json_at_str(c, "resources.requests.cpu"), "100m");
        assert_non_null(json_get(json_idx(json_at(pod, "spec.volumes"), 0), "emptyDir"));
        assert_null(json_get(json_idx(json_at(pod, "spec.volumes"), 1), "emptyDir"));
        assert_int_equal(json_at_i64(json_idx(json_at(pod, "spec.volumes"), 1), "secret.defaultMode", 0), 0644);
}

static void latest_alone_is_always_pulled(void **state)
{
        static const struct {
                const char *image, *policy;
        } rows[] = {
                {"nginx", "Always"},
                {"nginx:latest", "Always"},
                {"localhost:5000/nginx", "Always"},
                {"nginx:1", "IfNotPresent"},
                {"localhost:5000/nginx:1", "IfNotPresent"},
                {"nginx@sha256:00", "IfNotPresent"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char text[512];
                _cleanup_json_ struct json_object *pod = NULL;

                snprintf(text, sizeof(text),
                         "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: '%s'}]}",
                         rows[i].image);
                pod = read_pod(text, "n");
                if (!str_eq(json_get_str(json_idx(json_at(pod, "spec.containers"), 0), "imagePullPolicy"),
                            rows[i].policy))
                        fail_msg("%s is not %s", rows[i].image, rows[i].policy);
        }
}

static void the_uid_follows_from_file_and_node(void **state)
{
        _cleanup_json_ struct json_object *a = read_pod(pod_text, "n1"), *b = read_pod(pod_text, "n1"),
                                          *other = read_pod(pod_text, "n2");

        assert_string_equal(json_at_str(a, "metadata.uid"), json_at_str(b, "metadata.uid"));
        assert_string_not_equal(json_at_str(a, "metadata.uid"), json_at_str(other, "metadata.uid"));
}

static void a_mirror_names_its_pod_and_its_node(void **state)
{
        _cleanup_json_ struct json_object *pod = read_pod(pod_text, "n1"), *mirror = manifest_mirror(pod, "n1", "u-1"),
                                          *unowned = manifest_mirror(pod, "n1", "");

        assert_string_equal(json_get_str(json_at(mirror, "metadata.annotations"), CONFIG_MIRROR_ANNOTATION),
                            json_at_str(pod, "metadata.uid"));
        assert_null(json_at(mirror, "metadata.uid"));
        assert_string_equal(json_get_str(json_idx(json_at(mirror, "metadata.ownerReferences"), 0), "uid"), "u-1");
        assert_null(json_at(unowned, "metadata.ownerReferences"));
        assert_null(json_get(json_at(pod, "metadata.annotations"), CONFIG_MIRROR_ANNOTATION));
}

static void mistakes_are_named(void **state)
{
        static const struct {
                const char *text, *message;
        } rows[] = {
                {"a: [", "web.yaml: yaml: line "},
                {"", "use one object of kind Pod"},
                {"[]", "use one object of kind Pod"},
                {"apiVersion: v1\nkind: Service\n", "use one object of kind Pod"},
                {"apiVersion: v1\nkind: Pod\nmetadata: {name: A_b}\n", "metadata.name \"A_b\""},
                {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: a/b}\n", "metadata.namespace \"a/b\""},
                {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n", "spec.containers: use one"},
                {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c}]}\n",
                 "spec.containers[0]: use a name and an image"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct json_object *pod = NULL;
                struct err err = ERR_NULL;
                int r = manifest_read(rows[i].text, strlen(rows[i].text), "web.yaml", "n1", &pod, &err);

                if (r != -EINVAL || !strstr(err.msg, rows[i].message))
                        fail_msg("\"%s\": %d, \"%s\"", rows[i].text, r, err.msg);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_file_becomes_a_pod_of_the_node),
                cmocka_unit_test(defaults_are_those_of_the_api),
                cmocka_unit_test(latest_alone_is_always_pulled),
                cmocka_unit_test(the_uid_follows_from_file_and_node),
                cmocka_unit_test(a_mirror_names_its_pod_and_its_node),
                cmocka_unit_test(mistakes_are_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
