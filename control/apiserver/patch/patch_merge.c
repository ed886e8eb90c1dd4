/* SPDX-License-Identifier: Apache-2.0 */
/* Merge patch, RFC 7386. */
#include <errno.h>

#include "apiserver/patch/patch.h"

/* Puts patch's members into target (an object of ours); RFC 7386 section 2. */
static void merge_into(struct json_object *target, const struct json_object *patch);

/* What a patch value becomes where there is no object to merge with: nulls in it remove nothing and vanish. */
static struct json_object *without_nulls(const struct json_object *patch)
{
        struct json_object *o;

        if (!json_is_object(patch))
                return json_copy(patch);
        o = json_object_new_object();
        merge_into(o, patch);
        return o;
}

static void merge_into(struct json_object *target, const struct json_object *patch)
{
        json_foreach (patch, key, val) {
                struct json_object *cur = json_get(target, key);

                if (!val)
                        json_del(target, key);
                else if (json_is_object(val) && json_is_object(cur))
                        merge_into(cur, val);
                else
                        json_set(target, key, without_nulls(val));
        }
}

int patch_merge_apply(const struct json_object *doc, const struct json_object *patch, struct json_object **ret,
                      struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;

        if (!json_is_object(patch))
                return err_set(reterr, PATCH_BAD_REQUEST, "error decoding patch: a merge patch must be a JSON object");
        o = json_is_object(doc) ? json_copy(doc) : json_object_new_object();
        if (!o)
                return -ENOMEM;
        merge_into(o, patch);
        *ret = TAKE_PTR(o);
        return 0;
}
