/* SPDX-License-Identifier: Apache-2.0 */
/* Strategic merge patch, with the real schema tables. In the tables ' stands for ". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/patch/patch.h"

struct smp_case {
        const char *name;
        const char *kind; /* group/version/kind */
        const char *doc;
        const char *patch;
        const char *want; /* NULL when refused */
        int code;
        const char *message;
};

static struct json_object *parse(const char *text)
{
        _cleanup_free_ char *copy = strdup(text);
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        for (char *s = copy; *s; s++)
                *s = *s == '\'' ? '"' : *s;
        if (json_parse(copy, strlen(copy), &o, &err) < 0)
                fail_msg("%s: %s", text, err.msg);
        return o;
}

static const struct schema_struct *type_of(const char *kind)
{
        char group[64], version[16], name[64];

        if (sscanf(kind, "%63[^/]/%15[^/]/%63s", group, version, name) != 3)
                fail_msg("bad kind %s", kind);
        return schema_kind_find(strcmp(group, "core") == 0 ? "" : group, version, name);
}

#define POD    "core/v1/Pod"
#define DEPLOY "apps/v1/Deployment"
#define SVC    "core/v1/Service"
#define NODE   "core/v1/Node"
#define OK     0, NULL

static const struct smp_case cases[] = {
        {"a scalar is replaced, others stay", DEPLOY, "{'spec':{'replicas':1,'paused':true}}",
         "{'spec':{'replicas':3}}", "{'spec':{'replicas':3,'paused':true}}", OK},
        {"null removes", DEPLOY, "{'spec':{'paused':true,'replicas':1}}", "{'spec':{'paused':null,'foo':null}}",
         "{'spec':{'replicas':1}}", OK},
        {"maps merge by key", POD, "{'metadata':{'labels':{'a':'1','b':'2'}}}",
         "{'metadata':{'labels':{'a':null,'c':'3'}}}", "{'metadata':{'labels':{'b':'2','c':'3'}}}", OK},
        {"set image: containers merge by name", POD,
         "{'spec':{'containers':[{'name':'a','image':'x:1','tty':true},{'name':'b','image':'y'}]}}",
         "{'spec':{'$setElementOrder/"
         "containers':[{'name':'a'},{'name':'b'}],'containers':[{'image':'x:2','name':'a'}]}}",
         "{'spec':{'containers':[{'name':'a','image':'x:2','tty':true},{'name':'b','image':'y'}]}}", OK},
        {"a new container goes to the front without an order", POD, "{'spec':{'containers':[{'name':'a'}]}}",
         "{'spec':{'containers':[{'name':'b'}]}}", "{'spec':{'containers':[{'name':'b'},{'name':'a'}]}}", OK},
        {"$patch: delete removes an item", POD, "{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}}",
         "{'spec':{'containers':[{'$patch':'delete','name':'b'}]}}",
         "{'spec':{'containers':[{'name':'a'},{'name':'c'}]}}", OK},
        {"$patch: delete of a missing item changes nothing", POD, "{'spec':{'containers':[{'name':'a'}]}}",
         "{'spec':{'containers':[{'$patch':'delete','name':'b'}]}}", "{'spec':{'containers':[{'name':'a'}]}}", OK},
        {"$patch: replace among the items replaces the list", POD,
         "{'spec':{'containers':[{'name':'a','image':'x'},{'name':'b'}]}}",
         "{'spec':{'containers':[{'name':'a','image':'z'},{'$patch':'replace'}]}}",
         "{'spec':{'containers':[{'name':'a','image':'z'}]}}", OK},
        {"$patch: replace in an object replaces it", POD, "{'metadata':{'labels':{'a':'1'}}}",
         "{'metadata':{'labels':{'$patch':'replace','b':'2'}}}", "{'metadata':{'labels':{'b':'2'}}}", OK},
        {"$patch: delete in an object empties it", POD, "{'metadata':{'labels':{'a':'1'}}}",
         "{'metadata':{'labels':{'$patch':'delete'}}}", "{'metadata':{'labels':{}}}", OK},
        {"$patch: merge in an object is what happens anyway", POD, "{'metadata':{'labels':{'a':'1'}}}",
         "{'metadata':{'labels':{'$patch':'merge','b':'2'}}}", "{'metadata':{'labels':{'a':'1','b':'2'}}}", OK},
        {"directives in what is new do not stay", POD, "{}",
         "{'spec':{'$retainKeys':['x'],'containers':[{'name':'a'},{'$patch':'delete','name':'b'}],"
         "'$setElementOrder/containers':[{'name':'a'}]}}",
         "{'spec':{'containers':[{'name':'a'}]}}", OK},
        {"ports merge by the integer containerPort", POD,
         "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80,'protocol':'TCP'},{'containerPort':81}]}]}}",
         "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':81,'name':'x'},{'containerPort':82}]}]}}",
         "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80,'protocol':'TCP'},{'containerPort':81,'name':"
         "'x'},{'containerPort':82}]}]}}",
         OK},
        {"env merges by name", POD,
         "{'spec':{'containers':[{'name':'a','env':[{'name':'A','value':'1'},{'name':'B','value':'2'}]}]}}",
         "{'spec':{'containers':[{'name':'a','env':[{'name':'A','value':null,'valueFrom':{'fieldRef':{'fieldPath':'x'}}"
         "}]"
         "}]}}",
         "{'spec':{'containers':[{'name':'a','env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'x'}}},{'name':'B'"
         ",'"
         "value':'2'}]}]}}",
         OK},
        {"tolerations are replaced", POD, "{'spec':{'tolerations':[{'key':'a'},{'key':'b'}]}}",
         "{'spec':{'tolerations':[{'key':'c'}]}}", "{'spec':{'tolerations':[{'key':'c'}]}}", OK},
        {"args are replaced", POD, "{'spec':{'containers':[{'name':'a','args':['x','y']}]}}",
         "{'spec':{'containers':[{'name':'a','args':['z']}]}}", "{'spec':{'containers':[{'name':'a','args':['z']}]}}",
         OK},
        {"volumes change their source with $retainKeys", POD, "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}",
         "{'spec':{'volumes':[{'$retainKeys':['name','hostPath'],'name':'v','hostPath':{'path':'/x'}}]}}",
         "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}}", OK},
        {"the deployment strategy changes with $retainKeys", DEPLOY,
         "{'spec':{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}}",
         "{'spec':{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}}",
         "{'spec':{'strategy':{'type':'Recreate'}}}", OK},
        {"$retainKeys must name what the patch sets", DEPLOY, "{'spec':{'strategy':{'type':'RollingUpdate'}}}",
         "{'spec':{'strategy':{'$retainKeys':['rollingUpdate'],'type':'Recreate'}}}", NULL, 400,
         "invalid patch format of retainKeys"},
        {"$retainKeys is a list", DEPLOY, "{'spec':{'strategy':{'type':'RollingUpdate'}}}",
         "{'spec':{'strategy':{'$retainKeys':'type'}}}", NULL, 400, "invalid patch format of retainKeys"},
        {"finalizers merge as scalars", POD, "{'metadata':{'finalizers':['a','b']}}",
         "{'metadata':{'finalizers':['b','c']}}", "{'metadata':{'finalizers':['a','b','c']}}", OK},
        {"$deleteFromPrimitiveList removes finalizers", POD, "{'metadata':{'finalizers':['a','b','c']}}",
         "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b','x'],'finalizers':['d']}}",
         "{'metadata':{'finalizers':['d','a','c']}}", OK},
        {"$deleteFromPrimitiveList wants a list", POD, "{'metadata':{'finalizers':['a']}}",
         "{'metadata':{'$deleteFromPrimitiveList/finalizers':'a'}}", NULL, 400,
         "invalid patch format of primitive list"},
        {"$setElementOrder reorders scalars", POD, "{'metadata':{'finalizers':['a','b','c']}}",
         "{'metadata':{'$setElementOrder/finalizers':['c','a']}}", "{'metadata':{'finalizers':['b','c','a']}}", OK},
        {"ownerReferences merge by uid", POD, "{'metadata':{'ownerReferences':[{'uid':'1','name':'a'}]}}",
         "{'metadata':{'ownerReferences':[{'$patch':'delete','uid':'1'},{'uid':'2','name':'b'}]}}",
         "{'metadata':{'ownerReferences':[{'uid':'2','name':'b'}]}}", OK},
        {"service ports merge by port", SVC, "{'spec':{'ports':[{'port':80,'targetPort':8080},{'port':443}]}}",
         "{'spec':{'$setElementOrder/ports':[{'port':443},{'port':80}],'ports':[{'port':80,'targetPort':'web'}]}}",
         "{'spec':{'ports':[{'port':443},{'port':80,'targetPort':'web'}]}}", OK},
        {"conditions merge by type", NODE,
         "{'status':{'conditions':[{'type':'Ready','status':'True'},{'type':'Disk'}]}}",
         "{'status':{'$setElementOrder/conditions':[{'type':'Ready'},{'type':'Disk'}],'conditions':[{'type':'Ready','"
         "status':'False'}]}}",
         "{'status':{'conditions':[{'type':'Ready','status':'False'},{'type':'Disk'}]}}", OK},
        {"cordon", NODE, "{'spec':{'podCIDR':'x'}}", "{'spec':{'unschedulable':true}}",
         "{'spec':{'podCIDR':'x','unschedulable':true}}", OK},
        {"taints are replaced", NODE, "{'spec':{'taints':[{'key':'a','effect':'NoSchedule'}]}}",
         "{'spec':{'taints':[{'key':'b','effect':'NoExecute'}]}}",
         "{'spec':{'taints':[{'key':'b','effect':'NoExecute'}]}}", OK},
        {"rollout restart adds an annotation where there was none", DEPLOY, "{'spec':{'template':{'metadata':{}}}}",
         "{'spec':{'template':{'metadata':{'annotations':{'kubectl.kubernetes.io/restartedAt':'now'}}}}}",
         "{'spec':{'template':{'metadata':{'annotations':{'kubectl.kubernetes.io/restartedAt':'now'}}}}}", OK},
        {"items that only the server has keep their place", POD,
         "{'spec':{'containers':[{'name':'a'},{'name':'s1'},{'name':'b'},{'name':'s2'}]}}",
         "{'spec':{'$setElementOrder/"
         "containers':[{'name':'b'},{'name':'a'},{'name':'n'}],'containers':[{'name':'n'}]}}",
         "{'spec':{'containers':[{'name':'s1'},{'name':'b'},{'name':'a'},{'name':'n'},{'name':'s2'}]}}", OK},
        {"the order has to match the patch", POD, "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
         "{'spec':{'$setElementOrder/"
         "containers':[{'name':'a'},{'name':'b'}],'containers':[{'name':'b'},{'name':'a'}]}}",
         NULL, 422, "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:"},
        {"the order is a list", POD, "{}", "{'spec':{'$setElementOrder/containers':1}}", "{'spec':{}}", OK},
        {"the order of an existing object is a list", POD, "{'spec':{}}", "{'spec':{'$setElementOrder/containers':1}}",
         NULL, 422, "expected a []interface {}, but received a int64"},
        {"an item without its merge key", POD, "{'spec':{'containers':[{'name':'a'}]}}",
         "{'spec':{'containers':[{'image':'x'}]}}", NULL, 422,
         "map: map[image:x] does not contain declared merge key: name"},
        {"an unknown $patch", POD, "{'spec':{}}", "{'spec':{'$patch':'frob'}}", NULL, 422,
         "unknown patch type: frob in map: map[$patch:frob]"},
        {"an unknown $patch in an item", POD, "{'spec':{'containers':[{'name':'a'}]}}",
         "{'spec':{'containers':[{'name':'a','$patch':'frob'}]}}", NULL, 422, "unknown patch type: frob"},
        {"what looks like a directive and is none is a field", POD, "{'spec':{}}", "{'spec':{'$frob':1}}",
         "{'spec':{'$frob':1}}", OK},
        {"items of several types", POD, "{'metadata':{'finalizers':['a']}}", "{'metadata':{'finalizers':[1]}}", NULL,
         422, "list element types are not identical: [[a] [1]]"},
        {"lists of lists", POD, "{'metadata':{'finalizers':['a']}}", "{'metadata':{'finalizers':[['a']]}}", NULL, 422,
         "lists of lists are not supported"},
        {"merge of a list is no directive", POD, "{'spec':{'containers':[{'name':'a'}]}}",
         "{'spec':{'containers':[{'$patch':'merge','name':'a'}]}}", NULL, 422,
         "merging lists cannot yet be specified in the patch"},
        {"a kind without schema", "example.com/v1/Widget", "{}", "{'a':1}", NULL, 422,
         "strategic merge patch format is not supported"},
        {"a patch that is no object", POD, "{}", "[]", NULL, 400, "invalid JSON document"},
};

static void strategic_merge_follows_the_schema(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct smp_case *c = &cases[i];
                _cleanup_json_ struct json_object *doc = parse(c->doc), *patch = parse(c->patch), *got = NULL;
                _cleanup_free_ char *doc_before = json_text(doc), *patch_before = json_text(patch);
                struct err err = ERR_NULL;
                int r = patch_strategic_apply(doc, patch, type_of(c->kind), &got, &err);
                _cleanup_free_ char *doc_after = json_text(doc), *patch_after = json_text(patch);
                _cleanup_free_ char *text = json_text(got);

                assert_string_equal(doc_before, doc_after);
                assert_string_equal(patch_before, patch_after);
                if (r != c->code)
                        fail_msg("%s: returned %d (%s), want %d", c->name, r, err.msg, c->code);
                if (c->want) {
                        _cleanup_json_ struct json_object *want = parse(c->want);

                        if (!json_equal(got, want))
                                fail_msg("%s: got %s, want %s", c->name, text, c->want);
                }
                if (c->message && !strstr(err.msg, c->message))
                        fail_msg("%s: message \"%s\" lacks \"%s\"", c->name, err.msg, c->message);
        }
}

/* Of every accepted case: the same patch again changes nothing more. */
static void a_strategic_patch_applied_twice_is_applied_once(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct smp_case *c = &cases[i];
                _cleanup_json_ struct json_object *doc = parse(c->doc), *patch = parse(c->patch), *once = NULL,
                                                  *twice = NULL;

                if (patch_strategic_apply(doc, patch, type_of(c->kind), &once, NULL))
                        continue;
                /* A directive that was skipped because its parent was new is checked the second time. */
                if (patch_strategic_apply(once, patch, type_of(c->kind), &twice, NULL))
                        continue;
                if (!json_equal(once, twice)) {
                        _cleanup_free_ char *a = json_text(once), *b = json_text(twice);

                        fail_msg("%s: once %s, twice %s", c->name, a, b);
                }
        }
}

static void a_patch_with_many_items_takes_linear_time(void **state)
{
        _cleanup_json_ struct json_object *doc = parse("{'spec':{'containers':[]}}"), *patch = NULL, *got = NULL;
        struct json_object *list = json_get(json_get(doc, "spec"), "containers");

        for (int i = 0; i < 50000; i++) {
                struct json_object *item = json_object_new_object();
                char name[32];

                snprintf(name, sizeof(name), "c%d", i);
                json_set_str(item, "name", name);
                json_object_array_add(list, item);
        }
        patch = json_copy(doc);
        assert_int_equal(patch_strategic_apply(doc, patch, type_of(POD), &got, NULL), 0);
        assert_true(json_equal(doc, got));
}

static uint32_t random_state = 2463534242;

static uint32_t random_below(uint32_t n)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 17;
        random_state ^= random_state << 5;
        return random_state % n;
}

/* A pod with some of the containers a to f in any order, each with an image and some environment. */
static struct json_object *random_pod(void)
{
        struct json_object *pod = parse("{'spec':{'containers':[]}}"), *list = json_at(pod, "spec.containers");
        char names[] = "abcdef";

        for (size_t i = 0; i < 6; i++) {
                size_t j = i + random_below(6 - (uint32_t)i);
                char name[2] = {names[j], '\0'}, image[2] = {(char)('0' + random_below(3)), '\0'};
                struct json_object *c = json_object_new_object();

                names[j] = names[i];
                json_set_str(c, "name", name);
                json_set_str(c, "image", image);
                if (random_below(2))
                        json_set_bool(c, "tty", true);
                if (random_below(4) || i == 0)
                        json_object_array_add(list, c);
                else
                        json_object_put(c);
        }
        return pod;
}

static struct json_object *container_of_name(const struct json_object *pod, const char *name)
{
        json_array_foreach (json_at(pod, "spec.containers"), i, c) {
                if (strcmp(json_get_str(c, "name"), name) == 0)
                        return c;
        }
        return NULL;
}

/* The patch from one pod to the other, made as kubectl makes it. */
static struct json_object *diff_of(const struct json_object *from, const struct json_object *to)
{
        struct json_object *patch = parse("{'spec':{'containers':[],'$setElementOrder/containers':[]}}");
        struct json_object *spec = json_get(patch, "spec"), *list = json_get(spec, "containers");

        json_array_foreach (json_at(to, "spec.containers"), i, c) {
                struct json_object *old = container_of_name(from, json_get_str(c, "name")), *item = json_copy(c);
                struct json_object *key = json_object_new_object();

                json_set_str(key, "name", json_get_str(c, "name"));
                json_object_array_add(json_get(spec, "$setElementOrder/containers"), key);
                if (old && json_has(old, "tty") && !json_has(c, "tty"))
                        json_set(item, "tty", NULL);
                if (old && json_equal(old, c))
                        json_object_put(item);
                else
                        json_object_array_add(list, item);
        }
        json_array_foreach (json_at(from, "spec.containers"), j, gone) {
                struct json_object *item;

                if (container_of_name(to, json_get_str(gone, "name")))
                        continue;
                item = parse("{'$patch':'delete'}");
                json_set_str(item, "name", json_get_str(gone, "name"));
                json_object_array_add(list, item);
        }
        return patch;
}

static void a_patch_made_from_two_objects_leads_from_one_to_the_other(void **state)
{
        for (int i = 0; i < 3000; i++) {
                _cleanup_json_ struct json_object *from = random_pod(), *to = random_pod(), *got = NULL;
                _cleanup_json_ struct json_object *patch = diff_of(from, to);
                _cleanup_free_ char *p = json_text(patch), *f = json_text(from);
                struct err err = ERR_NULL;

                if (patch_strategic_apply(from, patch, type_of(POD), &got, &err))
                        fail_msg("%s on %s: %s", p, f, err.msg);
                if (!json_equal(got, to)) {
                        _cleanup_free_ char *g = json_text(got);

                        fail_msg("%s on %s gave %s", p, f, g);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(strategic_merge_follows_the_schema),
                cmocka_unit_test(a_strategic_patch_applied_twice_is_applied_once),
                cmocka_unit_test(a_patch_made_from_two_objects_leads_from_one_to_the_other),
                cmocka_unit_test(a_patch_with_many_items_takes_linear_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
