/* SPDX-License-Identifier: Apache-2.0 */
/* serviceaccounts/token: a token for a service account (registry/core/serviceaccount/storage: TokenREST). */
#include <inttypes.h>

#include "apiserver/account/internal.h"
#include "apiserver/authn.h"
#include "apiserver/rest/body.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/uuid.h"

#define SECONDS_DEFAULT 3600
#define SECONDS_MIN     600
#define SECONDS_MAX     (INT64_C(1) << 32)

/* What is being made; trees are owned. */
struct issue {
        struct api_request *req;
        struct json_object *body, *account, *bound, *node;
        const char *bound_kind; /* "pod", "secret", "node" or NULL */
        int64_t seconds;
};

static void issue_deinit(struct issue *i)
{
        json_object_put(i->body);
        json_object_put(i->account);
        json_object_put(i->bound);
        json_object_put(i->node);
}

static struct json_object *fetch(struct api_request *req, const char *plural, const char *namespace, const char *name)
{
        _cleanup_object_ struct object *o = cache_get(cache_find(req->server->caches, "", plural), namespace, name);

        return o ? object_tree(o) : NULL;
}

/* ---- the spec ---- */

static int check_spec(struct issue *i)
{
        struct json_object *spec = json_ensure(i->body, "spec");
        struct ferrs errs = FERRS(i->req->arena);
        struct fpath s = fpath_child(NULL, "spec"), at = fpath_child(&s, "expirationSeconds");

        i->seconds = json_get_i64(spec, "expirationSeconds", SECONDS_DEFAULT);
        json_set_i64(spec, "expirationSeconds", i->seconds);
        if (i->seconds < SECONDS_MIN)
                ferr_invalid_i64(&errs, &at, i->seconds, "may not specify a duration less than 10 minutes");
        if (i->seconds > SECONDS_MAX)
                ferr_invalid_i64(&errs, &at, i->seconds, "may not specify a duration larger than 2^32 seconds");
        if (!json_len(json_get(spec, "audiences"))) {
                struct json_object *list = json_object_new_array();

                for (char **a = i->req->server->tokens->audiences; *a; a++)
                        json_object_array_add(list, json_object_new_string(*a));
                json_set(spec, "audiences", list);
        }
        return errs.n ? api_fail_invalid(i->req, i->req->name, &errs) : 0;
}

/* ---- what it is bound to ---- */

static int bound_not_found(struct api_request *req, const char *plural, const char *name)
{
        struct status s = {.code = 404, .name = name, .kind = plural};

        s.message = arena_printf(req->arena, "%s \"%s\" not found", plural, name);
        return api_fail_status(req, &s);
}

static int other_uid(struct api_request *req, const char *plural, const char *name, const char *want, const char *is)
{
        struct status s = {.code = 409, .name = name, .kind = plural};

        s.message = arena_printf(req->arena,
                                 "Operation cannot be fulfilled on %s \"%s\": the UID in the bound object reference "
                                 "(%s) does not match the UID in record. The object might have been deleted and then "
                                 "recreated",
                                 plural, name, want);
        (void)is;
        return api_fail_status(req, &s);
}

static int check_pod(struct issue *i)
{
        const char *account = json_at_str(i->bound, "spec.serviceAccountName");

        if (!str_eq(account, i->req->name))
                return api_fail(i->req, 400,
                                "cannot bind token for serviceaccount \"%s\" to pod running with different "
                                "serviceaccount name.",
                                i->req->name);
        if (json_at_str(i->bound, "spec.nodeName"))
                i->node = fetch(i->req, "nodes", NULL, json_at_str(i->bound, "spec.nodeName"));
        return 0;
}

static int find_bound(struct issue *i)
{
        static const struct {
                const char *kind, *plural, *claim;
                bool namespaced;
        } kinds[] = {
                {"Pod", "pods", "pod", true},
                {"Secret", "secrets", "secret", true},
                {"Node", "nodes", "node", false},
        };
        const struct json_object *ref = json_at(i->body, "spec.boundObjectRef");
        const char *kind = json_get_str(ref, "kind"), *name = json_get_str(ref, "name"),
                   *uid = json_get_str(ref, "uid");
        const char *version = json_get_str(ref, "apiVersion");
        size_t k = 0;

        if (!ref)
                return 0;
        while (k < ARRAY_SIZE(kinds) && !(str_eq(kind, kinds[k].kind) && (str_empty(version) || str_eq(version, "v1"))))
                k++;
        if (k == ARRAY_SIZE(kinds))
                return api_fail(i->req, 400, "cannot bind token to object of type %s, Kind=%s", version ? version : "",
                                kind ? kind : "");
        name = name ? name : "";
        i->bound_kind = kinds[k].claim;
        i->bound = fetch(i->req, kinds[k].plural, kinds[k].namespaced ? i->req->namespace : NULL, name);
        if (!i->bound)
                return bound_not_found(i->req, kinds[k].plural, name);
        if (!str_empty(uid) && !str_eq(uid, json_at_str(i->bound, "metadata.uid")))
                return other_uid(i->req, kinds[k].plural, name, uid, json_at_str(i->bound, "metadata.uid"));
        return k == 0 ? check_pod(i) : 0;
}

/* A node may only act for pods that it runs (admission plugin NodeRestriction). */
static int check_node_user(struct issue *i)
{
        const struct user_info *u = &i->req->user;
        const char *node = str_has_prefix(u->name, "system:node:") ? u->name + 12 : NULL;
        const char *why = NULL;

        if (!node || !user_in_group(u, "system:nodes"))
                return 0;
        if (!str_eq(i->bound_kind, "pod"))
                why = "node requested token not bound to a pod";
        else if (str_empty(json_at_str(i->body, "spec.boundObjectRef.uid")))
                why = "node requested token with a pod binding without a uid";
        else if (!str_eq(json_at_str(i->bound, "spec.nodeName"), node))
                why = "node requested token bound to a pod scheduled on a different node";
        return why ? api_fail_forbidden(i->req, i->req->name, "%s", why) : 0;
}

/* ---- the token ---- */

static void add_object_claim(struct json_object *claims, const char *name, const struct json_object *obj)
{
        struct json_object *c = json_ensure(claims, name);

        json_set_str(c, "name", json_at_str(obj, "metadata.name"));
        json_set_str(c, "uid", json_at_str(obj, "metadata.uid"));
}

static struct json_object *make_claims(const struct issue *i)
{
        struct json_object *c = json_object_new_object(), *k = json_object_new_object();
        int64_t now = i->req->now_us / 1000000;
        char id[UUID_TEXT_SIZE];

        json_set(c, "aud", json_copy(json_at(i->body, "spec.audiences")));
        json_set_i64(c, "exp", now + i->seconds);
        json_set_i64(c, "iat", now);
        json_set_str(c, "iss", i->req->server->tokens->issuer);
        json_set_str(c, "jti", uuid_new(id));
        json_set_str(k, "namespace", i->req->namespace);
        if (i->node)
                add_object_claim(k, "node", i->node);
        if (i->bound)
                add_object_claim(k, i->bound_kind, i->bound);
        add_object_claim(k, "serviceaccount", i->account);
        json_set(c, "kubernetes.io", k);
        json_set_i64(c, "nbf", now);
        json_set_str(c, "sub",
                     arena_printf(i->req->arena, "system:serviceaccount:%s:%s", i->req->namespace, i->req->name));
        return c;
}

static int answer(struct issue *i)
{
        _cleanup_json_ struct json_object *claims = make_claims(i);
        _cleanup_strbuf_ struct strbuf token = STRBUF_NULL;
        struct json_object *meta = json_ensure(i->body, "metadata"), *status = json_ensure(i->body, "status");
        char text[CLOCK_TEXT_SIZE];

        if (jwt_sign(i->req->server->tokens->keys, claims, &token))
                return api_fail(i->req, 500, "failed to generate token");
        json_set_str(meta, "name", i->req->name);
        json_set_str(meta, "namespace", i->req->namespace);
        json_set_str(meta, "creationTimestamp", clock_format(i->req->now_us / 1000000, text));
        json_set_str(status, "token", token.data);
        json_set_str(status, "expirationTimestamp", clock_format(i->req->now_us / 1000000 + i->seconds, text));
        return api_answer_tree(i->req, 201, i->body);
}

static int issue(struct issue *i)
{
        int r = body_of_resource(i->req, &i->body);

        if (r)
                return r;
        i->account = fetch(i->req, "serviceaccounts", i->req->namespace, i->req->name);
        if (!i->account)
                return api_fail_not_found(i->req);
        r = check_spec(i);
        if (!r)
                r = find_bound(i);
        if (!r)
                r = check_node_user(i);
        return r ? r : answer(i);
}

int tokens_request(struct api_request *req)
{
        struct issue i = {.req = req};
        int r;

        if (!str_eq(req->verb, "create"))
                return api_fail_method(req);
        if (!req->server->tokens)
                return api_fail(req, 404, "this server has no key to sign service account tokens with");
        r = issue(&i);
        issue_deinit(&i);
        return r;
}
