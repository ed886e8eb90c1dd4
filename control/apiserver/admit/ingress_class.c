/* SPDX-License-Identifier: Apache-2.0 */
/* DefaultIngressClass: an Ingress that names no class gets the default one. */
#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"

ADMIT_PLUGIN(ingress_class)
{
        _cleanup_json_ struct json_object *class = NULL;

        if (!admit_is(c, "networking.k8s.io", "ingresses") || verb != ADMIT_CREATE ||
            json_at(obj, "spec.ingressClassName") ||
            json_has(json_at(obj, "metadata.annotations"), "kubernetes.io/ingress.class"))
                return 0;
        class = admit_find_default(c, "networking.k8s.io", "ingressclasses",
                                   "ingressclass.kubernetes.io/is-default-class");
        if (class)
                json_set_str(json_ensure(obj, "spec"), "ingressClassName", json_at_str(class, "metadata.name"));
        return 0;
}
