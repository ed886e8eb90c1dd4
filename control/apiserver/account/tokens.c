/* SPDX-License-Identifier: Apache-2.0 */
/* The keys and names of the server's tokens, and the check of those that come back. */
#include <errno.h>
#include <stdlib.h>

#include "apiserver/account/internal.h"
#include "apiserver/peek.h"
#include "apiserver/server.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define LEEWAY_S 60 /* clocks differ, and what is being deleted may still say goodbye: kube-apiserver's */

int tokens_new(const struct token_config *config, struct tokens **ret, struct err *reterr)
{
        struct tokens *t;
        int r;

        *ret = NULL;
        if (!config->signing_file)
                return 0;
        t = mem_new(struct tokens);
        t->issuer = mem_strdup(config->issuer ? config->issuer : "https://kubernetes.default.svc.cluster.local");
        t->public_url = mem_strdup(config->public_url);
        for (size_t i = 0; config->api_audiences && config->api_audiences[i] && i < TOKEN_AUDIENCES_MAX; i++)
                t->audiences[i] = mem_strdup(config->api_audiences[i]);
        if (!t->audiences[0])
                t->audiences[0] = mem_strdup(t->issuer);
        r = jwt_keys_load(config->signing_file, config->verify_files, &t->keys, reterr);
        if (r)
                tokens_free(t);
        else
                *ret = t;
        return r;
}

void tokens_free(struct tokens *t)
{
        if (!t)
                return;
        jwt_keys_free(t->keys);
        for (size_t i = 0; i < TOKEN_AUDIENCES_MAX; i++)
                free(t->audiences[i]);
        free(t->issuer);
        free(t->public_url);
        free(t);
}

/* ---- whether what it is bound to is still there ---- */

static const char *text_at(struct api_request *req, const struct object *o, const char *path)
{
        struct span s = peek_plain_string(peek_path((struct span){o->json->data, o->json->len}, path));

        return s.p ? arena_strndup(req->arena, s.p, s.len) : NULL;
}

/* name and uid of a claim, against the object. */
static int check_bound(struct api_request *req, const char *plural, const char *namespace,
                       const struct json_object *claim, struct err *reterr)
{
        const char *name = json_get_str(claim, "name"), *uid = json_get_str(claim, "uid"), *deleted;
        _cleanup_object_ struct object *o = NULL;
        struct timespec at;

        if (!name || !uid)
                return err_set(reterr, -EACCES, "a claim about %s is not complete", plural);
        o = cache_get(cache_find(req->server->caches, "", plural), namespace, name);
        if (!o)
                return err_set(reterr, -EACCES, "%s \"%s\" not found", plural, name);
        if (!str_eq(text_at(req, o, "metadata.uid"), uid))
                return err_set(reterr, -EACCES, "%s \"%s\" is another one by now (its uid has changed)", plural, name);
        deleted = text_at(req, o, "metadata.deletionTimestamp");
        if (deleted && !clock_parse(deleted, &at) && req->now_us / 1000000 > at.tv_sec + LEEWAY_S)
                return err_set(reterr, -EACCES, "%s \"%s\" has been deleted", plural, name);
        return 0;
}

static int check_objects(struct api_request *req, const struct json_object *k, struct err *reterr)
{
        static const struct {
                const char *claim, *plural;
                bool namespaced;
        } bound[] = {
                {"pod", "pods", true},
                {"secret", "secrets", true},
                {"node", "nodes", false},
        };
        const char *namespace = json_get_str(k, "namespace");
        /* The node of a pod's token only tells where the pod was. */
        bool by_node = !json_get(k, "pod");
        int r;

        r = check_bound(req, "serviceaccounts", namespace, json_get(k, "serviceaccount"), reterr);
        for (size_t i = 0; i < ARRAY_SIZE(bound) && !r; i++)
                if (json_get(k, bound[i].claim) && (bound[i].namespaced || by_node))
                        r = check_bound(req, bound[i].plural, bound[i].namespaced ? namespace : NULL,
                                        json_get(k, bound[i].claim), reterr);
        return r;
}

/* ---- the claims themselves ---- */

static bool has_text(const struct json_object *list, const char *text)
{
        if (json_is_string(list)) /* RFC 7519, 4.1.3: one audience may stand without a list */
                return str_eq(json_object_get_string((struct json_object *)list), text);
        json_array_foreach (list, i, item) {
                if (json_is_string(item) && str_eq(json_object_get_string(item), text))
                        return true;
        }
        return false;
}

static const char *const *common_audiences(struct api_request *req, const struct json_object *claims,
                                           const char *const *wanted)
{
        size_t n = 0, k = 0;
        const char **list;

        while (wanted[n])
                n++;
        list = arena_array(req->arena, const char *, n + 1);
        for (size_t i = 0; i < n; i++)
                if (has_text(json_get(claims, "aud"), wanted[i]))
                        list[k++] = wanted[i];
        list[k] = NULL;
        return list;
}

static int check_claims(struct api_request *req, const struct json_object *claims, struct err *reterr)
{
        int64_t now = req->now_us / 1000000;

        if (!str_eq(json_get_str(claims, "iss"), req->server->tokens->issuer))
                return err_set(reterr, -EACCES, "the token is from another issuer");
        if (now > json_get_i64(claims, "exp", 0) + LEEWAY_S)
                return err_set(reterr, -EACCES, "service account token has expired");
        if (now + LEEWAY_S < json_get_i64(claims, "nbf", 0))
                return err_set(reterr, -EACCES, "service account token is not valid yet");
        return 0;
}

static const char *copy_at(struct api_request *req, const struct json_object *o, const char *path)
{
        const char *s = json_at_str(o, path);

        return s ? arena_strdup(req->arena, s) : NULL;
}

static int fill_user(struct api_request *req, const struct json_object *claims, const struct json_object *k,
                     struct token_user *ret, struct err *reterr)
{
        const char *namespace = copy_at(req, k, "namespace"), *name = copy_at(req, k, "serviceaccount.name");
        const char **groups = arena_array(req->arena, const char *, 4);

        ret->user.name =
                arena_printf(req->arena, "system:serviceaccount:%s:%s", namespace ? namespace : "", name ? name : "");
        if (!namespace || !str_eq(json_get_str(claims, "sub"), ret->user.name))
                return err_set(reterr, -EACCES, "the token's subject is not its service account");
        groups[0] = "system:serviceaccounts";
        groups[1] = arena_printf(req->arena, "system:serviceaccounts:%s", namespace);
        groups[2] = "system:authenticated";
        groups[3] = NULL;
        ret->user.groups = groups;
        ret->user.uid = copy_at(req, k, "serviceaccount.uid");
        ret->pod = copy_at(req, k, "pod.name");
        ret->pod_uid = copy_at(req, k, "pod.uid");
        ret->node = copy_at(req, k, "node.name");
        ret->node_uid = copy_at(req, k, "node.uid");
        ret->id = copy_at(req, claims, "jti");
        return 0;
}

/* The member "kubernetes.io", whose dot json_at would take apart. */
static const struct json_object *private_claims(const struct json_object *claims)
{
        return json_get(claims, "kubernetes.io");
}

int tokens_authenticate(struct api_request *req, const char *token, const char *const *audiences,
                        struct token_user *ret, struct err *reterr)
{
        struct tokens *t = req->server->tokens;
        _cleanup_json_ struct json_object *claims = NULL;
        const struct json_object *k;
        int r;

        *ret = (struct token_user){0};
        if (!t)
                return err_set(reterr, -EACCES, "this server has no key for service account tokens");
        r = jwt_verify(t->keys, token, &claims);
        if (r)
                return err_set(reterr, -EACCES,
                               r == -EKEYREJECTED ? "the token's signature is not ours" : "invalid bearer token");
        r = check_claims(req, claims, reterr);
        if (r)
                return r;
        ret->audiences = common_audiences(req, claims, audiences ? audiences : (const char *const *)t->audiences);
        if (!ret->audiences[0])
                return err_set(reterr, -EACCES, "the token is for other audiences");
        k = private_claims(claims);
        r = fill_user(req, claims, k, ret, reterr);
        return r ? r : check_objects(req, k, reterr);
}
