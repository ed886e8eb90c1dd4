/* SPDX-License-Identifier: Apache-2.0 */
/* How others verify our tokens: OpenID Connect Discovery 1.0, as far as Kubernetes has it. */
#include "apiserver/account/internal.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/str.h"

#define CONFIGURATION "/.well-known/openid-configuration"
#define KEYS          "/openid/v1/jwks"

static bool is(const char *path, const char *want)
{
        const char *rest = str_after(path, want);

        return rest && (!*rest || str_eq(rest, "/"));
}

bool tokens_handles(const char *path)
{
        return is(path, CONFIGURATION) || is(path, KEYS);
}

static struct json_object *list_of(const char *word)
{
        struct json_object *list = json_object_new_array();

        json_object_array_add(list, json_object_new_string(word));
        return list;
}

static struct json_object *configuration(struct api_request *req, const struct json_object *keys)
{
        const struct tokens *t = req->server->tokens;
        struct json_object *o = json_object_new_object();

        json_set_str(o, "issuer", t->issuer);
        json_set_str(o, "jwks_uri", arena_printf(req->arena, "%s" KEYS, t->public_url ? t->public_url : t->issuer));
        json_set(o, "response_types_supported", list_of("id_token"));
        json_set(o, "subject_types_supported", list_of("public"));
        json_set(o, "id_token_signing_alg_values_supported",
                 list_of(json_get_str(json_idx(json_get(keys, "keys"), 0), "alg")));
        return o;
}

int tokens_discovery(struct api_request *req)
{
        _cleanup_json_ struct json_object *keys = NULL, *o = NULL;
        bool jwks = is(req->http->path, KEYS);
        struct strbuf b = STRBUF_NULL;

        if (!req->server->tokens)
                return api_fail_no_resource(req);
        keys = jwt_keys_public(req->server->tokens->keys);
        o = jwks ? json_object_get(keys) : configuration(req, keys);
        json_write(&b, o);
        return api_answer_buffer(req, 200, jwks ? "application/jwk-set+json" : "application/json", &b);
}
