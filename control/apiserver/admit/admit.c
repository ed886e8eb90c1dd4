/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "apiserver/admit/admit.h"

static const struct {
        const char *name;
        admit_fn fn;
} chain[] = {
        {"NamespaceLifecycle", admit_namespace_lifecycle},
};

int admit_mutate(const struct kctx *c, enum admit_verb verb, struct json_object *obj, const struct json_object *old,
                 struct admit_result *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(chain); i++) {
                int r = chain[i].fn(c, verb, obj, old, ret);

                if (r)
                        return r;
        }
        return 0;
}

int admit_forbid(const struct kctx *c, struct admit_result *ret, const char *name, const char *fmt, ...)
{
        const char *group = c->resource->group, *why;
        va_list ap;

        va_start(ap, fmt);
        why = arena_vprintf(c->arena, fmt, ap);
        va_end(ap);
        ret->code = 403;
        ret->message = arena_printf(c->arena, "%s%s%s%s%s%s is forbidden: %s", c->resource->plural, *group ? "." : "",
                                    group, name ? " \"" : "", name ? name : "", name ? "\"" : "", why);
        return 1;
}
