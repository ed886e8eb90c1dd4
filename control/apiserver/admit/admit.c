/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/str.h"

/* In the order of Kubernetes' own plugins. */
static const struct {
        const char *name;
        admit_fn fn;
} chain[] = {
        {"NamespaceLifecycle", admit_namespace_lifecycle},
        {"LimitRanger", admit_limit_ranger},
        {"ServiceAccount", admit_service_account},
        {"TaintNodesByCondition", admit_node_taint},
        {"Priority", admit_priority},
        {"DefaultTolerationSeconds", admit_toleration_seconds},
        {"DefaultStorageClass", admit_storage_class},
        {"RuntimeClass", admit_runtime_class},
        {"DefaultIngressClass", admit_ingress_class},
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

bool admit_is(const struct kctx *c, const char *group, const char *plural)
{
        return !c->subresource && str_eq(c->resource->group, group) && str_eq(c->resource->plural, plural);
}

struct default_search {
        const char *annotation;
        struct json_object *best;
};

static int consider(void *arg, struct json_object *obj)
{
        struct default_search *s = arg;
        const char *is = json_get_str(json_at(obj, "metadata.annotations"), s->annotation),
                   *since = str_of(json_get(obj, "metadata"), "creationTimestamp"),
                   *best = str_of(json_get(s->best, "metadata"), "creationTimestamp");
        int order = strcmp(since, best);

        if (!str_eq(is, "true"))
                return 0;
        if (s->best && (order < 0 || (order == 0 && strcmp(str_of(json_get(obj, "metadata"), "name"),
                                                           str_of(json_get(s->best, "metadata"), "name")) > 0)))
                return 0;
        json_object_put(s->best);
        s->best = json_object_get(obj);
        return 0;
}

struct json_object *admit_find_default(const struct kctx *c, const char *group, const char *plural,
                                       const char *annotation)
{
        struct default_search s = {.annotation = annotation};

        c->reader->each(c->reader->userdata, group, plural, NULL, consider, &s);
        return s.best;
}
