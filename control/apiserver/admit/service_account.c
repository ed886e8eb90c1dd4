/* SPDX-License-Identifier: Apache-2.0 */
/* A pod runs as a service account: "default" unless said. The account's pull secrets are the pod's when it has none. */
#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/str.h"

#define MIRROR "kubernetes.io/config.mirror"

static int check_mirror_pod(const struct kctx *c, const struct json_object *obj, struct admit_result *ret)
{
        if (*str_of(json_get(obj, "spec"), "serviceAccountName"))
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "a mirror pod may not reference service accounts");
        return 0;
}

ADMIT_PLUGIN(service_account)
{
        _cleanup_json_ struct json_object *account = NULL;
        struct json_object *spec = json_get(obj, "spec"), *secrets;
        const char *name;

        if (!admit_is(c, "", "pods") || verb != ADMIT_CREATE || !spec)
                return 0;
        if (json_has(json_at(obj, "metadata.annotations"), MIRROR))
                return check_mirror_pod(c, obj, ret);
        if (!*str_of(spec, "serviceAccountName"))
                json_set_str(spec, "serviceAccountName", "default");
        name = str_of(spec, "serviceAccountName");
        json_set_str(spec, "serviceAccount", name);
        account = c->reader->get(c->reader->userdata, "", "serviceaccounts", c->namespace, name);
        /* The controllers make every namespace's default account; a pod may be quicker than they are. */
        if (!account && !str_eq(name, "default"))
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "error looking up service account %s/%s: serviceaccount \"%s\" not found",
                                    c->namespace, name, name);
        secrets = json_get(account, "imagePullSecrets");
        if (json_len(secrets) && !json_has(spec, "imagePullSecrets"))
                json_set(spec, "imagePullSecrets", json_copy(secrets));
        return 0;
}
