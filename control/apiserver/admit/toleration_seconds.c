/* SPDX-License-Identifier: Apache-2.0 */
/* DefaultTolerationSeconds: a pod stays for five minutes on a node that is not ready or cannot be reached. */
#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/str.h"

#define SECONDS 300

static const char *const conditions[] = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", NULL};

static bool tolerates(const struct json_object *tolerations, const char *key)
{
        json_array_foreach (tolerations, i, t) {
                const char *k = str_of(t, "key"), *effect = str_of(t, "effect");

                if ((!*k || str_eq(k, key)) && (!*effect || str_eq(effect, "NoExecute")))
                        return true;
        }
        return false;
}

ADMIT_PLUGIN(toleration_seconds)
{
        struct json_object *spec = json_get(obj, "spec"), *list, *t;

        if (!admit_is(c, "", "pods") || verb == ADMIT_DELETE || !spec)
                return 0;
        for (const char *const *key = conditions; *key; key++) {
                list = json_get(spec, "tolerations");
                if (tolerates(list, *key))
                        continue;
                if (!list)
                        json_set(spec, "tolerations", list = json_object_new_array());
                t = json_object_new_object();
                json_set_str(t, "key", *key);
                json_set_str(t, "operator", "Exists");
                json_set_str(t, "effect", "NoExecute");
                json_set_i64(t, "tolerationSeconds", SECONDS);
                json_object_array_add(list, t);
        }
        return 0;
}
