/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's RuntimeClass must exist; its overhead, node selector and tolerations become the pod's. */
#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/str.h"

static int set_overhead(const struct kctx *c, struct json_object *obj, const struct json_object *class,
                        struct admit_result *ret)
{
        struct json_object *spec = json_get(obj, "spec"), *fixed = json_at(class, "overhead.podFixed"),
                           *own = json_get(spec, "overhead");

        if (own && !fixed)
                return admit_forbid(
                        c, ret, json_at_str(obj, "metadata.name"),
                        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
        if (own && !json_equal(own, fixed))
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
        if (fixed && !own)
                json_set(spec, "overhead", json_copy(fixed));
        return 0;
}

static int set_scheduling(const struct kctx *c, struct json_object *obj, const struct json_object *class,
                          struct admit_result *ret)
{
        struct json_object *spec = json_get(obj, "spec"), *list = json_get(spec, "tolerations");

        json_foreach (json_at(class, "scheduling.nodeSelector"), key, val) {
                struct json_object *selector = json_ensure(spec, "nodeSelector");
                const char *own = json_get_str(selector, key), *theirs = json_object_get_string(val);

                if (own && !str_eq(own, theirs))
                        return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                            "conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; "
                                            "pod.spec.nodeSelector[%s] = %s",
                                            key, theirs, key, own);
                json_set(selector, key, json_object_get(val));
        }
        json_array_foreach (json_at(class, "scheduling.tolerations"), i, t) {
                if (!list)
                        json_set(spec, "tolerations", list = json_object_new_array());
                json_object_array_add(list, json_copy(t));
        }
        return 0;
}

ADMIT_PLUGIN(runtime_class)
{
        _cleanup_json_ struct json_object *class = NULL;
        const char *name = json_at_str(obj, "spec.runtimeClassName");
        int r;

        if (!admit_is(c, "", "pods") || verb != ADMIT_CREATE || (str_empty(name) && !json_at(obj, "spec.overhead")))
                return 0;
        if (!str_empty(name)) {
                class = c->reader->get(c->reader->userdata, "node.k8s.io", "runtimeclasses", NULL, name);
                if (!class)
                        return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                            "pod rejected: RuntimeClass \"%s\" not found", name);
        }
        r = set_overhead(c, obj, class, ret);
        return r ? r : set_scheduling(c, obj, class, ret);
}
