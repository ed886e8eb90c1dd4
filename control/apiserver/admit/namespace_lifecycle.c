/* SPDX-License-Identifier: Apache-2.0 */
/* Objects are made only in namespaces that are there and not going away; the system's own namespaces stay. */
#include "apiserver/admit/admit.h"
#include "base/str.h"

static bool is_immortal(const char *name)
{
        return str_eq(name, "default") || str_eq(name, "kube-system") || str_eq(name, "kube-public");
}

static int check_delete(const struct kctx *c, const struct json_object *old, struct admit_result *ret)
{
        const char *name = json_at_str(old, "metadata.name");

        if (!str_eq(c->resource->plural, "namespaces") || *c->resource->group || !name || !is_immortal(name))
                return 0;
        return admit_forbid(c, ret, name, "this namespace may not be deleted");
}

int admit_namespace_lifecycle(const struct kctx *c, enum admit_verb verb, struct json_object *obj,
                              const struct json_object *old, struct admit_result *ret)
{
        if (verb == ADMIT_DELETE)
                return check_delete(c, old, ret);
        if (verb != ADMIT_CREATE || !c->namespace)
                return 0;
        switch (c->reader->namespace_state(c->reader->userdata, c->namespace)) {
        case NAMESPACE_MISSING:
                ret->code = 404;
                ret->message = arena_printf(c->arena, "namespaces \"%s\" not found", c->namespace);
                return 1;
        case NAMESPACE_TERMINATING:
                ret->cause_reason = "NamespaceTerminating"; /* controllers stop trying when they see it */
                ret->cause_message = arena_printf(c->arena, "namespace %s is being terminated", c->namespace);
                ret->cause_field = "metadata.namespace";
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "unable to create new content in namespace %s because it is being terminated",
                                    c->namespace);
        default:
                return 0;
        }
}
