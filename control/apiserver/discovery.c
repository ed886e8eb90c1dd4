/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/discovery.h"
#include "apiserver/status.h"
#include "base/str.h"

static struct json_object *doc(const char *kind)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "kind", kind);
        json_set_str(o, "apiVersion", "v1");
        return o;
}

static struct json_object *verbs_array(uint16_t verbs)
{
        static const struct {
                uint16_t bit;
                const char *name;
        } names[] = {
                {VERB_CREATE, "create"}, {VERB_DELETE, "delete"}, {VERB_DELETECOLLECTION, "deletecollection"},
                {VERB_GET, "get"},       {VERB_LIST, "list"},     {VERB_PATCH, "patch"},
                {VERB_UPDATE, "update"}, {VERB_WATCH, "watch"},
        };
        struct json_object *a = json_object_new_array();

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (verbs & names[i].bit)
                        json_object_array_add(a, json_object_new_string(names[i].name));
        return a;
}

static struct json_object *strings(const char *const *list)
{
        struct json_object *a = json_object_new_array();

        for (; list && *list; list++)
                json_object_array_add(a, json_object_new_string(*list));
        return a;
}

static void add_resource(struct json_object *arr, const struct schema_resource *r)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "name", r->plural);
        json_set_str(o, "singularName", r->singular);
        json_set_bool(o, "namespaced", r->namespaced);
        json_set_str(o, "kind", r->kind);
        json_set(o, "verbs", verbs_array(r->verbs));
        if (r->short_names && *r->short_names)
                json_set(o, "shortNames", strings(r->short_names));
        if (r->categories && *r->categories)
                json_set(o, "categories", strings(r->categories));
        json_object_array_add(arr, o);
}

static int resource_list(struct api_request *req, const char *group, const char *version)
{
        _cleanup_json_ struct json_object *o = doc("APIResourceList");
        struct json_object *arr = json_object_new_array();

        json_set_str(o, "groupVersion", *group ? arena_printf(req->arena, "%s/%s", group, version) : version);
        for (size_t i = 0; i < schema_nresources; i++)
                if (str_eq(schema_resources[i].group, group) && str_eq(schema_resources[i].version, version))
                        add_resource(arr, &schema_resources[i]);
        if (!json_len(arr)) {
                json_object_put(arr);
                return api_fail_no_resource(req);
        }
        json_set(o, "resources", arr);
        return api_answer_tree(req, 200, o);
}

static bool has_group(const struct json_object *groups, const char *name)
{
        json_array_foreach (groups, i, g) {
                if (str_eq(json_get_str(g, "name"), name))
                        return true;
        }
        return false;
}

static struct json_object *group_object(struct arena *a, const char *name)
{
        struct json_object *g = json_object_new_object(), *versions = json_object_new_array();
        const char *last = "";

        json_set_str(g, "name", name);
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];
                struct json_object *v;

                if (!str_eq(r->group, name) || str_eq(r->version, last))
                        continue;
                last = r->version;
                v = json_object_new_object();
                json_set_str(v, "groupVersion", arena_printf(a, "%s/%s", name, r->version));
                json_set_str(v, "version", r->version);
                json_object_array_add(versions, v);
        }
        json_set(g, "preferredVersion", json_object_get(json_idx(versions, 0)));
        json_set(g, "versions", versions);
        return g;
}

static int group_list(struct api_request *req)
{
        _cleanup_json_ struct json_object *o = doc("APIGroupList");
        struct json_object *groups = json_object_new_array();

        for (size_t i = 0; i < schema_nresources; i++) {
                const char *name = schema_resources[i].group;

                if (*name && !has_group(groups, name))
                        json_object_array_add(groups, group_object(req->arena, name));
        }
        json_set(o, "groups", groups);
        return api_answer_tree(req, 200, o);
}

static int core_versions(struct api_request *req)
{
        static const char *const v1[] = {"v1", NULL};
        _cleanup_json_ struct json_object *o = doc("APIVersions");

        json_set(o, "versions", strings(v1));
        return api_answer_tree(req, 200, o);
}

static int version(struct api_request *req)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();

        json_set_str(o, "major", "1");
        json_set_str(o, "minor", "36");
        json_set_str(o, "gitVersion", "v1.36.0+fairlead." FAIRLEAD_VERSION);
        json_set_str(o, "platform", "linux/amd64");
        json_set_str(o, "compiler", "gcc");
        return api_answer_tree(req, 200, o);
}

int discovery_answer(struct api_request *req)
{
        const char *path = req->http->path, *gv = str_after(path, "/apis/"), *slash;

        if (str_eq(path, "/api"))
                return core_versions(req);
        if (str_eq(path, "/api/v1"))
                return resource_list(req, "", "v1");
        if (str_eq(path, "/apis"))
                return group_list(req);
        if (str_eq(path, "/version") || str_eq(path, "/version/"))
                return version(req);
        slash = gv ? strchr(gv, '/') : NULL;
        if (slash)
                return resource_list(req, arena_strndup(req->arena, gv, (size_t)(slash - gv)), slash + 1);
        return api_fail_no_resource(req);
}
