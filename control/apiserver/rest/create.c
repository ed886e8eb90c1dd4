/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/peek.h"
#include "apiserver/rest/body.h"
#include "apiserver/rest/create.h"
#include "apiserver/rest/rest.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/random.h"
#include "base/str.h"

#define GENERATED_NAME_MAX   63
#define GENERATED_SUFFIX     5
#define GENERATED_NAME_TRIES 8

/* The letters of Kubernetes' generated names: no vowels and none that look alike. */
static const char *generate_name(struct arena *a, const char *base)
{
        static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
        size_t len = MIN(strlen(base), (size_t)(GENERATED_NAME_MAX - GENERATED_SUFFIX));
        char suffix[GENERATED_SUFFIX + 1];

        for (size_t i = 0; i < GENERATED_SUFFIX; i++)
                suffix[i] = letters[random_below(sizeof(letters) - 1)];
        suffix[GENERATED_SUFFIX] = '\0';
        return arena_printf(a, "%.*s%s", (int)len, base, suffix);
}

static int name_it(struct api_request *req, struct json_object *obj, bool *ret_generated)
{
        struct json_object *meta = json_ensure(obj, "metadata");
        const char *name = json_get_str(meta, "name"), *base = json_get_str(meta, "generateName");
        struct fpath m = fpath_child(NULL, "metadata"), p = fpath_child(&m, "name");
        struct ferrs errs = FERRS(req->arena);

        *ret_generated = false;
        if (name && *name)
                return 0;
        if (base && *base) {
                *ret_generated = true;
                json_set_str(meta, "name", generate_name(req->arena, base));
                return 0;
        }
        ferr_required(&errs, &p, "name or generateName is required");
        return api_fail_invalid(req, "", &errs);
}

/* One try with the name that obj has. Takes over obj. */
static int create_named(struct api_request *req, struct json_object *obj, bool applied, struct blob **ret)
{
        const char *name = arena_strdup(req->arena, json_at_str(obj, "metadata.name"));
        struct write w;
        int r;

        write_open(&w, req, req->resource->namespaced ? req->namespace : NULL, name);
        w.manager = api_field_manager(req);
        w.applied = applied;
        write_set(&w, obj);
        r = write_check_create(&w);
        if (!r) {
                w.old = cache_get(w.cache, w.namespace, name);
                r = w.old ? WRITE_RETRY : write_commit(&w);
        }
        if (!r)
                *ret = blob_ref(w.result);
        write_close(&w);
        return r;
}

/* Somebody has the name; it may be one who is going (registry/generic/registry: Store.Create). */
static int name_taken(struct api_request *req, const struct json_object *obj, bool generated)
{
        const char *name = json_at_str(obj, "metadata.name");
        struct cache *c = cache_of(req->server->caches, req->resource);
        _cleanup_object_ struct object *o = cache_get(c, req->resource->namespaced ? req->namespace : NULL, name);
        struct span json = o ? (struct span){o->json->data, o->json->len} : SPAN_NULL;

        if (generated)
                return api_fail_exists(req, name, ", the server was not able to generate a unique name for the object");
        if (peek_path(json, "metadata.deletionTimestamp").p)
                return api_fail_exists_deleting(req, name);
        return api_fail_exists(req, name, "");
}

int create_object(struct api_request *req, struct json_object *obj, bool applied, struct blob **ret)
{
        _cleanup_json_ struct json_object *mine = obj;
        const char *rv = json_at_str(mine, "metadata.resourceVersion");
        bool generated;
        int r;

        if (rv && *rv && !str_eq(rv, "0"))
                return api_fail(req, 400, "resourceVersion should not be set on objects to be created");
        for (unsigned i = 0; i < GENERATED_NAME_TRIES; i++) {
                r = name_it(req, mine, &generated);
                if (r)
                        return r;
                r = create_named(req, generated ? json_copy(mine) : json_object_get(mine), applied, ret);
                if (r != WRITE_RETRY || !generated || i + 1 == GENERATED_NAME_TRIES)
                        break;
                json_del(json_get(mine, "metadata"), "name");
        }
        return r == WRITE_RETRY ? name_taken(req, mine, generated) : r;
}

int rest_create(struct api_request *req)
{
        _cleanup_json_ struct json_object *obj = NULL;
        _cleanup_blob_ struct blob *result = NULL;
        int r;

        r = body_of_resource(req, &obj);
        if (!r)
                r = body_check_scope(req, obj);
        if (!r)
                r = create_object(req, TAKE_PTR(obj), false, &result);
        return r ? r : rest_answer_object(req, 201, result);
}
