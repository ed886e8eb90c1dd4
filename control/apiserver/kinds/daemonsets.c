/* SPDX-License-Identifier: Apache-2.0 */
/* DaemonSets, and the ControllerRevisions that they and StatefulSets keep their history in. */
#include <inttypes.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/workload.h"
#include "base/str.h"

/* The generation of the template: a field in old versions of the API, an annotation since. */
#define TEMPLATE_GENERATION "deprecated.daemonset.template.generation"

static void daemonsets_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *strategy, *rolling;

        pod_template_defaults(json_get(spec, "template"));
        strategy = json_ensure(spec, "updateStrategy");
        json_default_str(strategy, "type", "RollingUpdate");
        if (str_eq(str_of(strategy, "type"), "RollingUpdate")) {
                rolling = json_ensure(strategy, "rollingUpdate");
                json_default_i64(rolling, "maxUnavailable", 1);
                json_default_i64(rolling, "maxSurge", 0);
        }
        json_default_i64(spec, "revisionHistoryLimit", 10);
}

static int64_t template_generation(const struct json_object *obj)
{
        const char *text = json_get_str(json_at(obj, "metadata.annotations"), TEMPLATE_GENERATION);
        int64_t n = 0;

        return text && str_parse_i64(text, &n) == 0 ? n : 0;
}

static void set_template_generation(struct json_object *obj, int64_t n)
{
        char text[24];

        snprintf(text, sizeof(text), "%" PRIi64, n);
        json_set_str(json_ensure(json_ensure(obj, "metadata"), "annotations"), TEMPLATE_GENERATION, text);
}

static void daemonsets_prepare_create(const struct kctx *c, struct json_object *obj)
{
        if (template_generation(obj) < 1)
                set_template_generation(obj, 1);
}

static void daemonsets_prepare_update(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        bool changed = !json_equal(json_at(obj, "spec.template"), json_at(old, "spec.template"));

        set_template_generation(obj, template_generation(old) + changed);
}

static void check_rolling(struct ferrs *e, const struct fpath *p, const struct json_object *rolling)
{
        struct json_object *unavailable = json_get(rolling, "maxUnavailable"), *surge = json_get(rolling, "maxSurge");
        struct fpath at_unavailable = fpath_child(p, "maxUnavailable"), at_surge = fpath_child(p, "maxSurge");
        bool has_unavailable = int_or_percent_value(unavailable) != 0, has_surge = int_or_percent_value(surge) != 0;

        check_int_or_percent(e, &at_unavailable, unavailable);
        check_int_or_percent(e, &at_surge, surge);
        check_at_most_100_percent(e, &at_unavailable, unavailable);
        check_at_most_100_percent(e, &at_surge, surge);
        if (has_unavailable && has_surge)
                ferr_invalid(e, &at_surge, surge, "may not be set when maxUnavailable is non-zero");
        else if (!has_unavailable && !has_surge)
                ferr_required(e, &at_unavailable, "cannot be 0 when maxSurge is 0");
}

static void daemonsets_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const types[] = {"RollingUpdate", "OnDelete", NULL};
        struct json_object *spec = json_get(obj, "spec"), *strategy = json_get(spec, "updateStrategy");
        struct fpath p = fpath_child(NULL, "spec"), at = fpath_child(&p, "updateStrategy"),
                     rolling = fpath_child(&at, "rollingUpdate");
        const char *type = str_of(strategy, "type");

        workload_check_selector(e, &p, spec, "daemonset");
        workload_check_template(c, &p, spec, "DaemonSet", e);
        check_non_negative(e, &p, spec, "minReadySeconds");
        if (str_eq(type, "RollingUpdate"))
                check_rolling(e, &rolling, json_get(strategy, "rollingUpdate"));
        else if (!str_eq(type, "OnDelete"))
                ferr_not_supported(e, &at, type, types);
        check_non_negative(e, &p, spec, "revisionHistoryLimit");
}

static void daemonsets_validate_update(const struct kctx *c, const struct json_object *obj,
                                       const struct json_object *old, struct ferrs *e)
{
        workload_selector_immutable(obj, old, e);
}

static void daemonsets_validate_status(const struct kctx *c, const struct json_object *obj,
                                       const struct json_object *old, struct ferrs *e)
{
        static const char *const numbers[] = {"currentNumberScheduled", "numberMisscheduled",
                                              "desiredNumberScheduled", "numberReady",
                                              "observedGeneration",     "updatedNumberScheduled",
                                              "numberAvailable",        "numberUnavailable",
                                              "collisionCount",         NULL};

        workload_check_status(obj, old, numbers, NULL, e);
}

const struct kind_ops kind_daemonsets = {
        .group = "apps",
        .plural = "daemonsets",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .defaults = daemonsets_defaults,
        .prepare_create = daemonsets_prepare_create,
        .prepare_update = daemonsets_prepare_update,
        .validate = daemonsets_validate,
        .validate_update = daemonsets_validate_update,
        .validate_status = daemonsets_validate_status,
};

static void revisions_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct fpath data = fpath_child(NULL, "data");

        if (!json_has(obj, "data"))
                ferr_required(e, &data, "data is mandatory");
        check_non_negative(e, NULL, obj, "revision");
}

static void revisions_validate_update(const struct kctx *c, const struct json_object *obj,
                                      const struct json_object *old, struct ferrs *e)
{
        check_immutable(e, NULL, obj, old, "data");
}

const struct kind_ops kind_controllerrevisions = {
        .group = "apps",
        .plural = "controllerrevisions",
        .validate = revisions_validate,
        .validate_update = revisions_validate_update,
};
