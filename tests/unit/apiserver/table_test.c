/* SPDX-License-Identifier: Apache-2.0 */
/* What `kubectl get` shows. Objects and cells are JSON with ' for ", so that they read well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/table/table.h"
#include "base/clock.h"
#include "base/str.h"
#include "kube/schema.h"
#include "table_rows.h"

#define NOW "2026-01-01T00:00:00Z"

static struct json_object *parse(const char *quoted)
{
        _cleanup_free_ char *text = strdup(quoted);
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        for (char *p = text; *p; p++)
                if (*p == '\'')
                        *p = '"';
        if (json_parse(text, strlen(text), &o, &err))
                fail_msg("%s: %s", err.msg, text);
        return o;
}

static struct table_ctx at_now(struct arena *a)
{
        struct timespec t;

        assert_int_equal(clock_parse(NOW, &t), 0);
        return (struct table_ctx){.arena = a, .now_s = t.tv_sec};
}

static void check_row(const struct table_row_case *c)
{
        struct arena a = ARENA_NULL;
        struct table_ctx ctx = at_now(&a);
        _cleanup_json_ struct json_object *obj = parse(c->object), *want = parse(c->cells);
        _cleanup_json_ struct json_object *cells = json_object_new_array();
        const struct table_def *def = table_find(c->group, c->plural);

        table_row(def, &ctx, obj, cells);
        assert_int_equal(json_len(cells), def->ncolumns);
        if (!json_equal(cells, want)) {
                _cleanup_free_ char *text = json_text(cells);

                fail_msg("%s %s\n   is %s\n want %s", c->plural, c->object, text, c->cells);
        }
        arena_deinit(&a);
}

static void rows_show_what_kubectl_users_know(void **state _unused_)
{
        assert_true(table_row_ncases > 120);
        for (size_t i = 0; i < table_row_ncases; i++)
                check_row(&table_row_cases[i]);
}

static const struct {
        const char *group, *plural;
        const char *columns; /* a star: only with -o wide */
} layouts[] = {
        {"", "pods", "Name,Ready,Status,Restarts,Age,IP*,Node*,Nominated Node*,Readiness Gates*"},
        {"", "podtemplates", "Name,Containers,Images,Pod Labels"},
        {"policy", "poddisruptionbudgets", "Name,Min Available,Max Unavailable,Allowed Disruptions,Age"},
        {"", "replicationcontrollers", "Name,Desired,Current,Ready,Age,Containers*,Images*,Selector*"},
        {"apps", "replicasets", "Name,Desired,Current,Ready,Age,Containers*,Images*,Selector*"},
        {"apps", "daemonsets",
         "Name,Desired,Current,Ready,Up-to-date,Available,Node Selector,Age,Containers*,Images*,Selector*"},
        {"batch", "jobs", "Name,Status,Completions,Duration,Age,Containers*,Images*,Selector*"},
        {"batch", "cronjobs", "Name,Schedule,Timezone,Suspend,Active,Last Schedule,Age,Containers*,Images*,Selector*"},
        {"", "services", "Name,Type,Cluster-IP,External-IP,Port(s),Age,Selector*"},
        {"networking.k8s.io", "ingresses", "Name,Class,Hosts,Address,Ports,Age"},
        {"networking.k8s.io", "ingressclasses", "Name,Controller,Parameters,Age"},
        {"apps", "statefulsets", "Name,Ready,Age,Containers*,Images*"},
        {"", "endpoints", "Name,Endpoints,Age"},
        {"", "nodes",
         "Name,Status,Roles,Age,Version,Internal-IP*,External-IP*,OS-Image*,Kernel-Version*,Container-Runtime*"},
        {"", "events", "Last Seen,Type,Reason,Object,Subobject*,Source*,Message,First Seen*,Count*,Name*"},
        {"events.k8s.io", "events", "Last Seen,Type,Reason,Object,Subobject*,Source*,Message,First Seen*,Count*,Name*"},
        {"", "namespaces", "Name,Status,Age"},
        {"", "secrets", "Name,Type,Data,Age"},
        {"", "serviceaccounts", "Name,Age"},
        {"", "persistentvolumes",
         "Name,Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,VolumeAttributesClass,Reason,Age,"
         "VolumeMode*"},
        {"", "persistentvolumeclaims",
         "Name,Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age,VolumeMode*"},
        {"", "componentstatuses", "Name,Status,Message,Error"},
        {"apps", "deployments", "Name,Ready,Up-to-date,Available,Age,Containers*,Images*,Selector*"},
        {"autoscaling", "horizontalpodautoscalers", "Name,Reference,Targets,MinPods,MaxPods,Replicas,Age"},
        {"", "configmaps", "Name,Data,Age"},
        {"networking.k8s.io", "networkpolicies", "Name,Pod-Selector,Age"},
        {"rbac.authorization.k8s.io", "rolebindings", "Name,Role,Age,Users*,Groups*,ServiceAccounts*"},
        {"rbac.authorization.k8s.io", "clusterrolebindings", "Name,Role,Age,Users*,Groups*,ServiceAccounts*"},
        {"certificates.k8s.io", "certificatesigningrequests",
         "Name,Age,SignerName,Requestor,RequestedDuration,Condition"},
        {"coordination.k8s.io", "leases", "Name,Holder,Age"},
        {"storage.k8s.io", "storageclasses",
         "Name,Provisioner,ReclaimPolicy,VolumeBindingMode,AllowVolumeExpansion,Age"},
        {"storage.k8s.io", "volumeattributesclasses", "Name,DriverName,Age"},
        {"apps", "controllerrevisions", "Name,Controller,Revision,Age"},
        {"", "resourcequotas", "Name,Request,Limit,Age"},
        {"scheduling.k8s.io", "priorityclasses", "Name,Value,Global-Default,Age,PreemptionPolicy*"},
        {"node.k8s.io", "runtimeclasses", "Name,Handler,Age"},
        {"storage.k8s.io", "volumeattachments", "Name,Attacher,PV,Node,Attached,Age"},
        {"discovery.k8s.io", "endpointslices", "Name,AddressType,Ports,Endpoints,Age"},
        {"storage.k8s.io", "csinodes", "Name,Drivers,Age"},
        {"storage.k8s.io", "csidrivers",
         "Name,AttachRequired,PodInfoOnMount,StorageCapacity,TokenRequests,RequiresRepublish,Modes,Age"},
        {"storage.k8s.io", "csistoragecapacities", "Name,StorageClassName,Capacity"},
        {"admissionregistration.k8s.io", "mutatingwebhookconfigurations", "Name,Webhooks,Age"},
        {"admissionregistration.k8s.io", "validatingwebhookconfigurations", "Name,Webhooks,Age"},
        {"admissionregistration.k8s.io", "validatingadmissionpolicies", "Name,Validations,ParamKind,Age"},
        {"admissionregistration.k8s.io", "validatingadmissionpolicybindings", "Name,PolicyName,ParamRef,Age"},
        {"admissionregistration.k8s.io", "mutatingadmissionpolicies", "Name,Mutations,ParamKind,Age"},
        {"admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "Name,PolicyName,ParamRef,Age"},
        {"networking.k8s.io", "servicecidrs", "Name,CIDRs,Age"},
        {"networking.k8s.io", "ipaddresses", "Name,ParentRef"},
        {"apiregistration.k8s.io", "apiservices", "Name,Service,Available,Age"},
        {"rbac.authorization.k8s.io", "roles", "Name,Created At"},
        {"apiextensions.k8s.io", "customresourcedefinitions", "Name,Created At"},
        {"", "limitranges", "Name,Created At"},
        {"example.com", "pods", "Name,Created At"},
};

static void columns_have_the_names_and_priorities_of_kubernetes(void **state _unused_)
{
        for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
                const struct table_def *def = table_find(layouts[i].group, layouts[i].plural);
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

                for (size_t j = 0; j < def->ncolumns; j++)
                        strbuf_printf(&b, "%s%s%s", j ? "," : "", def->columns[j].name,
                                      def->columns[j].priority ? "*" : "");
                if (!str_eq(b.data, layouts[i].columns))
                        fail_msg("%s: %s", layouts[i].plural, b.data);
        }
}

/* Clients read the type (numbers are aligned) and find the name by its format. */
static void every_column_is_complete(void **state _unused_)
{
        static const char *const types[] = {"string", "integer", "boolean", "date"};

        for (size_t i = 0; i < schema_nresources; i++) {
                const struct table_def *def = table_find(schema_resources[i].group, schema_resources[i].plural);
                size_t names = 0;

                for (size_t j = 0; j < def->ncolumns; j++) {
                        const struct table_column *c = &def->columns[j];
                        bool known = false;

                        for (size_t k = 0; k < ARRAY_SIZE(types); k++)
                                known |= str_eq(c->type, types[k]);
                        assert_true(known);
                        assert_true(c->description && *c->description && c->cell);
                        names += str_eq(c->format, "name");
                }
                assert_int_equal(names, 1);
        }
}

static void an_empty_object_has_a_row_of_every_kind(void **state _unused_)
{
        for (size_t i = 0; i < schema_nresources; i++) {
                struct arena a = ARENA_NULL;
                struct table_ctx ctx = at_now(&a);
                _cleanup_json_ struct json_object *obj = json_object_new_object(), *cells = json_object_new_array();
                const struct table_def *def = table_find(schema_resources[i].group, schema_resources[i].plural);

                table_row(def, &ctx, obj, cells);
                assert_int_equal(json_len(cells), def->ncolumns);
                arena_deinit(&a);
        }
}

static const struct {
        int64_t seconds;
        const char *text;
} durations[] = {
        {-2, "<invalid>"},  {-1, "0s"},       {0, "0s"},          {1, "1s"},
        {119, "119s"},      {120, "2m"},      {121, "2m1s"},      {599, "9m59s"},
        {600, "10m"},       {659, "10m"},     {10799, "179m"},    {10800, "3h"},
        {10860, "3h1m"},    {28799, "7h59m"}, {28800, "8h"},      {172799, "47h"},
        {172800, "2d"},     {176400, "2d1h"}, {691199, "7d23h"},  {691200, "8d"},
        {63071999, "729d"}, {63072000, "2y"}, {63158400, "2y1d"}, {252287999, "7y364d"},
        {252288000, "8y"},  {28860, "8h"},    {694800, "8d"},     {63072000 + 86399, "2y"},
        {252374400, "8y"},  {7200, "120m"},   {10860 - 60, "3h"}, {315360000, "10y"},
};

static void durations_are_rounded_as_kubectl_rounds_them(void **state _unused_)
{
        struct arena a = ARENA_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
                assert_string_equal(table_duration(&a, durations[i].seconds), durations[i].text);
        arena_deinit(&a);
}

static void times_that_are_none_are_unknown(void **state _unused_)
{
        struct arena a = ARENA_NULL;
        struct table_ctx ctx = at_now(&a);

        assert_string_equal(table_since(&ctx, NULL), "<unknown>");
        assert_string_equal(table_since(&ctx, "yesterday"), "<unknown>");
        assert_string_equal(table_since(&ctx, "2025-12-31T23:59:30.999999Z"), "30s");
        assert_string_equal(table_since(&ctx, "2026-01-01T00:00:30Z"), "<invalid>");
        arena_deinit(&a);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_show_what_kubectl_users_know),
                cmocka_unit_test(columns_have_the_names_and_priorities_of_kubernetes),
                cmocka_unit_test(every_column_is_complete),
                cmocka_unit_test(an_empty_object_has_a_row_of_every_kind),
                cmocka_unit_test(durations_are_rounded_as_kubectl_rounds_them),
                cmocka_unit_test(times_that_are_none_are_unknown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
