/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/discovery_build.h"
#include "base/str.h"
#include "kube/schema.h"

#if defined(__x86_64__)
#define PLATFORM "linux/amd64"
#elif defined(__aarch64__)
#define PLATFORM "linux/arm64"
#else
#define PLATFORM "linux/unknown"
#endif

static struct json_object *doc(const char *kind, const char *api_version)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "kind", kind);
        json_set_str(o, "apiVersion", api_version);
        return o;
}

static void add_string(struct json_object *array, const char *s)
{
        json_object_array_add(array, json_object_new_string(s));
}

static struct json_object *strings(const char *const *list)
{
        struct json_object *a = json_object_new_array();

        for (; *list; list++)
                add_string(a, *list);
        return a;
}

static void set_strings(struct json_object *o, const char *key, const char *const *list)
{
        if (list && *list)
                json_set(o, key, strings(list));
}

/* ---- verbs ---- */

/* In the order of their names, as Kubernetes lists them. */
static const struct {
        uint16_t bit;
        const char *name;
} verb_names[] = {
        {VERB_CREATE, "create"}, {VERB_DELETE, "delete"}, {VERB_DELETECOLLECTION, "deletecollection"},
        {VERB_GET, "get"},       {VERB_LIST, "list"},     {VERB_PATCH, "patch"},
        {VERB_UPDATE, "update"}, {VERB_WATCH, "watch"},
};

/* What can be connected to is listed with the verbs of the methods that connect. */
static uint16_t listed_verbs(const char *subresource, uint16_t verbs)
{
        if (!(verbs & VERB_CONNECT))
                return verbs;
        if (str_eq(subresource, "proxy"))
                return VERB_CREATE | VERB_DELETE | VERB_GET | VERB_PATCH | VERB_UPDATE;
        return VERB_CREATE | VERB_GET;
}

static struct json_object *verbs_array(const char *subresource, uint16_t verbs)
{
        struct json_object *a = json_object_new_array();

        verbs = listed_verbs(subresource, verbs);
        for (size_t i = 0; i < ARRAY_SIZE(verb_names); i++)
                if (verbs & verb_names[i].bit)
                        add_string(a, verb_names[i].name);
        return a;
}

/* ---- walking the table ---- */

static bool same_version(const struct schema_resource *a, const struct schema_resource *b)
{
        return str_eq(a->group, b->group) && str_eq(a->version, b->version);
}

bool discovery_first_of_group(size_t resource)
{
        for (size_t i = 0; i < resource; i++)
                if (str_eq(schema_resources[i].group, schema_resources[resource].group))
                        return false;
        return true;
}

bool discovery_first_of_version(size_t resource)
{
        for (size_t i = 0; i < resource; i++)
                if (same_version(&schema_resources[i], &schema_resources[resource]))
                        return false;
        return true;
}

/* ---- legacy ---- */

static void set_api_version(struct json_object *o, const char *key, const char *group, const char *version)
{
        char text[256];

        snprintf(text, sizeof(text), "%s%s%s", group, *group ? "/" : "", version);
        json_set_str(o, key, text);
}

static void add_resource(struct json_object *list, const struct schema_resource *r)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "name", r->plural);
        json_set_str(o, "singularName", r->singular);
        json_set_bool(o, "namespaced", r->namespaced);
        json_set_str(o, "kind", r->kind);
        json_set(o, "verbs", verbs_array(NULL, r->verbs));
        set_strings(o, "shortNames", r->short_names);
        set_strings(o, "categories", r->categories);
        json_object_array_add(list, o);
}

static bool foreign(const struct schema_resource *r, const struct schema_subresource *sub)
{
        return !str_eq(sub->group, r->group) || !str_eq(sub->version, r->version);
}

static void add_subresource(struct json_object *list, const struct schema_resource *r,
                            const struct schema_subresource *sub)
{
        struct json_object *o = json_object_new_object();
        char name[128];

        snprintf(name, sizeof(name), "%s/%s", r->plural, sub->name);
        json_set_str(o, "name", name);
        json_set_str(o, "singularName", "");
        json_set_bool(o, "namespaced", r->namespaced);
        if (foreign(r, sub)) {
                json_set_str(o, "group", sub->group);
                json_set_str(o, "version", sub->version);
        }
        json_set_str(o, "kind", sub->kind);
        json_set(o, "verbs", verbs_array(sub->name, sub->verbs));
        json_object_array_add(list, o);
}

struct json_object *discovery_resources(const char *group, const char *version)
{
        struct json_object *o = doc("APIResourceList", "v1"), *list = json_object_new_array();

        set_api_version(o, "groupVersion", group, version);
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];

                if (!str_eq(r->group, group) || !str_eq(r->version, version))
                        continue;
                add_resource(list, r);
                for (size_t j = 0; j < r->nsubresources; j++)
                        add_subresource(list, r, &r->subresources[j]);
        }
        json_set(o, "resources", list);
        return o;
}

struct json_object *discovery_group(const char *group, bool with_type)
{
        struct json_object *o = with_type ? doc("APIGroup", "v1") : json_object_new_object();
        struct json_object *versions = json_object_new_array();

        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];
                struct json_object *v;

                if (!str_eq(r->group, group) || !discovery_first_of_version(i))
                        continue;
                v = json_object_new_object();
                set_api_version(v, "groupVersion", group, r->version);
                json_set_str(v, "version", r->version);
                json_object_array_add(versions, v);
        }
        json_set_str(o, "name", group);
        json_set(o, "versions", versions);
        json_set(o, "preferredVersion", json_object_get(json_idx(versions, 0)));
        return o;
}

static struct json_object *legacy_core(void)
{
        static const char *const v1[] = {"v1", NULL};
        struct json_object *o = doc("APIVersions", "v1");

        json_set(o, "versions", strings(v1));
        json_set(o, "serverAddressByClientCIDRs", json_object_new_array());
        return o;
}

static struct json_object *legacy_groups(void)
{
        struct json_object *o = doc("APIGroupList", "v1"), *groups = json_object_new_array();

        for (size_t i = 0; i < schema_nresources; i++)
                if (*schema_resources[i].group && discovery_first_of_group(i))
                        json_object_array_add(groups, discovery_group(schema_resources[i].group, false));
        json_set(o, "groups", groups);
        return o;
}

/* ---- aggregated ---- */

/* Empty words stand for the group and version of the list. */
static struct json_object *response_kind(const char *group, const char *version, const char *kind)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "group", group);
        json_set_str(o, "version", version);
        json_set_str(o, "kind", kind);
        return o;
}

static struct json_object *aggregated_sub(const struct schema_resource *r, const struct schema_subresource *sub)
{
        struct json_object *o = json_object_new_object();
        bool named = foreign(r, sub);

        json_set_str(o, "subresource", sub->name);
        json_set(o, "responseKind", response_kind(named ? sub->group : "", named ? sub->version : "", sub->kind));
        json_set(o, "verbs", verbs_array(sub->name, sub->verbs));
        return o;
}

static struct json_object *aggregated_resource(const struct schema_resource *r)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "resource", r->plural);
        json_set(o, "responseKind", response_kind("", "", r->kind));
        json_set_str(o, "scope", r->namespaced ? "Namespaced" : "Cluster");
        json_set_str(o, "singularResource", r->singular);
        json_set(o, "verbs", verbs_array(NULL, r->verbs));
        set_strings(o, "shortNames", r->short_names);
        set_strings(o, "categories", r->categories);
        if (r->nsubresources) {
                struct json_object *subs = json_object_new_array();

                for (size_t i = 0; i < r->nsubresources; i++)
                        json_object_array_add(subs, aggregated_sub(r, &r->subresources[i]));
                json_set(o, "subresources", subs);
        }
        return o;
}

static struct json_object *aggregated_version(const struct schema_resource *first)
{
        struct json_object *o = json_object_new_object(), *list = json_object_new_array();

        for (size_t i = 0; i < schema_nresources; i++)
                if (same_version(&schema_resources[i], first))
                        json_object_array_add(list, aggregated_resource(&schema_resources[i]));
        json_set_str(o, "version", first->version);
        json_set(o, "resources", list);
        json_set_str(o, "freshness", "Current");
        return o;
}

static struct json_object *aggregated_group(const char *group)
{
        struct json_object *o = json_object_new_object(), *versions = json_object_new_array();

        if (*group)
                json_set_str(json_ensure(o, "metadata"), "name", group);
        else
                json_ensure(o, "metadata");
        for (size_t i = 0; i < schema_nresources; i++)
                if (str_eq(schema_resources[i].group, group) && discovery_first_of_version(i))
                        json_object_array_add(versions, aggregated_version(&schema_resources[i]));
        json_set(o, "versions", versions);
        return o;
}

static struct json_object *aggregated(bool core, const char *api_version)
{
        struct json_object *o = doc("APIGroupDiscoveryList", api_version), *items = json_object_new_array();

        json_ensure(o, "metadata");
        for (size_t i = 0; i < schema_nresources; i++)
                if (!*schema_resources[i].group == core && discovery_first_of_group(i))
                        json_object_array_add(items, aggregated_group(schema_resources[i].group));
        json_set(o, "items", items);
        return o;
}

struct json_object *discovery_groups(bool core, enum discovery_form form)
{
        if (form == DISCOVERY_V2)
                return aggregated(core, "apidiscovery.k8s.io/v2");
        if (form == DISCOVERY_V2BETA1)
                return aggregated(core, "apidiscovery.k8s.io/v2beta1");
        return core ? legacy_core() : legacy_groups();
}

struct json_object *discovery_version(void)
{
        static const char *const facts[][2] = {
                {"major", "1"},    {"minor", "36"},     {"gitVersion", "v1.36.0+fairlead." FAIRLEAD_VERSION},
                {"gitCommit", ""}, {"buildDate", ""},   {"gitTreeState", ""},
                {"goVersion", ""}, {"compiler", "gcc"}, {"platform", PLATFORM},
        };
        struct json_object *o = json_object_new_object();

        for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
                json_set_str(o, facts[i][0], facts[i][1]);
        return o;
}
