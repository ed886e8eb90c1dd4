/* SPDX-License-Identifier: Apache-2.0 */
/* TaintNodesByCondition: a new node is not ready until its kubelet says so. */
#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/str.h"

#define NOT_READY "node.kubernetes.io/not-ready"

ADMIT_PLUGIN(node_taint)
{
        struct json_object *spec, *taints, *taint;

        if (!admit_is(c, "", "nodes") || verb != ADMIT_CREATE)
                return 0;
        spec = json_ensure(obj, "spec");
        taints = json_get(spec, "taints");
        if (!taints)
                json_set(spec, "taints", taints = json_object_new_array());
        json_array_foreach (taints, i, t) {
                if (str_eq(str_of(t, "key"), NOT_READY) && str_eq(str_of(t, "effect"), "NoSchedule"))
                        return 0;
        }
        taint = json_object_new_object();
        json_set_str(taint, "key", NOT_READY);
        json_set_str(taint, "effect", "NoSchedule");
        json_object_array_add(taints, taint);
        return 0;
}
