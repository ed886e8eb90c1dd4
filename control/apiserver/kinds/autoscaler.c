/* SPDX-License-Identifier: Apache-2.0 */
/* HorizontalPodAutoscalers; stored as autoscaling/v2. */
#include "apiserver/kinds/autoscaler.h"

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

#define PERIOD_MAX_S 1800
#define WINDOW_MAX_S 3600

static void add_policy(struct json_object *policies, const char *type, int64_t value)
{
        struct json_object *policy = json_object_new_object();

        json_set_str(policy, "type", type);
        json_set_i64(policy, "value", value);
        json_set_i64(policy, "periodSeconds", 15);
        json_object_array_add(policies, policy);
}

static void default_rules(struct json_object *behavior, const char *direction)
{
        struct json_object *rules = json_ensure(behavior, direction), *policies;
        bool up = str_eq(direction, "scaleUp");

        if (up)
                json_default_i64(rules, "stabilizationWindowSeconds", 0);
        json_default_str(rules, "selectPolicy", "Max");
        if (json_has(rules, "policies"))
                return;
        policies = json_object_new_array();
        if (up)
                add_policy(policies, "Pods", 4);
        add_policy(policies, "Percent", 100);
        json_set(rules, "policies", policies);
}

static void default_metrics(struct json_object *spec)
{
        struct json_object *metrics, *metric, *resource, *target;

        if (json_len(json_get(spec, "metrics")))
                return;
        metrics = json_object_new_array();
        metric = json_object_new_object();
        json_set_str(metric, "type", "Resource");
        resource = json_ensure(metric, "resource");
        json_set_str(resource, "name", "cpu");
        target = json_ensure(resource, "target");
        json_set_str(target, "type", "Utilization");
        json_set_i64(target, "averageUtilization", 80);
        json_object_array_add(metrics, metric);
        json_set(spec, "metrics", metrics);
}

void autoscaler_defaults_v2(struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *behavior;

        json_default_i64(spec, "minReplicas", 1);
        default_metrics(spec);
        behavior = json_get(spec, "behavior");
        if (!behavior)
                return;
        default_rules(behavior, "scaleUp");
        default_rules(behavior, "scaleDown");
}

static void defaults(const struct kctx *c, struct json_object *obj)
{
        if (str_eq(str_of(obj, "apiVersion"), "autoscaling/v1"))
                json_default_i64(json_ensure(obj, "spec"), "minReplicas", 1);
        else
                autoscaler_defaults_v2(obj);
}

static void check_reference(const struct json_object *ref, const struct fpath *p, struct ferrs *e)
{
        check_name_required(e, p, ref, "kind", NAME_PATH_SEGMENT);
        check_name_required(e, p, ref, "name", NAME_PATH_SEGMENT);
}

static bool is_positive(const struct json_object *quantity)
{
        const char *s = json_is_string(quantity) ? json_object_get_string((struct json_object *)quantity) : "";

        /* Canonical text: a number that is not zero starts with a digit from 1 on. */
        return *s >= '1' && *s <= '9';
}

static void check_target(const struct json_object *target, const struct fpath *p, struct ferrs *e)
{
        static const char *const types[] = {"Utilization", "Value", "AverageValue", NULL};
        const struct json_object *value = json_get(target, "value"), *average = json_get(target, "averageValue");
        int64_t utilization = json_get_i64(target, "averageUtilization", 1);
        const char *type = str_of(target, "type");

        if (!*type)
                ferr_required(e, FP(p, "type"), "must specify a metric target type");
        if (!one_of(type, types))
                ferr_invalid_str(e, FP(p, "type"), type, "must be either Utilization, Value, or AverageValue");
        if (value && !is_positive(value))
                ferr_invalid(e, FP(p, "value"), value, "must be positive");
        if (average && !is_positive(average))
                ferr_invalid(e, FP(p, "averageValue"), average, "must be positive");
        if (utilization < 1)
                ferr_invalid_i64(e, FP(p, "averageUtilization"), utilization, "must be greater than 0");
}

static void check_metric_name(const struct json_object *metric, const struct fpath *p, struct ferrs *e)
{
        const char *name = str_of(metric, "name");

        if (*name)
                check_name(e, FP(p, "name"), NAME_PATH_SEGMENT, name);
        else
                ferr_required(e, FP(p, "name"), "must specify a metric name");
        check_label_selector(e, FP(p, "selector"), json_get(metric, "selector"));
}

static void check_object(const struct json_object *src, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *target = json_get(src, "target");

        check_reference(json_get(src, "describedObject"), FP(p, "describedObject"), e);
        check_metric_name(json_get(src, "metric"), FP(p, "metric"), e);
        check_target(target, FP(p, "target"), e);
        if (!json_has(target, "value") && !json_has(target, "averageValue"))
                ferr_required(e, FP(FP(p, "target"), "averageValue"), "must set either a target value or averageValue");
}

static void check_external(const struct json_object *src, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *target = json_get(src, "target");
        bool value = json_has(target, "value"), average = json_has(target, "averageValue");

        check_metric_name(json_get(src, "metric"), FP(p, "metric"), e);
        check_target(target, FP(p, "target"), e);
        if (!value && !average)
                ferr_required(e, FP(FP(p, "target"), "averageValue"),
                              "must set either a target value for metric or a per-pod target");
        if (value && average)
                ferr_forbidden(e, FP(FP(p, "target"), "value"),
                               "may not set both a target value for metric and a per-pod target");
}

static void check_pods(const struct json_object *src, const struct fpath *p, struct ferrs *e)
{
        check_metric_name(json_get(src, "metric"), FP(p, "metric"), e);
        check_target(json_get(src, "target"), FP(p, "target"), e);
        if (!json_has(json_get(src, "target"), "averageValue"))
                ferr_required(e, FP(FP(p, "target"), "averageValue"), "must specify a positive target averageValue");
}

static void check_resource(const struct json_object *src, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *target = json_get(src, "target");
        bool utilization = json_has(target, "averageUtilization"), average = json_has(target, "averageValue");

        if (str_empty(str_of(src, "name")))
                ferr_required(e, FP(p, "name"), "must specify a resource name");
        check_target(target, FP(p, "target"), e);
        if (!utilization && !average)
                ferr_required(e, FP(FP(p, "target"), "averageUtilization"),
                              "must set either a target raw value or a target utilization");
        if (utilization && average)
                ferr_forbidden(e, FP(FP(p, "target"), "averageValue"),
                               "may not set both a target raw value and a target utilization");
}

static void check_container_resource(const struct json_object *src, const struct fpath *p, struct ferrs *e)
{
        const char *container = str_of(src, "container");

        if (*container)
                check_name(e, FP(p, "container"), NAME_DNS1123_LABEL, container);
        else
                ferr_required(e, FP(p, "container"), "must specify a container");
        check_resource(src, p, e);
}

static const struct {
        const char *type, *field;
        void (*check)(const struct json_object *src, const struct fpath *p, struct ferrs *e);
} sources[] = {
        {"Object", "object", check_object},
        {"External", "external", check_external},
        {"Pods", "pods", check_pods},
        {"Resource", "resource", check_resource},
        {"ContainerResource", "containerResource", check_container_resource},
};

static void check_metric(const struct json_object *metric, const struct fpath *p, struct ferrs *e)
{
        static const char *const types[] = {"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
        const char *type = str_of(metric, "type");
        size_t present = 0;

        if (!*type)
                ferr_required(e, FP(p, "type"), "must specify a metric source type");
        if (!one_of(type, types))
                ferr_not_supported(e, FP(p, "type"), type, types);
        for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
                const struct json_object *src = json_get(metric, sources[i].field);

                if (src && present++ == 0)
                        sources[i].check(src, FP(p, sources[i].field), e);
        }
        for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
                bool there = json_has(metric, sources[i].field), wanted = str_eq(type, sources[i].type);

                if (wanted && !there)
                        ferr_required(e, FP(p, sources[i].field),
                                      "must populate information for the given metric source");
                if (there && !wanted && present != 1)
                        ferr_forbidden(e, FP(p, sources[i].field), "must populate the given metric source only");
        }
}

static void check_scaling_policy(const struct json_object *policy, const struct fpath *p, struct ferrs *e)
{
        static const char *const types[] = {"Percent", "Pods", NULL};
        int64_t value = json_get_i64(policy, "value", 0), period = json_get_i64(policy, "periodSeconds", 0);

        if (!one_of(str_of(policy, "type"), types))
                ferr_not_supported(e, FP(p, "type"), str_of(policy, "type"), types);
        if (value <= 0)
                ferr_invalid_i64(e, FP(p, "value"), value, "must be greater than zero");
        if (period <= 0)
                ferr_invalid_i64(e, FP(p, "periodSeconds"), period, "must be greater than zero");
        if (period > PERIOD_MAX_S)
                ferr_invalid_i64(e, FP(p, "periodSeconds"), period, "must be less than or equal to %d", PERIOD_MAX_S);
}

static void check_scaling_rules(const struct json_object *rules, const struct fpath *p, struct ferrs *e)
{
        static const char *const selects[] = {"Disabled", "Max", "Min", NULL};
        const struct json_object *policies = json_get(rules, "policies");
        int64_t window = json_get_i64(rules, "stabilizationWindowSeconds", 0);

        if (!rules)
                return;
        if (window < 0)
                ferr_invalid_i64(e, FP(p, "stabilizationWindowSeconds"), window,
                                 "must be greater than or equal to zero");
        if (window > WINDOW_MAX_S)
                ferr_invalid_i64(e, FP(p, "stabilizationWindowSeconds"), window, "must be less than or equal to %d",
                                 WINDOW_MAX_S);
        check_one_of(e, p, rules, "selectPolicy", selects, false);
        if (!json_len(policies))
                ferr_required(e, FP(p, "policies"), "must specify at least one Policy");
        json_array_foreach (policies, i, policy)
                check_scaling_policy(policy, FPI(FP(p, "policies"), i), e);
}

static void check_replicas(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        int64_t min = json_get_i64(spec, "minReplicas", 1), max = json_get_i64(spec, "maxReplicas", 0);

        if (min < 1)
                ferr_invalid_i64(e, FP(p, "minReplicas"), min, "must be greater than or equal to 1");
        if (max < 1)
                ferr_invalid_i64(e, FP(p, "maxReplicas"), max, "must be greater than 0");
        if (json_has(spec, "minReplicas") && max < min)
                ferr_invalid_i64(e, FP(p, "maxReplicas"), max, "must be greater than or equal to `minReplicas`");
}

static void validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec"), *behavior = json_get(spec, "behavior");
        const struct fpath *p = FP(NULL, "spec"), *b = FP(p, "behavior");

        check_replicas(spec, p, e);
        check_reference(json_get(spec, "scaleTargetRef"), FP(p, "scaleTargetRef"), e);
        json_array_foreach (json_get(spec, "metrics"), i, metric)
                check_metric(metric, FPI(FP(p, "metrics"), i), e);
        check_scaling_rules(json_get(behavior, "scaleUp"), FP(b, "scaleUp"), e);
        check_scaling_rules(json_get(behavior, "scaleDown"), FP(b, "scaleDown"), e);
}

static void validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                            struct ferrs *e)
{
        static const char *const numbers[] = {"currentReplicas", "desiredReplicas", NULL};

        check_non_negatives(e, FP(NULL, "status"), json_get(obj, "status"), numbers);
}

const struct kind_ops kind_horizontalpodautoscalers = {
        .group = "autoscaling",
        .plural = "horizontalpodautoscalers",
        .flags = KIND_STATUS_RESET,
        .defaults = defaults,
        .validate = validate,
        .validate_status = validate_status,
};

const struct kind_conversion kind_conversion_autoscaler_v1 = {
        .group = "autoscaling",
        .version = "v1",
        .plural = "horizontalpodautoscalers",
        .stored_group = "autoscaling",
        .stored_version = "v2",
        .to_storage = autoscaler_to_v2,
        .from_storage = autoscaler_to_v1,
};
