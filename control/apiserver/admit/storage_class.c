/* SPDX-License-Identifier: Apache-2.0 */
/* DefaultStorageClass: a claim that names no class gets the default one ("" is a name: no class at all). */
#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"

ADMIT_PLUGIN(storage_class)
{
        _cleanup_json_ struct json_object *class = NULL;
        struct json_object *spec = json_get(obj, "spec");

        if (!admit_is(c, "", "persistentvolumeclaims") || verb != ADMIT_CREATE || !spec ||
            json_has(spec, "storageClassName") ||
            json_has(json_at(obj, "metadata.annotations"), "volume.beta.kubernetes.io/storage-class"))
                return 0;
        class = admit_find_default(c, "storage.k8s.io", "storageclasses",
                                   "storageclass.kubernetes.io/is-default-class");
        if (class)
                json_set_str(spec, "storageClassName", json_at_str(class, "metadata.name"));
        return 0;
}
