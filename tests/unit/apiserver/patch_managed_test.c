/* SPDX-License-Identifier: Apache-2.0 */
/* managedFields and server-side apply, with the real schema tables. In the texts ' stands for ". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/patch/fieldset.h"
#include "apiserver/patch/managed.h"
#include "base/str.h"

#define T1 "2026-01-01T00:00:01Z"
#define T2 "2026-01-01T00:00:02Z"
#define T3 "2026-01-01T00:00:03Z"

static struct json_object *parse(const char *text)
{
        _cleanup_free_ char *copy = strdup(text);
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        for (char *s = copy; *s; s++)
                *s = *s == '\'' ? '"' : *s == '`' ? '\'' : *s;
        if (json_parse(copy, strlen(copy), &o, &err) < 0)
                fail_msg("%s: %s", text, err.msg);
        return o;
}

static void assert_json(const struct json_object *got, const char *text)
{
        _cleanup_json_ struct json_object *want = parse(text);
        _cleanup_free_ char *g = json_text(got);

        if (!json_equal(got, want))
                fail_msg("got %s, want %s", g, text);
}

/* One API server: an object and what happens to it. */
struct world {
        struct arena arena;
        struct managed_context ctx;
        struct json_object *live;
        struct err err;
        struct apply_result result;
};

static struct world world_new(const char *group, const char *version, const char *kind)
{
        struct world w = {.ctx = {.kind = kind, .type = schema_kind_find(group, version, kind)}};
        static char api_version[64];

        snprintf(api_version, sizeof(api_version), "%s%s%s", group, *group ? "/" : "", version);
        w.ctx.api_version = api_version;
        w.ctx.reset = managed_reset_fields(schema_resource_by_kind(group, version, kind), NULL);
        assert_non_null(w.ctx.type);
        return w;
}

static void world_deinit(struct world *w)
{
        json_object_put(w->live);
        arena_deinit(&w->arena);
}

static void as(struct world *w, const char *manager, const char *time)
{
        w->ctx.arena = &w->arena;
        w->ctx.manager = manager;
        w->ctx.time = time;
}

/* A create or update to that object; managedFields come along unless the text has its own. */
static void put(struct world *w, const char *manager, const char *time, const char *object)
{
        struct json_object *new = parse(object), *before = json_copy(w->live);

        as(w, manager, time);
        managed_update(&w->ctx, w->live, new);
        assert_true(json_equal(before, w->live));
        json_object_put(before);
        json_object_put(w->live);
        w->live = new;
}

static int apply(struct world *w, const char *manager, const char *time, const char *config, bool force)
{
        _cleanup_json_ struct json_object *cfg = parse(config), *before = json_copy(w->live), *same = json_copy(cfg);
        int r;

        as(w, manager, time);
        w->err = ERR_NULL;
        w->result = (struct apply_result){0};
        r = managed_apply(&w->ctx, w->live, cfg, force, &w->result, &w->err);
        assert_true(json_equal(before, w->live));
        assert_true(json_equal(same, cfg));
        if (r == 0) {
                json_object_put(w->live);
                w->live = w->result.object;
        }
        return r;
}

static struct json_object *entries(const struct world *w)
{
        return json_get(json_get(w->live, "metadata"), "managedFields");
}

/* The fields of a manager's entry; NULL without one. */
static struct json_object *fields_of(const struct world *w, const char *manager, const char *operation)
{
        json_array_foreach (entries(w), i, e) {
                if (str_eq(json_get_str(e, "manager"), manager) && str_eq(json_get_str(e, "operation"), operation))
                        return json_get(e, "fieldsV1");
        }
        return NULL;
}

static const char *time_of(const struct world *w, const char *manager)
{
        json_array_foreach (entries(w), i, e) {
                if (str_eq(json_get_str(e, "manager"), manager))
                        return json_get_str(e, "time");
        }
        return NULL;
}

#define WORLD(group, version, kind) _cleanup_(world_deinit) struct world w = world_new(group, version, kind)

#define DEPLOYMENT                                                                                                     \
        "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'d','uid':'1',"              \
        "'generation':1,'creationTimestamp':'" T1 "','labels':{'app':'web'}},'spec':{'replicas':1,"                    \
        "'selector':{'matchLabels':{'app':'web'}},'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}," \
        "'template':{'metadata':{'labels':{'app':'web'}},'spec':{'containers':[{'name':'c','image':'i',"               \
        "'ports':[{'containerPort':80,'protocol':'TCP'}],'resources':{},'env':[{'name':'A','value':'1'}]}],"           \
        "'restartPolicy':'Always','tolerations':[{'key':'x'}],'securityContext':{}}}},'status':{'replicas':1}}"

/* What a real cluster writes for such an object. */
static void a_create_belongs_to_its_manager_but_for_what_the_server_sets(void **state)
{
        WORLD("apps", "v1", "Deployment");

        put(&w, "kubectl-create", T1, DEPLOYMENT);
        assert_json(entries(&w),
                    "[{'apiVersion':'apps/v1','fieldsType':'FieldsV1','manager':'kubectl-create','operation':'Update',"
                    "'time':'" T1 "','fieldsV1':{'f:metadata':{'f:labels':{'.':{},'f:app':{}}},'f:spec':{"
                    "'f:replicas':{},'f:selector':{},'f:strategy':{'f:rollingUpdate':{'.':{},'f:maxSurge':{}},"
                    "'f:type':{}},'f:template':{'f:metadata':{'f:labels':{'.':{},'f:app':{}}},'f:spec':{"
                    "'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:env':{'.':{},'k:{\\'name\\':\\'A\\'}':{'.':{},"
                    "'f:name':{},'f:value':{}}},'f:image':{},'f:name':{},'f:ports':{'.':{},'k:{\\'containerPort\\':80,"
                    "\\'protocol\\':\\'TCP\\'}':{'.':{},'f:containerPort':{},'f:protocol':{}}},'f:resources':{}}},"
                    "'f:restartPolicy':{},'f:securityContext':{},'f:tolerations':{}}}}}}]");
}

static void sets_and_owner_references_are_items(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "m", T1,
            "{'metadata':{'name':'a','finalizers':['x/y','a'],'ownerReferences':[{'uid':'7','kind':'K'}]},"
            "'data':{'k':'v'},'binaryData':{}}");
        assert_json(
                fields_of(&w, "m", "Update"),
                "{'f:metadata':{'f:finalizers':{'.':{},'v:\\'a\\'':{},'v:\\'x/y\\'':{}},'f:ownerReferences':{'.':{},"
                "'k:{\\'uid\\':\\'7\\'}':{}}},'f:data':{'.':{},'f:k':{}},'f:binaryData':{}}");
}

static void a_changed_field_changes_hands(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "a", T1, "{'metadata':{'name':'c'},'data':{'x':'1','y':'1'}}");
        put(&w, "b", T2, "{'metadata':{'name':'c'},'data':{'x':'2','y':'1'}}");
        assert_json(fields_of(&w, "a", "Update"), "{'f:data':{'.':{},'f:y':{}}}");
        assert_json(fields_of(&w, "b", "Update"), "{'f:data':{'f:x':{}}}");
        assert_string_equal(time_of(&w, "a"), T1);
        assert_string_equal(time_of(&w, "b"), T2);
}

static void a_removed_field_leaves_everyone_and_empty_entries_go(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "a", T1, "{'metadata':{'name':'c'},'data':{'x':'1'}}");
        put(&w, "b", T2, "{'metadata':{'name':'c'},'data':{'x':'1','y':'1'}}");
        put(&w, "c", T3, "{'metadata':{'name':'c'},'data':{'x':'1'}}");
        assert_null(fields_of(&w, "b", "Update"));
        assert_null(fields_of(&w, "c", "Update"));
        assert_json(fields_of(&w, "a", "Update"), "{'f:data':{'.':{},'f:x':{}}}");
}

static void the_same_manager_has_one_entry_whose_time_moves_with_the_object(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "a", T1, "{'metadata':{'name':'c'},'data':{'x':'1'}}");
        put(&w, "a", T2, "{'metadata':{'name':'c','resourceVersion':'5'},'data':{'x':'1'}}");
        assert_string_equal(time_of(&w, "a"), T1);
        put(&w, "a", T3, "{'metadata':{'name':'c'},'data':{'x':'2','z':'1'}}");
        assert_int_equal(json_len(entries(&w)), 1);
        assert_string_equal(time_of(&w, "a"), T3);
        assert_json(fields_of(&w, "a", "Update"), "{'f:data':{'.':{},'f:x':{},'f:z':{}}}");
}

static void status_belongs_to_who_writes_the_status_subresource(void **state)
{
        WORLD("apps", "v1", "Deployment");

        put(&w, "kubectl", T1, DEPLOYMENT);
        assert_null(json_get(fields_of(&w, "kubectl", "Update"), "f:status"));
        w.ctx.subresource = "status";
        w.ctx.reset = managed_reset_fields(schema_resource_by_kind("apps", "v1", "Deployment"), "status");
        put(&w, "controller", T2,
            "{'metadata':{'name':'web','namespace':'d','uid':'1','labels':{'app':'other'}},'spec':{'replicas':9},"
            "'status':{'replicas':2,'conditions':[{'type':'Available','status':'True'}]}}");
        assert_json(fields_of(&w, "controller", "Update"),
                    "{'f:status':{'f:conditions':{'.':{},'k:{\\'type\\':\\'Available\\'}':{'.':{},'f:status':{},"
                    "'f:type':{}}},'f:replicas':{}}}");
        assert_string_equal(json_get_str(json_idx(entries(&w), 1), "subresource"), "status");
        assert_non_null(json_get(json_get(fields_of(&w, "kubectl", "Update"), "f:spec"), "f:replicas"));
}

static void a_client_may_reset_and_edit_managed_fields(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "a", T1, "{'metadata':{'name':'c'},'data':{'x':'1'}}");
        put(&w, "b", T2,
            "{'metadata':{'name':'c','managedFields':[{'manager':'z','operation':'Update','apiVersion':'v1',"
            "'fieldsType':'FieldsV1','fieldsV1':{'f:data':{'f:x':{}}}}]},'data':{'x':'1'}}");
        assert_json(entries(&w), "[{'manager':'z','operation':'Update','apiVersion':'v1','fieldsType':'FieldsV1',"
                                 "'fieldsV1':{'f:data':{'f:x':{}}}}]");
        put(&w, "b", T2,
            "{'metadata':{'name':'c','managedFields':[{'manager':'y','operation':'Frob','apiVersion':'v1'}]},"
            "'data':{'x':'1'}}");
        assert_non_null(fields_of(&w, "z", "Update"));
        put(&w, "b", T2, "{'metadata':{'name':'c','managedFields':[{}]},'data':{'x':'1'}}");
        assert_null(entries(&w));
        put(&w, "b", T2, "{'metadata':{'name':'c'},'data':{'x':'2'}}");
        assert_null(entries(&w));
        assert_int_equal(apply(&w, "me", T3,
                               "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},"
                               "'data':{'y':'1'}}",
                               false),
                         0);
        assert_json(fields_of(&w, "before-first-apply", "Update"), "{'f:data':{'.':{},'f:x':{}}}");
        assert_json(fields_of(&w, "me", "Apply"), "{'f:data':{'f:y':{}}}");
}

static void at_most_ten_updaters_are_remembered(void **state)
{
        WORLD("", "v1", "ConfigMap");
        char text[1024] = "{'metadata':{'name':'c'},'data':{'k00':'1'";

        for (int i = 0; i < 30; i++) {
                char manager[16], time[32], object[1200];

                snprintf(manager, sizeof(manager), "m%02d", i);
                snprintf(time, sizeof(time), "2026-01-01T00:00:%02dZ", i);
                snprintf(object, sizeof(object), "%s}}", text);
                put(&w, manager, time, object);
                snprintf(text + strlen(text), sizeof(text) - strlen(text), ",'k%02d':'1'", i + 1);
        }
        assert_int_equal(json_len(entries(&w)), 10);
        assert_int_equal(json_object_object_length(json_get(fields_of(&w, "ancient-changes", "Update"), "f:data")), 22);
        assert_null(fields_of(&w, "m20", "Update"));
        assert_non_null(fields_of(&w, "m21", "Update"));
}

#define CM(data) "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},'data':" data "}"

static void applying_creates_and_applying_again_changes_nothing(void **state)
{
        WORLD("", "v1", "ConfigMap");

        assert_int_equal(apply(&w, "a", T1, CM("{'x':'1','y':'1'}"), false), 0);
        assert_false(w.result.unchanged);
        assert_json(w.live, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c','managedFields':[{"
                            "'manager':'a','operation':'Apply','apiVersion':'v1','time':'" T1 "',"
                            "'fieldsType':'FieldsV1','fieldsV1':{'f:data':{'f:x':{},'f:y':{}}}}]},"
                            "'data':{'x':'1','y':'1'}}");
        assert_int_equal(apply(&w, "a", T2, CM("{'x':'1','y':'1'}"), false), 0);
        assert_true(w.result.unchanged);
        assert_string_equal(time_of(&w, "a"), T1);
}

static void what_an_applier_drops_is_removed_unless_others_own_it(void **state)
{
        WORLD("", "v1", "ConfigMap");

        assert_int_equal(apply(&w, "a", T1, CM("{'x':'1','y':'1','z':'1'}"), false), 0);
        assert_int_equal(apply(&w, "b", T2, CM("{'y':'1'}"), false), 0);
        assert_string_equal(time_of(&w, "b"), T2);
        assert_int_equal(apply(&w, "a", T3, CM("{'x':'1'}"), false), 0);
        assert_json(json_get(w.live, "data"), "{'x':'1','y':'1'}");
        assert_json(fields_of(&w, "a", "Apply"), "{'f:data':{'f:x':{}}}");
        assert_json(fields_of(&w, "b", "Apply"), "{'f:data':{'f:y':{}}}");
        assert_int_equal(apply(&w, "b", T3, CM("{}"), false), 0);
        assert_json(json_get(w.live, "data"), "{'x':'1'}");
}

static void a_container_that_is_emptied_goes_too(void **state)
{
        WORLD("", "v1", "ConfigMap");

        assert_int_equal(apply(&w, "a", T1, CM("{'x':'1'}"), false), 0);
        assert_int_equal(apply(&w, "a", T2, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'}}", false),
                         0);
        assert_null(json_get(w.live, "data"));
}

static void a_different_value_is_a_conflict_and_force_takes_over(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "kubectl-client-side-apply", T1, CM("{'x':'1','y':'1'}"));
        assert_int_equal(apply(&w, "a", T2, CM("{'x':'2'}"), false), PATCH_CONFLICT);
        assert_string_equal(
                w.err.msg,
                "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.x");
        assert_int_equal(w.result.nconflicts, 1);
        assert_string_equal(w.result.conflicts[0].field, ".data.x");
        assert_string_equal(w.result.conflicts[0].manager, "\"kubectl-client-side-apply\" using v1");
        assert_int_equal(apply(&w, "a", T2, CM("{'x':'2'}"), true), 0);
        assert_json(json_get(w.live, "data"), "{'x':'2','y':'1'}");
        assert_json(fields_of(&w, "a", "Apply"), "{'f:data':{'f:x':{}}}");
        assert_json(fields_of(&w, "kubectl-client-side-apply", "Update"), "{'f:data':{'.':{},'f:y':{}}}");
}

static void several_conflicts_are_grouped_by_manager(void **state)
{
        WORLD("", "v1", "ConfigMap");

        assert_int_equal(apply(&w, "zoe", T1, CM("{'x':'1'}"), false), 0);
        put(&w, "bob", T2, CM("{'x':'1','y':'1','z':'1'}"));
        assert_int_equal(apply(&w, "a", T3, CM("{'x':'2','y':'2','z':'2'}"), false), PATCH_CONFLICT);
        assert_string_equal(w.result.message,
                            "Apply failed with 3 conflicts: conflicts with \"bob\" using v1:\n- .data.y\n- .data.z\n"
                            "conflicts with \"zoe\":\n- .data.x");
}

static void equal_values_are_owned_together(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "bob", T1, CM("{'x':'1'}"));
        assert_int_equal(apply(&w, "a", T2, CM("{'x':'1'}"), false), 0);
        assert_false(w.result.unchanged);
        assert_json(fields_of(&w, "bob", "Update"), "{'f:data':{'.':{},'f:x':{}}}");
        assert_json(fields_of(&w, "a", "Apply"), "{'f:data':{'f:x':{}}}");
}

#define DEP(spec)       "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web'},'spec':" spec "}"
#define TPL(containers) "{'template':{'spec':{'containers':" containers "}}}"

static void lists_merge_by_key_with_defaults_in_the_key(void **state)
{
        WORLD("apps", "v1", "Deployment");

        put(&w, "kubectl", T1, DEPLOYMENT);
        assert_int_equal(apply(&w, "a", T2,
                               DEP(TPL("[{'name':'c','ports':[{'containerPort':80,'name':'web'},"
                                       "{'containerPort':81}]},{'name':'new','image':'x'}]")),
                               false),
                         0);
        assert_json(
                json_at(w.live, "spec.template.spec.containers"),
                "[{'name':'c','image':'i','ports':[{'containerPort':80,'protocol':'TCP','name':'web'},"
                "{'containerPort':81}],'resources':{},'env':[{'name':'A','value':'1'}]},{'name':'new','image':'x'}]");
        assert_json(json_at(fields_of(&w, "a", "Apply"), "f:spec.f:template.f:spec.f:containers"),
                    "{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:name':{},'f:ports':{'k:{\\'containerPort\\':80,"
                    "\\'protocol\\':\\'TCP\\'}':{'.':{},'f:containerPort':{},'f:name':{}},'k:{\\'containerPort\\':81,"
                    "\\'protocol\\':\\'TCP\\'}':{'.':{},'f:containerPort':{}}}},'k:{\\'name\\':\\'new\\'}':{'.':{},"
                    "'f:image':{},'f:name':{}}}");
        assert_int_equal(apply(&w, "a", T3, DEP(TPL("[{'name':'c'}]")), false), 0);
        assert_json(json_at(w.live, "spec.template.spec.containers"),
                    "[{'name':'c','image':'i','ports':[{'containerPort':80,'protocol':'TCP'}],'resources':{},"
                    "'env':[{'name':'A','value':'1'}]}]");
}

static void atomic_values_are_one_field(void **state)
{
        WORLD("apps", "v1", "Deployment");

        put(&w, "kubectl", T1, DEPLOYMENT);
        assert_int_equal(apply(&w, "a", T2, DEP("{'template':{'spec':{'tolerations':[{'key':'y'}]}}}"), false),
                         PATCH_CONFLICT);
        assert_string_equal(w.result.message, "Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: "
                                              ".spec.template.spec.tolerations");
        assert_int_equal(apply(&w, "a", T2, DEP("{'template':{'spec':{'tolerations':[{'key':'y'}]}}}"), true), 0);
        assert_json(json_at(w.live, "spec.template.spec.tolerations"), "[{'key':'y'}]");
}

static void conflict_paths_name_items_by_their_keys(void **state)
{
        WORLD("apps", "v1", "Deployment");

        put(&w, "kubectl", T1, DEPLOYMENT);
        assert_int_equal(apply(&w, "a", T2,
                               DEP(TPL("[{'name':'c','ports':[{'containerPort':80,'protocol':'TCP','name':'x'}],"
                                       "'env':[{'name':'A','value':'2'}]}]")),
                               false),
                         PATCH_CONFLICT);
        assert_string_equal(w.result.conflicts[0].field,
                            ".spec.template.spec.containers[name=\"c\"].env[name=\"A\"].value");
        assert_int_equal(w.result.nconflicts, 1);
}

static void the_order_follows_the_configuration_and_keeps_what_others_added(void **state)
{
        static const struct {
                const char *live, *config, *want;
        } rows[] = {
                {"abc", "cba", "cba"}, {"a1b2", "ba", "1b2a"}, {"abc", "abc", "abc"}, {"12", "ab", "12ab"},
                {"a12", "ab", "a12b"}, {"1a2", "xa", "1xa2"},  {"ab", "bxa", "bxa"},
        };

        for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
                WORLD("", "v1", "ConfigMap");
                const char *texts[] = {rows[r].live, rows[r].config};
                struct json_object *objects[2] = {0};
                char got[16] = "";

                for (size_t n = 0; n < 2; n++) {
                        struct json_object *list = json_object_new_array();

                        for (const char *s = texts[n]; *s; s++)
                                json_object_array_add(list, json_object_new_string_len(s, 1));
                        objects[n] = parse("{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'}}");
                        json_set(json_get(objects[n], "metadata"), "finalizers", list);
                }
                as(&w, "a", T1);
                assert_int_equal(managed_apply(&w.ctx, objects[0], objects[1], true, &w.result, &w.err), 0);
                json_array_foreach (json_at(w.result.object, "metadata.finalizers"), i, v)
                        strcat(got, json_object_get_string(v));
                json_object_put(w.result.object);
                json_object_put(objects[0]);
                json_object_put(objects[1]);
                if (!str_eq(got, rows[r].want))
                        fail_msg("live %s, config %s: got %s, want %s", rows[r].live, rows[r].config, got,
                                 rows[r].want);
        }
}

static void an_item_goes_whole_when_its_only_owner_drops_it(void **state)
{
        WORLD("", "v1", "Service");
        const char *both = "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s'},'spec':{'ports':["
                           "{'port':80,'name':'a'},{'port':443,'name':'b'}]}}";
        const char *one = "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s'},'spec':{'ports':["
                          "{'port':443,'name':'b'}]}}";

        assert_int_equal(apply(&w, "a", T1, both, false), 0);
        put(&w, "defaulter", T1,
            "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s'},'spec':{'ports':["
            "{'port':80,'name':'a','protocol':'TCP','targetPort':80},{'port':443,'name':'b','protocol':'TCP'}]}}");
        assert_int_equal(apply(&w, "a", T2, one, false), 0);
        assert_json(json_at(w.live, "spec.ports"), "[{'port':443,'name':'b','protocol':'TCP'}]");
        assert_json(json_at(fields_of(&w, "defaulter", "Update"), "f:spec.f:ports"),
                    "{'k:{\\'port\\':443,\\'protocol\\':\\'TCP\\'}':{'f:protocol':{}}}");
}

static void kubectl_takes_over_from_client_side_apply(void **state)
{
        WORLD("", "v1", "ConfigMap");
        const char *csa = "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c','annotations':{"
                          "'kubectl.kubernetes.io/last-applied-configuration':"
                          "'{\\'apiVersion\\':\\'v1\\',\\'kind\\':\\'ConfigMap\\',\\'metadata\\':{\\'name\\':\\'c\\'},"
                          "\\'data\\':{\\'x\\':\\'1\\'}}'}},'data':{'x':'1','y':'1'}}";

        put(&w, "kubectl-client-side-apply", T1, csa);
        assert_int_equal(apply(&w, "other", T2, CM("{'x':'2'}"), false), PATCH_CONFLICT);
        assert_int_equal(apply(&w, "kubectl", T2, CM("{'x':'2','y':'2'}"), false), PATCH_CONFLICT);
        assert_int_equal(w.result.nconflicts, 1);
        assert_string_equal(w.result.conflicts[0].field, ".data.y");
        assert_int_equal(apply(&w, "kubectl", T2, CM("{'x':'2'}"), false), 0);
        assert_string_equal(json_at_str(w.live, "data.x"), "2");
        assert_string_equal(json_get_str(json_at(w.live, "metadata.annotations"),
                                         "kubectl.kubernetes.io/last-applied-configuration"),
                            "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"},\"data\":{"
                            "\"x\":\"2\"}}\n");
        assert_int_equal(apply(&w, "kubectl", T3, CM("{'x':'2'}"), false), 0);
        assert_true(w.result.unchanged);
}

/* kubectl rewrites the entry of client-side apply into one of its own before it applies on the server. */
static void entries_that_kubectl_migrated_are_pruned_by(void **state)
{
        WORLD("", "v1", "ConfigMap");

        put(&w, "kubectl-client-side-apply", T1, CM("{'x':'1','y':'1'}"));
        put(&w, "kubectl", T2,
            "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c','resourceVersion':'9','managedFields':[{"
            "'manager':'kubectl','operation':'Apply','apiVersion':'v1','fieldsType':'FieldsV1','time':'" T1 "',"
            "'fieldsV1':{'f:data':{'.':{},'f:x':{},'f:y':{}}}}]},'data':{'x':'1','y':'1'}}");
        assert_int_equal(json_len(entries(&w)), 1);
        assert_int_equal(apply(&w, "kubectl", T3, CM("{'x':'2'}"), false), 0);
        assert_json(json_get(w.live, "data"), "{'x':'2'}");
        assert_json(fields_of(&w, "kubectl", "Apply"), "{'f:data':{'f:x':{}}}");
}

static void entries_of_another_version_are_kept(void **state)
{
        WORLD("autoscaling", "v2", "HorizontalPodAutoscaler");

        put(&w, "a", T1,
            "{'metadata':{'name':'h','managedFields':[{'manager':'old','operation':'Update','apiVersion':"
            "'autoscaling/v1','fieldsType':'FieldsV1','fieldsV1':{'f:spec':{'f:targetCPUUtilizationPercentage':{},"
            "'f:maxReplicas':{}}}}]},'spec':{'maxReplicas':1,'minReplicas':1}}");
        put(&w, "a", T2, "{'metadata':{'name':'h'},'spec':{'maxReplicas':2,'minReplicas':1}}");
        assert_json(fields_of(&w, "old", "Update"), "{'f:spec':{'f:targetCPUUtilizationPercentage':{}}}");
        assert_json(fields_of(&w, "a", "Update"), "{'f:spec':{'f:maxReplicas':{},'f:minReplicas':{}}}");
}

static void bad_configurations_are_refused(void **state)
{
        static const struct {
                const char *config;
                int code;
                const char *message;
        } rows[] = {
                {"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'managedFields':[]}}", 400,
                 "metadata.managedFields must be nil"},
                {"{'apiVersion':'apps/v1beta1','kind':'Deployment'}", 400,
                 "Incorrect version specified in apply patch. Specified patch version: apps/v1beta1, expected: "
                 "apps/v1"},
                {"{'apiVersion':'v1','kind':'Pod'}", 400, "invalid object type: v1, Kind=Pod"},
                {"{'apiVersion':'apps/"
                 "v1','kind':'Deployment','metadata':{'name':'n','namespace':'s'},'spec':{'foo':1}}",
                 400,
                 "failed to create typed patch object (s/n; apps/v1, Kind=Deployment): .spec.foo: field not declared "
                 "in "
                 "schema"},
                {DEP(TPL("[{'image':'x'}]")), 400,
                 ".spec.template.spec.containers: element 0: associative list with keys has an element that omits key "
                 "field \"name\" (and doesn't have default value)"},
                {DEP(TPL("[{'name':'x'},{'name':'x'}]")), 400,
                 ".spec.template.spec.containers[name=\"x\"]: duplicate entries for key"},
                {DEP("[]"), 400, ".spec: expected map"},
                {DEP(TPL("{}")), 400, ".spec.template.spec.containers: expected list"},
                {"[]", 400, "not an object"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                WORLD("apps", "v1", "Deployment");

                assert_int_equal(apply(&w, "a", T1, rows[i].config, false), rows[i].code);
                if (!strstr(w.err.msg, rows[i].message))
                        fail_msg("\"%s\" lacks \"%s\"", w.err.msg, rows[i].message);
        }
}

static void fields_of_clients_are_brought_into_one_form(void **state)
{
        static const struct {
                const char *text, *want; /* NULL: refused */
        } rows[] = {
                {"{'f:b':{},'f:a':{'.':{},'f:x':{}}}", "{'f:a':{'.':{},'f:x':{}},'f:b':{}}"},
                {"{'k:{\\'b\\': 1, \\'a\\':\\'x\\'}':{}}", "{'k:{\\'a\\':\\'x\\',\\'b\\':1}':{}}"},
                {"{'k:{\\'a\\':1}':{'f:x':{}},'k:{\\'a\\': 1}':{'f:y':{}}}", "{'k:{\\'a\\':1}':{'f:x':{},'f:y':{}}}"},
                {"{'v: 1':{},'i:3':{}}", "{'v:1':{},'i:3':{}}"},
                {"{'z:new':{'f:x':{}},'f:a':{}}", "{'f:a':{}}"},
                {"{'f':{}}", NULL},
                {"{'k:{':{}}", NULL},
                {"{'i:x':{}}", NULL},
                {"{'f:a':1}", NULL},
                {"[]", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(arena_deinit) struct arena a = ARENA_NULL;
                _cleanup_json_ struct json_object *o = parse(rows[i].text), *out = NULL;
                struct fieldset *set = NULL;
                int r = fieldset_parse(&a, o, false, &set);

                if ((r == 0) != (rows[i].want != NULL))
                        fail_msg("%s: %d", rows[i].text, r);
                if (r)
                        continue;
                out = fieldset_json(set);
                assert_json(out, rows[i].want);
        }
}

/* x - y, x & y and y - x are disjoint and make up x | y, whatever x and y. */
static void set_operations_agree_with_each_other(void **state)
{
        static const char *const sets[] = {
                "{}",
                "{'f:a':{}}",
                "{'f:a':{'f:b':{}}}",
                "{'f:a':{'.':{},'f:b':{}},'f:c':{}}",
                "{'f:a':{'f:b':{},'f:d':{}},'k:{\\'n\\':1}':{'.':{},'f:n':{}}}",
                "{'f:c':{'f:x':{'f:y':{}}},'v:1':{}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(sets) * ARRAY_SIZE(sets); i++) {
                _cleanup_(arena_deinit) struct arena a = ARENA_NULL;
                _cleanup_json_ struct json_object *xo = parse(sets[i % 6]), *yo = parse(sets[i / 6]);
                struct fieldset *x, *y, *both, *all, *parts;

                assert_int_equal(fieldset_parse(&a, xo, false, &x), 0);
                assert_int_equal(fieldset_parse(&a, yo, false, &y), 0);
                both = fieldset_intersect(&a, x, y);
                all = fieldset_union(&a, x, y);
                parts = fieldset_union(&a, fieldset_subtract(&a, x, y), both);
                assert_true(fieldset_equal(parts, x));
                assert_true(fieldset_equal(fieldset_union(&a, parts, fieldset_subtract(&a, y, x)), all));
                assert_null(fieldset_intersect(&a, fieldset_subtract(&a, x, y), y));
                assert_true(fieldset_equal(both, fieldset_intersect(&a, y, x)));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_create_belongs_to_its_manager_but_for_what_the_server_sets),
                cmocka_unit_test(sets_and_owner_references_are_items),
                cmocka_unit_test(a_changed_field_changes_hands),
                cmocka_unit_test(a_removed_field_leaves_everyone_and_empty_entries_go),
                cmocka_unit_test(the_same_manager_has_one_entry_whose_time_moves_with_the_object),
                cmocka_unit_test(status_belongs_to_who_writes_the_status_subresource),
                cmocka_unit_test(a_client_may_reset_and_edit_managed_fields),
                cmocka_unit_test(at_most_ten_updaters_are_remembered),
                cmocka_unit_test(applying_creates_and_applying_again_changes_nothing),
                cmocka_unit_test(what_an_applier_drops_is_removed_unless_others_own_it),
                cmocka_unit_test(a_container_that_is_emptied_goes_too),
                cmocka_unit_test(a_different_value_is_a_conflict_and_force_takes_over),
                cmocka_unit_test(several_conflicts_are_grouped_by_manager),
                cmocka_unit_test(equal_values_are_owned_together),
                cmocka_unit_test(lists_merge_by_key_with_defaults_in_the_key),
                cmocka_unit_test(atomic_values_are_one_field),
                cmocka_unit_test(conflict_paths_name_items_by_their_keys),
                cmocka_unit_test(the_order_follows_the_configuration_and_keeps_what_others_added),
                cmocka_unit_test(an_item_goes_whole_when_its_only_owner_drops_it),
                cmocka_unit_test(kubectl_takes_over_from_client_side_apply),
                cmocka_unit_test(entries_that_kubectl_migrated_are_pruned_by),
                cmocka_unit_test(entries_of_another_version_are_kept),
                cmocka_unit_test(bad_configurations_are_refused),
                cmocka_unit_test(fields_of_clients_are_brought_into_one_form),
                cmocka_unit_test(set_operations_agree_with_each_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
