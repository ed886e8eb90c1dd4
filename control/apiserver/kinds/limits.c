/* SPDX-License-Identifier: Apache-2.0 */
/* LimitRanges. */
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/pod_check.h"
#include "base/str.h"
#include "kube/quantity.h"

static void copy_absent(struct json_object *to, const struct json_object *from)
{
        json_foreach (from, key, val) {
                if (!json_has(to, key))
                        json_set(to, key, json_object_get(val));
        }
}

/* A container's default limit is the maximum, its default request the default limit or else the minimum. */
static void limitranges_defaults(const struct kctx *c, struct json_object *obj)
{
        json_array_foreach (json_at(obj, "spec.limits"), i, limit) {
                struct json_object *def, *request;

                if (!str_eq(str_of(limit, "type"), "Container"))
                        continue;
                def = json_ensure(limit, "default");
                copy_absent(def, json_get(limit, "max"));
                request = json_ensure(limit, "defaultRequest");
                copy_absent(request, def);
                copy_absent(request, json_get(limit, "min"));
                if (!json_object_object_length(def))
                        json_del(limit, "default");
                if (!json_object_object_length(request))
                        json_del(limit, "defaultRequest");
        }
}

static void check_type(struct ferrs *e, const struct fpath *p, const char *type)
{
        static const char *const standard[] = {"Pod", "Container", "PersistentVolumeClaim", NULL};
        size_t before = e->n;

        check_name(e, p, NAME_LABEL_KEY, type);
        if (e->n == before && !strchr(type, '/') && !one_of(type, standard))
                ferr_invalid_str(e, p, type, "must be a standard limit type or fully qualified");
}

/* a must not be above b, when both are there. */
struct limit_order {
        const char *a, *b;
        const char *list; /* whose entry is told */
        const char *a_word, *b_word;
};

static const struct limit_order orders[] = {
        {"min", "max", "min", "min", "max"},
        {"min", "defaultRequest", "defaultRequest", "min", "default request"},
        {"defaultRequest", "max", "defaultRequest", "default request", "max"},
        {"defaultRequest", "default", "defaultRequest", "default request", "default limit"},
        {"min", "default", "default", "min", "default"},
        {"default", "max", "default", "default", "max"},
};

static void check_orders(struct ferrs *e, const struct fpath *p, const struct json_object *limit, const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
                const struct limit_order *o = &orders[i];
                const char *a = json_get_str(json_get(limit, o->a), name),
                           *b = json_get_str(json_get(limit, o->b), name);
                struct fpath list = fpath_child(p, o->list), at = fpath_key(&list, name);

                if (a && b && quantity_text_cmp(a, b) > 0)
                        ferr_invalid_str(e, &at, json_get_str(json_get(limit, o->list), name),
                                         "%s value %s is greater than %s value %s", o->a_word, a, o->b_word, b);
        }
}

static void check_ratio(struct ferrs *e, const struct fpath *p, const struct json_object *limit, const char *name)
{
        const char *ratio = json_get_str(json_get(limit, "maxLimitRequestRatio"), name),
                   *min = json_get_str(json_get(limit, "min"), name), *max = json_get_str(json_get(limit, "max"), name);
        struct fpath list = fpath_child(p, "maxLimitRequestRatio"), at = fpath_key(&list, name);
        struct quantity r, low, high;
        double most;

        if (!ratio)
                return;
        if (quantity_text_cmp(ratio, "1") < 0)
                ferr_invalid_str(e, &at, ratio, "ratio %s is less than 1", ratio);
        if (!min || !max || quantity_parse(ratio, &r, NULL) || quantity_parse(min, &low, NULL) ||
            quantity_parse(max, &high, NULL) || !low.nano)
                return;
        most = (double)high.nano / (double)low.nano;
        if ((double)r.nano / 1e9 > most)
                ferr_invalid_str(e, &at, ratio, "ratio %s is greater than max/min = %f", ratio, most);
}

static void check_limit(struct ferrs *e, const struct fpath *p, const struct json_object *limit)
{
        static const char *const lists[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio", NULL};
        _cleanup_names_ struct name_set names = NAME_SET_NULL;
        const char *type = str_of(limit, "type");
        bool of_container = str_eq(type, "Pod") || str_eq(type, "Container");

        for (const char *const *list = lists; *list; list++) {
                struct fpath at_list = fpath_child(p, *list);
                struct json_object *entries = json_get(limit, *list);

                if (str_eq(type, "Pod") && str_has_prefix(*list, "default")) {
                        if (entries)
                                ferr_forbidden(e, &at_list, "may not be specified when `type` is 'Pod'");
                        continue;
                }
                json_foreach (entries, name, val) {
                        struct fpath at = fpath_key(&at_list, name);

                        check_resource_name(e, &at, name, of_container ? RESOURCE_OF_CONTAINER : RESOURCE_ANYWHERE);
                        if (!name_set_add(&names, name))
                                continue;
                        check_orders(e, p, limit, name);
                        check_ratio(e, p, limit, name);
                }
        }
}

static void limitranges_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        _cleanup_names_ struct name_set types = NAME_SET_NULL;
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "limits");

        json_array_foreach (json_at(obj, "spec.limits"), i, limit) {
                struct fpath at = fpath_index(&p, i), at_type = fpath_child(&at, "type"),
                             limits = fpath_child(&at, "limits");
                const char *type = str_of(limit, "type");

                check_type(e, &at_type, type);
                if (!name_set_add(&types, type))
                        ferr_duplicate_str(e, &at_type, type);
                check_limit(e, &at, limit);
                if (str_eq(type, "PersistentVolumeClaim") && !json_at(limit, "min.storage") &&
                    !json_at(limit, "max.storage"))
                        ferr_required(e, &limits,
                                      "either minimum or maximum storage value is required, but neither was provided");
        }
}

const struct kind_ops kind_limitranges = {
        .group = "",
        .plural = "limitranges",
        .defaults = limitranges_defaults,
        .validate = limitranges_validate,
};
