/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "apiserver/openapi_path.h"
#include "base/str.h"

#define META "io.k8s.apimachinery.pkg.apis.meta.v1."

/* ---- parameters ---- */

enum params {
        PARAMS_WRITE = 1 << 0,
        PARAMS_FORCE = 1 << 1,
        PARAMS_DELETE = 1 << 2,
        PARAMS_LIST = 1 << 3,
        PARAMS_DRY_RUN = PARAMS_WRITE | PARAMS_DELETE,
};

static const struct {
        unsigned groups;
        const char *name, *type;
} query_params[] = {
        {PARAMS_LIST, "allowWatchBookmarks", "boolean"},
        {PARAMS_LIST, "continue", "string"},
        {PARAMS_DRY_RUN, "dryRun", "string"},
        {PARAMS_WRITE, "fieldManager", "string"},
        {PARAMS_LIST, "fieldSelector", "string"},
        {PARAMS_WRITE, "fieldValidation", "string"},
        {PARAMS_FORCE, "force", "boolean"},
        {PARAMS_DELETE, "gracePeriodSeconds", "integer"},
        {PARAMS_LIST, "labelSelector", "string"},
        {PARAMS_LIST, "limit", "integer"},
        {PARAMS_DELETE, "orphanDependents", "boolean"},
        {PARAMS_DELETE, "propagationPolicy", "string"},
        {PARAMS_LIST, "resourceVersion", "string"},
        {PARAMS_LIST, "resourceVersionMatch", "string"},
        {PARAMS_LIST, "sendInitialEvents", "boolean"},
        {PARAMS_LIST, "timeoutSeconds", "integer"},
        {PARAMS_LIST, "watch", "boolean"},
};

static struct json_object *parameter(enum openapi_dialect d, const char *in, const char *name, const char *type)
{
        struct json_object *o = json_object_new_object(), *schema;

        json_set_str(o, "in", in);
        json_set_str(o, "name", name);
        if (str_eq(in, "path"))
                json_set_bool(o, "required", true);
        schema = d == OPENAPI_V3 ? json_ensure(o, "schema") : o;
        json_set_str(schema, "type", type);
        json_set_bool(schema, "uniqueItems", true);
        return o;
}

static void add_query_params(struct json_object *list, enum openapi_dialect d, unsigned groups)
{
        for (size_t i = 0; i < ARRAY_SIZE(query_params); i++)
                if (query_params[i].groups & groups)
                        json_object_array_add(list, parameter(d, "query", query_params[i].name, query_params[i].type));
}

/* ---- operations ---- */

enum body {
        BODY_NONE,
        BODY_OBJECT,
        BODY_PATCH,
        BODY_OPTIONS, /* DeleteOptions */
};

enum answer {
        ANSWER_OBJECT,
        ANSWER_LIST,
        ANSWER_STATUS,
        ANSWER_TEXT,
};

/* What a path can do. The first word of the operation's name is upstream's. */
static const struct op {
        uint16_t verb;
        bool collection;
        const char *method, *action, *word;
        unsigned params;
        enum body body;
        enum answer answer;
} ops[] = {
        {VERB_LIST, true, "get", "list", "list", PARAMS_LIST, BODY_NONE, ANSWER_LIST},
        {VERB_CREATE, true, "post", "post", "create", PARAMS_WRITE, BODY_OBJECT, ANSWER_OBJECT},
        {VERB_DELETECOLLECTION, true, "delete", "deletecollection", "delete", PARAMS_LIST | PARAMS_DELETE, BODY_OPTIONS,
         ANSWER_STATUS},
        {VERB_GET, false, "get", "get", "read", 0, BODY_NONE, ANSWER_OBJECT},
        {VERB_UPDATE, false, "put", "put", "replace", PARAMS_WRITE, BODY_OBJECT, ANSWER_OBJECT},
        {VERB_PATCH, false, "patch", "patch", "patch", PARAMS_WRITE | PARAMS_FORCE, BODY_PATCH, ANSWER_OBJECT},
        {VERB_DELETE, false, "delete", "delete", "delete", PARAMS_DELETE, BODY_OPTIONS, ANSWER_STATUS},
};
/* Of subresources; create is a POST to them. */
static const struct op sub_create = {VERB_CREATE, false,        "post",      "post",
                                     "create",    PARAMS_WRITE, BODY_OBJECT, ANSWER_OBJECT};
static const struct op connects[] = {
        {VERB_CONNECT, false, "get", "connect", "connectGet", 0, BODY_NONE, ANSWER_TEXT},
        {VERB_CONNECT, false, "post", "connect", "connectPost", 0, BODY_NONE, ANSWER_TEXT},
};

static const char *const patch_types[] = {
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        NULL,
};
static const char *const object_types[] = {"application/json", "application/yaml",
                                           "application/vnd.kubernetes.protobuf", NULL};
static const char *const any_types[] = {"*/*", NULL};
static const char *const json_types[] = {"application/json", NULL};

/* What the operations of one path are about. */
struct target {
        enum openapi_dialect d;
        const struct schema_resource *r;
        const struct schema_subresource *sub; /* NULL: the object itself */
        bool all_namespaces;
        const char *group, *version, *kind;
        const struct schema_struct *type; /* may be NULL */
};

static struct json_object *strings(const char *const *list)
{
        struct json_object *a = json_object_new_array();

        for (; *list; list++)
                json_object_array_add(a, json_object_new_string(*list));
        return a;
}

static const struct schema_struct *answer_type(const struct target *t, enum answer answer)
{
        if (answer == ANSWER_LIST)
                return openapi_list_type(t->r);
        if (answer == ANSWER_STATUS)
                return schema_struct_find(META "Status");
        return answer == ANSWER_OBJECT ? t->type : NULL;
}

static struct json_object *text_schema(void)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "type", "string");
        return o;
}

static struct json_object *answer_schema(const struct target *t, enum answer answer)
{
        const struct schema_struct *type = answer_type(t, answer);

        return type ? openapi_ref(t->d, type) : text_schema();
}

static struct json_object *body_schema(const struct target *t, enum body body)
{
        if (body == BODY_PATCH)
                return openapi_ref_patch(t->d);
        if (body == BODY_OPTIONS)
                return openapi_ref(t->d, schema_struct_find(META "DeleteOptions"));
        return t->type ? openapi_ref(t->d, t->type) : text_schema();
}

/* {"application/json": {"schema": ...}} for each type; takes the schema over. */
static struct json_object *content(const char *const *types, struct json_object *schema)
{
        struct json_object *o = json_object_new_object();

        for (; *types; types++)
                json_set(json_ensure(o, *types), "schema", json_object_get(schema));
        json_object_put(schema);
        return o;
}

static void set_body(struct json_object *o, struct json_object *params, const struct target *t, enum body body)
{
        const char *const *types = body == BODY_PATCH ? patch_types : any_types;
        struct json_object *b;

        if (body == BODY_NONE)
                return;
        if (t->d == OPENAPI_V3) {
                b = json_ensure(o, "requestBody");
                json_set(b, "content", content(types, body_schema(t, body)));
        } else {
                b = json_object_new_object();
                json_set(o, "consumes", strings(types));
                json_set_str(b, "in", "body");
                json_set_str(b, "name", "body");
                json_set(b, "schema", body_schema(t, body));
                json_object_array_add(params, b);
        }
        if (body != BODY_OPTIONS)
                json_set_bool(b, "required", true);
}

static void set_responses(struct json_object *o, const struct target *t, const struct op *op)
{
        struct json_object *ok = json_ensure(json_ensure(o, "responses"), op->verb == VERB_CREATE ? "201" : "200");
        const char *const *types = op->answer == ANSWER_TEXT ? any_types
                                   : t->d == OPENAPI_V3      ? json_types
                                                             : object_types;

        json_set_str(ok, "description", op->verb == VERB_CREATE ? "Created" : "OK");
        if (t->d == OPENAPI_V3) {
                json_set(ok, "content", content(types, answer_schema(t, op->answer)));
        } else {
                json_set(o, "produces", strings(types));
                json_set(ok, "schema", answer_schema(t, op->answer));
        }
        json_set_str(json_ensure(json_get(o, "responses"), "401"), "description", "Unauthorized");
}

/* "RbacAuthorizationV1" of rbac.authorization.k8s.io/v1; "rbacAuthorization_v1" as a tag. */
static void add_group_word(struct strbuf *b, const char *group, bool capital)
{
        size_t n = strlen(group);

        if (!n) {
                strbuf_add_str(b, capital ? "Core" : "core");
                return;
        }
        if (str_has_suffix(group, ".k8s.io"))
                n -= strlen(".k8s.io");
        for (size_t i = 0; i < n; i++) {
                if (group[i] == '.') {
                        capital = true;
                        continue;
                }
                strbuf_add_char(b, capital ? (char)toupper((unsigned char)group[i]) : group[i]);
                capital = false;
        }
}

static void add_capitalised(struct strbuf *b, const char *s)
{
        strbuf_add_char(b, (char)toupper((unsigned char)*s));
        strbuf_add_str(b, s + 1);
}

static void set_names(struct json_object *o, const struct target *t, const struct op *op)
{
        _cleanup_strbuf_ struct strbuf id = STRBUF_NULL, tag = STRBUF_NULL;
        struct json_object *tags = json_object_new_array();

        strbuf_add_str(&id, op->word);
        add_group_word(&id, t->r->group, true);
        add_capitalised(&id, t->r->version);
        if (op->verb == VERB_DELETECOLLECTION)
                strbuf_add_str(&id, "Collection");
        if (t->r->namespaced && !t->all_namespaces)
                strbuf_add_str(&id, "Namespaced");
        strbuf_add_str(&id, t->r->kind);
        if (t->sub)
                add_capitalised(&id, t->sub->name);
        if (t->all_namespaces)
                strbuf_add_str(&id, "ForAllNamespaces");
        add_group_word(&tag, t->r->group, false);
        strbuf_printf(&tag, "_%s", t->r->version);
        json_set_str(o, "operationId", id.data);
        json_object_array_add(tags, json_object_new_string(tag.data));
        json_set(o, "tags", tags);
}

static struct json_object *operation(const struct target *t, const struct op *op)
{
        struct json_object *o = json_object_new_object(), *params = json_object_new_array();

        set_names(o, t, op);
        set_body(o, params, t, op->body);
        add_query_params(params, t->d, op->params);
        if (json_len(params))
                json_set(o, "parameters", json_object_get(params));
        json_object_put(params);
        set_responses(o, t, op);
        json_set_str(o, "x-kubernetes-action", op->action);
        json_set(o, "x-kubernetes-group-version-kind", openapi_gvk(t->group, t->version, t->kind));
        return o;
}

/* ---- paths ---- */

static void base_path(struct strbuf *b, const struct target *t)
{
        strbuf_printf(b, "%s%s/%s/", *t->r->group ? "/apis/" : "/api", t->r->group, t->r->version);
        if (t->r->namespaced && !t->all_namespaces)
                strbuf_add_str(b, "namespaces/{namespace}/");
        strbuf_add_str(b, t->r->plural);
}

static void set_path_params(struct json_object *item, const struct target *t, bool named)
{
        struct json_object *list = json_object_new_array();

        if (named)
                json_object_array_add(list, parameter(t->d, "path", "name", "string"));
        if (t->r->namespaced && !t->all_namespaces)
                json_object_array_add(list, parameter(t->d, "path", "namespace", "string"));
        json_object_array_add(list, parameter(t->d, "query", "pretty", "string"));
        json_set(item, "parameters", list);
}

/* Hands the path to fn when it has any operation. */
static void emit_path(const struct target *t, struct json_object *item, bool named, openapi_emit_fn fn, void *arg)
{
        _cleanup_strbuf_ struct strbuf path = STRBUF_NULL;

        if (!json_object_object_length(item))
                return;
        base_path(&path, t);
        if (named)
                strbuf_add_str(&path, "/{name}");
        if (t->sub)
                strbuf_printf(&path, "/%s", t->sub->name);
        set_path_params(item, t, named);
        fn(arg, path.data, item);
}

static void object_paths(const struct target *t, openapi_emit_fn fn, void *arg)
{
        for (int named = 0; named < 2; named++) {
                _cleanup_json_ struct json_object *item = json_object_new_object();

                for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
                        if (ops[i].collection == !named && t->r->verbs & ops[i].verb)
                                json_set(item, ops[i].method, operation(t, &ops[i]));
                emit_path(t, item, named, fn, arg);
        }
}

static void all_namespaces_path(const struct target *t, openapi_emit_fn fn, void *arg)
{
        _cleanup_json_ struct json_object *item = json_object_new_object();
        struct target all = *t;

        all.all_namespaces = true;
        if (t->r->namespaced && t->r->verbs & VERB_LIST)
                json_set(item, "get", operation(&all, &ops[0]));
        emit_path(&all, item, false, fn, arg);
}

static void sub_path(const struct target *t, openapi_emit_fn fn, void *arg)
{
        _cleanup_json_ struct json_object *item = json_object_new_object();
        uint16_t verbs = t->sub->verbs;

        for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
                if (!ops[i].collection && verbs & ops[i].verb)
                        json_set(item, ops[i].method, operation(t, &ops[i]));
        if (verbs & VERB_CREATE)
                json_set(item, "post", operation(t, &sub_create));
        for (size_t i = 0; i < ARRAY_SIZE(connects) && verbs & VERB_CONNECT; i++)
                json_set(item, connects[i].method, operation(t, &connects[i]));
        emit_path(t, item, true, fn, arg);
}

void openapi_paths_each(enum openapi_dialect d, const struct schema_resource *r, openapi_emit_fn fn, void *arg)
{
        struct target t = {.d = d, .r = r, .group = r->group, .version = r->version, .kind = r->kind, .type = r->type};

        object_paths(&t, fn, arg);
        all_namespaces_path(&t, fn, arg);
        for (size_t i = 0; i < r->nsubresources; i++) {
                const struct schema_subresource *sub = &r->subresources[i];
                struct target s = {.d = d, .r = r, .sub = sub};

                s.group = sub->group;
                s.version = sub->version;
                s.kind = sub->kind;
                s.type = sub->type;
                sub_path(&s, fn, arg);
        }
}

void openapi_paths_reach(const struct schema_resource *r, struct openapi_set *s)
{
        openapi_set_add(s, r->type);
        if (r->verbs & VERB_LIST)
                openapi_set_add(s, openapi_list_type(r));
        openapi_set_add(s, schema_struct_find(META "Status"));
        openapi_set_add(s, schema_struct_find(META "DeleteOptions"));
        openapi_set_add_patch(s);
        for (size_t i = 0; i < r->nsubresources; i++)
                openapi_set_add(s, r->subresources[i].type);
}
