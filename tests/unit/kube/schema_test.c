/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define CORE "io.k8s.api.core.v1."
#define META "io.k8s.apimachinery.pkg.apis.meta.v1."

static const struct schema_field *field(const char *type, const char *name)
{
        const struct schema_struct *s = schema_struct_find(type);
        const struct schema_field *f;

        if (!s)
                fail_msg("no struct %s", type);
        f = schema_field_find(s, name);
        if (!f)
                fail_msg("no field %s in %s", name, type);
        return f;
}

static void every_struct_and_field_is_found_by_its_name(void **state)
{
        assert_true(schema_nstructs >= 505);
        for (size_t i = 0; i < schema_nstructs; i++) {
                const struct schema_struct *s = &schema_structs[i];

                assert_ptr_equal(schema_struct_find(s->name), s);
                for (size_t j = 0; j < s->nfields; j++)
                        assert_ptr_equal(schema_field_find(s, s->fields[j].name), &s->fields[j]);
                assert_null(schema_field_find(s, ""));
                assert_null(schema_field_find(s, "zzz"));
        }
        assert_null(schema_struct_find("io.k8s.api.core.v1.pod"));
}

static void every_resource_is_found_by_plural_and_by_kind(void **state)
{
        assert_int_equal(schema_nresources, 64);
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];

                assert_ptr_equal(schema_resource_find(r->group, r->version, r->plural), r);
                assert_ptr_equal(schema_resource_by_kind(r->group, r->version, r->kind), r);
                assert_ptr_equal(schema_kind_find(r->group, r->version, r->kind), r->type);
                assert_non_null(r->short_names);
                assert_non_null(r->categories);
        }
        assert_null(schema_resource_find("apps", "v2", "deployments"));
        assert_null(schema_resource_by_kind("apps", "v1", "Pod"));
}

static void groups_come_in_the_order_of_discovery(void **state)
{
        static const char *const groups[] = {
                "",
                "apiregistration.k8s.io",
                "apps",
                "events.k8s.io",
                "authentication.k8s.io",
                "authorization.k8s.io",
                "autoscaling",
                "batch",
                "certificates.k8s.io",
                "networking.k8s.io",
                "policy",
                "rbac.authorization.k8s.io",
                "storage.k8s.io",
                "admissionregistration.k8s.io",
                "apiextensions.k8s.io",
                "scheduling.k8s.io",
                "coordination.k8s.io",
                "node.k8s.io",
                "discovery.k8s.io",
                "metrics.k8s.io",
        };
        size_t g = 0;

        for (size_t i = 0; i < schema_nresources; i++) {
                if (strcmp(schema_resources[i].group, groups[g]))
                        g++;
                assert_true(g < ARRAY_SIZE(groups));
                assert_string_equal(schema_resources[i].group, groups[g]);
        }
        assert_int_equal(g, ARRAY_SIZE(groups) - 1);
        assert_true(schema_resource_find("autoscaling", "v2", "horizontalpodautoscalers") <
                    schema_resource_find("autoscaling", "v1", "horizontalpodautoscalers"));
}

static void a_pod_has_its_verbs_names_and_subresources(void **state)
{
        const struct schema_resource *r = schema_resource_find("", "v1", "pods");
        const struct schema_subresource *eviction;

        assert_string_equal(r->singular, "pod");
        assert_true(r->namespaced);
        assert_int_equal(r->verbs, 0xff);
        assert_string_equal(r->short_names[0], "po");
        assert_null(r->short_names[1]);
        assert_string_equal(r->categories[0], "all");
        eviction = schema_subresource_find(r, "eviction");
        assert_string_equal(eviction->group, "policy");
        assert_int_equal(eviction->verbs, VERB_CREATE);
        assert_string_equal(eviction->type->name, "io.k8s.api.policy.v1.Eviction");
        assert_null(schema_subresource_find(r, "exec")->type);
        assert_int_equal(schema_subresource_find(r, "exec")->verbs, VERB_CONNECT);
        assert_null(schema_subresource_find(r, "scale"));
}

static void kinds_of_every_sort_are_found(void **state)
{
        static const struct {
                const char *group, *version, *kind, *type;
        } rows[] = {
                {"", "v1", "PodList", CORE "PodList"},
                {"autoscaling", "v1", "Scale", "io.k8s.api.autoscaling.v1.Scale"},
                {"", "v1", "Binding", CORE "Binding"},
                {"authentication.k8s.io", "v1", "TokenRequest", "io.k8s.api.authentication.v1.TokenRequest"},
                {"", "v1", "Status", META "Status"},
                {"", "v1", "DeleteOptions", META "DeleteOptions"},
                {"apps", "v1", "DeleteOptions", META "DeleteOptions"},
                {"", "v1", "WatchEvent", META "WatchEvent"},
                {"apps", "v1", "Status", NULL},
                {"", "v1", "PodSpec", NULL},
                {"", "v1", "ObjectMeta", NULL},
                {"", "", "", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct schema_struct *s = schema_kind_find(rows[i].group, rows[i].version, rows[i].kind);

                if (!rows[i].type)
                        assert_null(s);
                else if (!s)
                        fail_msg("no %s/%s %s", rows[i].group, rows[i].version, rows[i].kind);
                else
                        assert_string_equal(s->name, rows[i].type);
        }
}

static void list_facts_are_those_of_openapi(void **state)
{
        const struct schema_type *ports = &field(CORE "Container", "ports")->type;
        const struct schema_type *finalizers = &field(META "ObjectMeta", "finalizers")->type;
        const struct schema_type *strategy = &field("io.k8s.api.apps.v1.DeploymentSpec", "strategy")->type;

        assert_int_equal(ports->kind, SCHEMA_ARRAY);
        assert_string_equal(ports->elem->object->name, CORE "ContainerPort");
        assert_int_equal(ports->list, SCHEMA_LIST_MAP);
        assert_string_equal(ports->keys[0], "containerPort");
        assert_string_equal(ports->keys[1], "protocol");
        assert_null(ports->keys[2]);
        assert_string_equal(ports->merge_key, "containerPort");
        assert_true(ports->merge);
        assert_int_equal(finalizers->list, SCHEMA_LIST_SET);
        assert_true(finalizers->merge);
        assert_null(finalizers->merge_key);
        assert_true(strategy->retain_keys);
        assert_true(field(CORE "PodSpec", "nodeSelector")->type.atomic);
        assert_true(field("io.k8s.api.apps.v1.DeploymentSpec", "selector")->type.atomic);
        assert_int_equal(field(CORE "Secret", "data")->type.elem->kind, SCHEMA_BYTES);
}

/* Facts of Kubernetes' Go types that decide what `kubectl get -o yaml` shows. */
static void fields_know_how_go_writes_them(void **state)
{
        static const struct {
                const char *type, *name;
                int flags;
        } rows[] = {
                {"io.k8s.api.apps.v1.DeploymentSpec", "replicas", SCHEMA_POINTER},
                {"io.k8s.api.apps.v1.DeploymentSpec", "strategy", SCHEMA_ALWAYS},
                {"io.k8s.api.apps.v1.DeploymentSpec", "minReadySeconds", 0},
                {"io.k8s.api.apps.v1.DeploymentSpec", "selector", SCHEMA_REQUIRED | SCHEMA_WRITTEN | SCHEMA_POINTER},
                {"io.k8s.api.apps.v1.DeploymentSpec", "template", SCHEMA_REQUIRED | SCHEMA_WRITTEN | SCHEMA_ALWAYS},
                {CORE "Container", "resources", SCHEMA_ALWAYS},
                {CORE "Container", "securityContext", SCHEMA_POINTER},
                {CORE "Container", "name", SCHEMA_REQUIRED | SCHEMA_WRITTEN},
                {CORE "Container", "stdin", 0},
                {CORE "Container", "restartPolicy", SCHEMA_POINTER},
                {CORE "PodSpec", "containers", SCHEMA_REQUIRED | SCHEMA_WRITTEN},
                {CORE "PodSpec", "hostUsers", SCHEMA_POINTER},
                {CORE "PodSpec", "hostNetwork", 0},
                {CORE "PodSpec", "terminationGracePeriodSeconds", SCHEMA_POINTER},
                {CORE "PodCondition", "lastProbeTime", SCHEMA_ALWAYS},
                {CORE "ServicePort", "targetPort", SCHEMA_ALWAYS},
                {CORE "ServiceStatus", "loadBalancer", SCHEMA_ALWAYS},
                {CORE "ServiceSpec", "healthCheckNodePort", 0},
                {CORE "ResourceFieldSelector", "divisor", SCHEMA_ALWAYS},
                {CORE "Event", "reportingComponent", SCHEMA_WRITTEN},
                {CORE "GRPCAction", "service", SCHEMA_POINTER | SCHEMA_WRITTEN},
                {CORE "HostAlias", "ip", SCHEMA_REQUIRED},
                {META "ObjectMeta", "creationTimestamp", 0},
                {META "ObjectMeta", "deletionTimestamp", SCHEMA_POINTER},
                {META "ObjectMeta", "generation", 0},
                {META "OwnerReference", "controller", SCHEMA_POINTER},
                {META "LabelSelectorRequirement", "values", 0},
                {"io.k8s.api.rbac.v1.Role", "rules", SCHEMA_WRITTEN},
                {"io.k8s.api.discovery.v1.Endpoint", "conditions", SCHEMA_ALWAYS},
                {"io.k8s.api.discovery.v1.EndpointConditions", "ready", SCHEMA_POINTER},
                {"io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus", "currentMetrics", SCHEMA_WRITTEN},
                {"io.k8s.api.networking.v1.NetworkPolicySpec", "podSelector", SCHEMA_WRITTEN | SCHEMA_ALWAYS},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct schema_field *f = field(rows[i].type, rows[i].name);

                if (f->flags != rows[i].flags)
                        fail_msg("%s.%s has flags %d, not %d", rows[i].type, rows[i].name, f->flags, rows[i].flags);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_struct_and_field_is_found_by_its_name),
                cmocka_unit_test(every_resource_is_found_by_plural_and_by_kind),
                cmocka_unit_test(groups_come_in_the_order_of_discovery),
                cmocka_unit_test(a_pod_has_its_verbs_names_and_subresources),
                cmocka_unit_test(kinds_of_every_sort_are_found),
                cmocka_unit_test(list_facts_are_those_of_openapi),
                cmocka_unit_test(fields_know_how_go_writes_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
