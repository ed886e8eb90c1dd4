/* SPDX-License-Identifier: Apache-2.0 */
/* What admission changes in objects and what it refuses, against a small world of other objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/admit/admit.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"
#include "unit/apiserver/kinds_harness.h"

static const struct {
        const char *group, *plural, *namespace, *json;
} world[] = {
        {"", "namespaces", NULL, "{'metadata':{'name':'default'},'status':{'phase':'Active'}}"},
        {"", "serviceaccounts", "default", "{'metadata':{'name':'builder'},'imagePullSecrets':[{'name':'registry'}]}"},
        {"scheduling.k8s.io", "priorityclasses", NULL,
         "{'metadata':{'name':'high'},'value':1000,'preemptionPolicy':'Never'}"},
        {"storage.k8s.io", "storageclasses", NULL,
         "{'metadata':{'name':'old','creationTimestamp':'2025-01-01T00:00:00Z','annotations':{"
         "'storageclass.kubernetes.io/is-default-class':'true'}}}"},
        {"storage.k8s.io", "storageclasses", NULL,
         "{'metadata':{'name':'new','creationTimestamp':'2026-01-01T00:00:00Z','annotations':{"
         "'storageclass.kubernetes.io/is-default-class':'true'}}}"},
        {"storage.k8s.io", "storageclasses", NULL,
         "{'metadata':{'name':'other','creationTimestamp':'2027-01-01T00:00:00Z'}}"},
        {"networking.k8s.io", "ingressclasses", NULL,
         "{'metadata':{'name':'nginx','annotations':{'ingressclass.kubernetes.io/is-default-class':'true'}}}"},
        {"node.k8s.io", "runtimeclasses", NULL,
         "{'metadata':{'name':'vm'},'overhead':{'podFixed':{'cpu':'100m'}},'scheduling':{'nodeSelector':{'vm':'yes'},"
         "'tolerations':[{'key':'vm','operator':'Exists'}]}}"},
        {"", "limitranges", "limited",
         "{'spec':{'limits':[{'type':'Container','min':{'cpu':'100m'},'max':{'cpu':'2'},'default':{'cpu':'1'},"
         "'defaultRequest':{'cpu':'200m'},'maxLimitRequestRatio':{'cpu':'5'}},{'type':'Pod','max':{'cpu':'3'}},"
         "{'type':'PersistentVolumeClaim','min':{'storage':'1Gi'},'max':{'storage':'5Gi'}}]}}"},
};

/* The default PriorityClass is there only when a test wants it. */
static const char *default_priority;

static struct json_object *world_get(void *userdata, const char *group, const char *plural, const char *namespace,
                                     const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(world); i++) {
                struct json_object *o;

                if (!str_eq(world[i].group, group) || !str_eq(world[i].plural, plural) ||
                    (world[i].namespace && !str_eq(world[i].namespace, namespace)))
                        continue;
                o = kinds_json(world[i].json, NULL);
                if (str_eq(json_at_str(o, "metadata.name"), name))
                        return o;
                json_object_put(o);
        }
        return NULL;
}

static enum namespace_state world_namespace(void *userdata, const char *name)
{
        return str_eq(name, "going")  ? NAMESPACE_TERMINATING
               : str_eq(name, "gone") ? NAMESPACE_MISSING
                                      : NAMESPACE_ACTIVE;
}

static int world_each(void *userdata, const char *group, const char *plural, const char *namespace,
                      int (*fn)(void *arg, struct json_object *obj), void *arg)
{
        if (default_priority && str_eq(plural, "priorityclasses")) {
                _cleanup_json_ struct json_object *o = kinds_json(default_priority, NULL);

                fn(arg, o);
        }
        for (size_t i = 0; i < ARRAY_SIZE(world); i++) {
                _cleanup_json_ struct json_object *o = kinds_json(world[i].json, NULL);

                if (str_eq(world[i].group, group) && str_eq(world[i].plural, plural) &&
                    (!world[i].namespace || !namespace || str_eq(world[i].namespace, namespace)))
                        fn(arg, o);
        }
        return 0;
}

static const struct kind_reader reader = {.get = world_get, .namespace_state = world_namespace, .each = world_each};

struct row {
        const char *group, *plural, *namespace;
        enum admit_verb verb;
        const char *obj, *old;
        const char *expect; /* members that must be so afterwards, or "code message" */
};

static void contains(const struct json_object *got, const struct json_object *want, const char *obj)
{
        json_foreach (want, key, val) {
                struct json_object *is = json_get(got, key);

                if (json_is_object(val) && is)
                        contains(is, val, obj);
                else if (!json_equal(is, val))
                        fail_msg("%s: %s is %s, not %s", obj, key, json_object_to_json_string(is),
                                 json_object_to_json_string(val));
        }
}

static void check(const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct row *r = &rows[i];
                const struct kind_ops ops = {.group = r->group, .plural = r->plural};
                const struct kinds_suite suite = {.ops = &ops, .version = "v1", .reader = &reader};
                _cleanup_json_ struct json_object *obj = r->obj ? kinds_json(r->obj, NULL) : NULL,
                                                  *old = r->old ? kinds_json(r->old, NULL) : NULL;
                struct kctx *c = kinds_context(&suite);
                struct admit_result result = {0};
                int refused;

                c->namespace = r->namespace;
                refused = admit_mutate(c, r->verb, obj, old, &result);
                if (*r->expect != '{') {
                        assert_int_equal(refused, 1);
                        assert_string_equal(arena_printf(c->arena, "%d %s", result.code, result.message), r->expect);
                } else {
                        _cleanup_json_ struct json_object *want = kinds_json(r->expect, NULL);

                        if (refused)
                                fail_msg("%s: refused: %s", r->obj, result.message);
                        contains(obj, want, r->obj);
                }
                kinds_context_deinit(c);
        }
}

#define POD(spec) "", "pods", "default", ADMIT_CREATE, "{'metadata':{'name':'p'},'spec':{" spec "}}", NULL
#define LIMITED(spec)                                                                                                  \
        "", "pods", "limited", ADMIT_CREATE, "{'metadata':{'name':'p'},'spec':{'containers':[" spec "]}}", NULL
#define NOT_READY                                                                                                      \
        "{'key':'node.kubernetes.io/not-ready','operator':'Exists','effect':'NoExecute','tolerationSeconds':300}"
#define UNREACHABLE                                                                                                    \
        "{'key':'node.kubernetes.io/unreachable','operator':'Exists','effect':'NoExecute','tolerationSeconds':300}"

static void namespaces_decide(void **state)
{
        static const struct row rows[] = {
                {"", "configmaps", "default", ADMIT_CREATE, "{'metadata':{'name':'a'}}", NULL, "{}"},
                {"", "configmaps", "gone", ADMIT_CREATE, "{'metadata':{'name':'a'}}", NULL,
                 "404 namespaces \"gone\" not found"},
                {"apps", "deployments", "going", ADMIT_CREATE, "{'metadata':{'name':'a'}}", NULL,
                 "403 deployments.apps \"a\" is forbidden: unable to create new content in namespace going because it "
                 "is being terminated"},
                {"", "namespaces", NULL, ADMIT_DELETE, NULL, "{'metadata':{'name':'kube-system'}}",
                 "403 namespaces \"kube-system\" is forbidden: this namespace may not be deleted"},
                {"", "namespaces", NULL, ADMIT_DELETE, NULL, "{'metadata':{'name':'mine'}}", "{}"},
        };

        check(rows, ARRAY_SIZE(rows));
}

static void pods_get_account_priority_and_tolerations(void **state)
{
        static const struct row rows[] = {
                {POD(""), "{'spec':{'serviceAccountName':'default','serviceAccount':'default','priority':0,"
                          "'preemptionPolicy':'PreemptLowerPriority','tolerations':[" NOT_READY "," UNREACHABLE "]}}"},
                {POD("'serviceAccountName':'builder'"),
                 "{'spec':{'serviceAccount':'builder','imagePullSecrets':[{'name':'registry'}]}}"},
                {POD("'serviceAccountName':'nobody'"),
                 "403 pods \"p\" is forbidden: error looking up service account default/nobody: serviceaccount "
                 "\"nobody\" not found"},
                {POD("'tolerations':[{'operator':'Exists'}]"), "{'spec':{'tolerations':[{'operator':'Exists'}]}}"},
                {POD("'tolerations':[{'key':'node.kubernetes.io/not-ready','operator':'Exists'}]"),
                 "{'spec':{'tolerations':[{'key':'node.kubernetes.io/not-ready','operator':'Exists'}," UNREACHABLE
                 "]}}"},
                {POD("'priorityClassName':'high'"), "{'spec':{'priority':1000,'preemptionPolicy':'Never'}}"},
                {POD("'priorityClassName':'system-node-critical'"), "{'spec':{'priority':2000001000}}"},
                {POD("'priorityClassName':'none'"),
                 "403 pods \"p\" is forbidden: no PriorityClass with name none was found"},
                {POD("'priority':5"),
                 "403 pods \"p\" is forbidden: the integer value of priority (5) must not be provided in pod spec; "
                 "priority admission controller computed 0 from the given PriorityClass name"},
                {"", "pods", "default", ADMIT_UPDATE, "{'metadata':{'name':'p'},'spec':{}}",
                 "{'spec':{'priority':7,'preemptionPolicy':'Never'}}",
                 "{'spec':{'priority':7,'preemptionPolicy':'Never'}}"},
        };

        check(rows, ARRAY_SIZE(rows));
}

static void one_priority_class_is_the_default(void **state)
{
        static const struct row rows[] = {
                {POD(""), "{'spec':{'priorityClassName':'usual','priority':10}}"},
                {"scheduling.k8s.io", "priorityclasses", NULL, ADMIT_CREATE,
                 "{'metadata':{'name':'second'},'globalDefault':true,'value':1}", NULL,
                 "403 priorityclasses.scheduling.k8s.io \"second\" is forbidden: PriorityClass usual is already marked "
                 "as default. Only one default can exist"},
                {"scheduling.k8s.io", "priorityclasses", NULL, ADMIT_UPDATE,
                 "{'metadata':{'name':'usual'},'globalDefault':true,'value':10}", "{}", "{}"},
        };

        default_priority = "{'metadata':{'name':'usual'},'value':10,'globalDefault':true}";
        check(rows, ARRAY_SIZE(rows));
        default_priority = NULL;
}

static void classes_and_taints_are_filled_in(void **state)
{
        static const struct row rows[] = {
                {"", "nodes", NULL, ADMIT_CREATE, "{'metadata':{'name':'n'}}", NULL,
                 "{'spec':{'taints':[{'key':'node.kubernetes.io/not-ready','effect':'NoSchedule'}]}}"},
                {"", "persistentvolumeclaims", "default", ADMIT_CREATE, "{'spec':{}}", NULL,
                 "{'spec':{'storageClassName':'new'}}"},
                {"", "persistentvolumeclaims", "default", ADMIT_CREATE, "{'spec':{'storageClassName':''}}", NULL,
                 "{'spec':{'storageClassName':''}}"},
                {"networking.k8s.io", "ingresses", "default", ADMIT_CREATE, "{'spec':{}}", NULL,
                 "{'spec':{'ingressClassName':'nginx'}}"},
                {POD("'runtimeClassName':'vm'"), "{'spec':{'overhead':{'cpu':'100m'},'nodeSelector':{'vm':'yes'}}}"},
                {POD("'runtimeClassName':'vm','nodeSelector':{'vm':'no'}"),
                 "403 pods \"p\" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; "
                 "pod.spec.nodeSelector[vm] = no"},
                {POD("'runtimeClassName':'vm','overhead':{'cpu':'1'}"),
                 "403 pods \"p\" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined "
                 "Overhead"},
                {POD("'overhead':{'cpu':'1'}"),
                 "403 pods \"p\" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass "
                 "defined Overhead"},
                {POD("'runtimeClassName':'none'"),
                 "403 pods \"p\" is forbidden: pod rejected: RuntimeClass \"none\" not found"},
        };

        check(rows, ARRAY_SIZE(rows));
}

static void limit_ranges_fill_in_and_bound(void **state)
{
#define CPU(request, limit) "{'name':'c','resources':{'requests':{'cpu':'" request "'},'limits':{'cpu':'" limit "'}}}"
#define CLAIM(size)                                                                                                    \
        "", "persistentvolumeclaims", "limited", ADMIT_CREATE,                                                         \
                "{'metadata':{'name':'d'},'spec':{'storageClassName':'','resources':{'requests':{'storage':'" size     \
                "'}}}}",                                                                                               \
                NULL
        static const struct row rows[] = {
                {LIMITED("{'name':'c'}"),
                 "{'metadata':{'annotations':{'kubernetes.io/limit-ranger':'LimitRanger plugin set: cpu request for "
                 "container c; cpu limit for container c'}},'spec':{'containers':[{'name':'c','resources':{"
                 "'requests':{'cpu':'200m'},'limits':{'cpu':'1'}}}]}}"},
                {LIMITED(CPU("500m", "1")), "{}"},
                {LIMITED(CPU("50m", "200m")),
                 "403 pods \"p\" is forbidden: minimum cpu usage per Container is 100m, but request is 50m"},
                {LIMITED(CPU("1", "2500m")),
                 "403 pods \"p\" is forbidden: maximum cpu usage per Container is 2, but limit is 2500m"},
                {LIMITED(CPU("200m", "2")),
                 "403 pods \"p\" is forbidden: cpu max limit to request ratio per Container is 5, but provided ratio "
                 "is 10.000000"},
                {LIMITED(CPU("1", "2") "," CPU("1", "2")),
                 "403 pods \"p\" is forbidden: maximum cpu usage per Pod is 3, but limit is 4"},
                {LIMITED(CPU("50m", "2500m")),
                 "403 pods \"p\" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, maximum "
                 "cpu usage per Container is 2, but limit is 2500m, cpu max limit to request ratio per Container is 5, "
                 "but provided ratio is 50.000000]"},
                {CLAIM("2Gi"), "{}"},
                {CLAIM("6Gi"), "403 persistentvolumeclaims \"d\" is forbidden: maximum storage usage per "
                               "PersistentVolumeClaim is 5Gi, but request is 6Gi"},
                {CLAIM("1Mi"), "403 persistentvolumeclaims \"d\" is forbidden: minimum storage usage per "
                               "PersistentVolumeClaim is 1Gi, but request is 1Mi"},
        };

        check(rows, ARRAY_SIZE(rows));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(namespaces_decide),
                cmocka_unit_test(pods_get_account_priority_and_tolerations),
                cmocka_unit_test(one_priority_class_is_the_default),
                cmocka_unit_test(classes_and_taints_are_filled_in),
                cmocka_unit_test(limit_ranges_fill_in_and_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
