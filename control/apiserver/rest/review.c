/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about identity and rights: they are answered, not stored. */
#include "apiserver/account/tokens.h"
#include "apiserver/authn.h"
#include "apiserver/authz.h"
#include "apiserver/rest/body.h"
#include "apiserver/rest/rest.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/str.h"

static struct json_object *groups_array(const struct user_info *u)
{
        struct json_object *arr = json_object_new_array();

        for (size_t i = 0; u->groups && u->groups[i]; i++)
                json_object_array_add(arr, json_object_new_string(u->groups[i]));
        return arr;
}

static int self_subject(struct api_request *req, struct json_object *obj)
{
        struct json_object *user = json_object_new_object(), *status = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(user, "username", req->user.name);
        json_set(user, "groups", groups_array(&req->user));
        json_set(status, "userInfo", user);
        json_set(obj, "status", status);
        json_set_str(json_ensure(obj, "metadata"), "creationTimestamp", clock_format(req->now_us / 1000000, now));
        return api_answer_tree(req, 201, obj);
}

static void fill_attributes(struct authz_attributes *a, const struct json_object *spec)
{
        const struct json_object *r = json_get(spec, "resourceAttributes"),
                                 *n = json_get(spec, "nonResourceAttributes");

        a->is_resource = !n;
        a->verb = json_get_str(r ? r : n, "verb");
        if (!a->verb)
                a->verb = "";
        a->group = json_get_str(r, "group");
        a->resource = json_get_str(r, "resource");
        a->subresource = json_get_str(r, "subresource");
        a->namespace = json_get_str(r, "namespace");
        a->name = json_get_str(r, "name");
        a->path = json_get_str(n, "path") ? json_get_str(n, "path") : "";
}

static struct user_info user_of(struct api_request *req, const struct json_object *spec)
{
        const struct json_object *groups = json_get(spec, "groups");
        const char **list = arena_array(req->arena, const char *, json_len(groups) + 1);
        const char *name = json_get_str(spec, "user");

        json_array_foreach (groups, i, g) {
                list[i] = json_object_get_string(g);
        }
        return (struct user_info){.name = name ? name : "", .groups = list};
}

static int access_review(struct api_request *req, struct json_object *obj, bool self)
{
        struct json_object *spec = json_get(obj, "spec"), *status = json_object_new_object();
        struct user_info other = user_of(req, spec);
        struct authz_attributes a = {.user = self ? &req->user : &other};
        const char *reason;
        bool allowed;

        if (json_has(spec, "resourceAttributes") && json_has(spec, "nonResourceAttributes")) {
                json_object_put(status);
                return api_fail(req, 422,
                                "%s.authorization.k8s.io \"\" is invalid: spec.nonResourceAttributes: Invalid value: "
                                "{}: cannot be specified in combination with resourceAttributes",
                                req->resource->kind);
        }
        if (!json_has(spec, "resourceAttributes") == !json_has(spec, "nonResourceAttributes")) {
                json_object_put(status);
                return api_fail(
                        req, 422,
                        "%s.authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: "
                        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
                        req->resource->kind);
        }
        fill_attributes(&a, spec);
        allowed = authorize(&a, &reason);
        json_set_bool(status, "allowed", allowed);
        if (allowed)
                json_set_str(status, "reason",
                             arena_printf(req->arena, "allowed by the built-in rules for %s", reason));
        json_set(obj, "status", status);
        return api_answer_tree(req, 201, obj);
}

static struct json_object *words(const char *list)
{
        struct json_object *arr = json_object_new_array();
        const char *rest = list;
        struct str_span w;

        while (list && str_split(&rest, ' ', &w))
                if (w.n)
                        json_object_array_add(arr, str_span_eq(w, "core") ? json_object_new_string("")
                                                                          : json_object_new_string_len(w.s, (int)w.n));
        return arr;
}

static void add_rule(void *arg, const struct authz_rule *rule)
{
        struct json_object *status = arg, *r = json_object_new_object();

        json_set(r, "verbs", words(rule->verbs));
        if (rule->paths) {
                json_set(r, "nonResourceURLs", words(rule->paths));
        } else {
                json_set(r, "apiGroups", words(rule->groups));
                json_set(r, "resources", words(rule->resources));
        }
        json_object_array_add(json_get(status, rule->paths ? "nonResourceRules" : "resourceRules"), r);
}

static int rules_review(struct api_request *req, struct json_object *obj)
{
        struct json_object *status = json_object_new_object();

        json_set(status, "resourceRules", json_object_new_array());
        json_set(status, "nonResourceRules", json_object_new_array());
        json_set_bool(status, "incomplete", false);
        authz_each_rule(&req->user, add_rule, status);
        json_set(obj, "status", status);
        return api_answer_tree(req, 201, obj);
}

static const char *const *audiences_of(struct api_request *req, const struct json_object *spec)
{
        const struct json_object *list = json_get(spec, "audiences");
        const char **a = arena_array(req->arena, const char *, json_len(list) + 1);

        json_array_foreach (list, i, item) {
                a[i] = json_object_get_string(item);
        }
        return json_len(list) ? a : NULL;
}

static void add_extra(struct json_object *user, const char *name, const char *value)
{
        struct json_object *list;

        if (!value)
                return;
        list = json_object_new_array();
        json_object_array_add(list, json_object_new_string(value));
        json_set(json_ensure(user, "extra"), name, list);
}

static struct json_object *token_user_object(struct api_request *req, const struct token_user *u)
{
        struct json_object *user = json_object_new_object();

        json_set_str(user, "username", u->user.name);
        if (u->user.uid)
                json_set_str(user, "uid", u->user.uid);
        json_set(user, "groups", groups_array(&u->user));
        add_extra(user, "authentication.kubernetes.io/credential-id",
                  u->id ? arena_printf(req->arena, "JTI=%s", u->id) : NULL);
        add_extra(user, "authentication.kubernetes.io/node-name", u->node);
        add_extra(user, "authentication.kubernetes.io/node-uid", u->node_uid);
        add_extra(user, "authentication.kubernetes.io/pod-name", u->pod);
        add_extra(user, "authentication.kubernetes.io/pod-uid", u->pod_uid);
        return user;
}

static int token_review(struct api_request *req, struct json_object *obj)
{
        struct json_object *spec = json_get(obj, "spec"), *status = json_object_new_object();
        const char *token = json_get_str(spec, "token");
        struct err err = ERR_NULL;
        struct token_user u;
        bool good;

        if (str_empty(token)) {
                json_object_put(status);
                return api_fail(req, 400, "token is required for TokenReview in authentication");
        }
        good = !tokens_authenticate(req, token, audiences_of(req, spec), &u, &err);
        json_set_bool(status, "authenticated", good);
        if (good) {
                struct json_object *list = json_object_new_array();

                for (const char *const *a = u.audiences; *a; a++)
                        json_object_array_add(list, json_object_new_string(*a));
                json_set(status, "audiences", list);
                json_set(status, "user", token_user_object(req, &u));
        } else {
                json_set_str(status, "error", err.msg);
        }
        json_set(obj, "status", status);
        return api_answer_tree(req, 201, obj);
}

int rest_review(struct api_request *req)
{
        _cleanup_json_ struct json_object *obj = NULL;
        const char *plural = req->plural;
        int r;

        r = body_of_resource(req, &obj);
        if (r)
                return r;
        if (str_eq(plural, "selfsubjectreviews"))
                return self_subject(req, obj);
        if (str_eq(plural, "selfsubjectaccessreviews"))
                return access_review(req, obj, true);
        if (str_eq(plural, "subjectaccessreviews") || str_eq(plural, "localsubjectaccessreviews"))
                return access_review(req, obj, false);
        if (str_eq(plural, "selfsubjectrulesreviews"))
                return rules_review(req, obj);
        return token_review(req, obj);
}
