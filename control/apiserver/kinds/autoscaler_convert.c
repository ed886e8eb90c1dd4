/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autoscaling/v1 knows one metric, the utilization of CPU. Whatever else an autoscaler has travels in annotations of
 * the v1 object, in the form that kube-apiserver writes there: metrics and conditions as v1 structs, behavior with the
 * field names of Go's internal struct.
 */
#include <string.h>

#include "apiserver/kinds/autoscaler.h"
#include "base/str.h"

#define PREFIX             "autoscaling.alpha.kubernetes.io/"
#define METRICS            PREFIX "metrics"
#define BEHAVIOR           PREFIX "behavior"
#define CONDITIONS         PREFIX "conditions"
#define CURRENT_METRICS    PREFIX "current-metrics"
#define TARGET_UTILIZATION "targetAverageUtilization"
#define TARGET_AVERAGE     "targetAverageValue"

/* A value of the v1 struct and its place in the v2 one. */
struct pair {
        const char *v1, *v2; /* v2 is a dotted path */
};

struct shape {
        const char *field; /* "resource" */
        struct pair pairs[6];
};

static const struct shape specs[] = {
        {"object",
         {{"target", "describedObject"},
          {"metricName", "metric.name"},
          {"selector", "metric.selector"},
          {"targetValue", "target.value"},
          {"averageValue", "target.averageValue"}}},
        {"pods",
         {{"metricName", "metric.name"}, {"selector", "metric.selector"}, {TARGET_AVERAGE, "target.averageValue"}}},
        {"resource",
         {{"name", "name"},
          {TARGET_UTILIZATION, "target.averageUtilization"},
          {TARGET_AVERAGE, "target.averageValue"}}},
        {"containerResource",
         {{"name", "name"},
          {"container", "container"},
          {TARGET_UTILIZATION, "target.averageUtilization"},
          {TARGET_AVERAGE, "target.averageValue"}}},
        {"external",
         {{"metricName", "metric.name"},
          {"metricSelector", "metric.selector"},
          {"targetValue", "target.value"},
          {TARGET_AVERAGE, "target.averageValue"}}},
};

static const struct shape statuses[] = {
        {"object",
         {{"target", "describedObject"},
          {"metricName", "metric.name"},
          {"selector", "metric.selector"},
          {"currentValue", "current.value"},
          {"averageValue", "current.averageValue"}}},
        {"pods",
         {{"metricName", "metric.name"},
          {"selector", "metric.selector"},
          {"currentAverageValue", "current.averageValue"}}},
        {"resource",
         {{"name", "name"},
          {"currentAverageUtilization", "current.averageUtilization"},
          {"currentAverageValue", "current.averageValue"}}},
        {"containerResource",
         {{"name", "name"},
          {"container", "container"},
          {"currentAverageUtilization", "current.averageUtilization"},
          {"currentAverageValue", "current.averageValue"}}},
        {"external",
         {{"metricName", "metric.name"},
          {"metricSelector", "metric.selector"},
          {"currentValue", "current.value"},
          {"currentAverageValue", "current.averageValue"}}},
};

/* Sets the member at the dotted path (of one or two names). */
static void set_at(struct json_object *obj, const char *path, struct json_object *value)
{
        const char *dot = strchr(path, '.');
        char first[64];

        if (!dot) {
                json_set(obj, path, value);
                return;
        }
        memcpy(first, path, (size_t)(dot - path));
        first[dot - path] = '\0';
        json_set(json_ensure(obj, first), dot + 1, value);
}

static bool is_zero_quantity(const struct json_object *v)
{
        return json_is_string(v) && str_eq(json_object_get_string((struct json_object *)v), "0");
}

static struct json_object *convert_metric(const struct shape *shapes, const struct json_object *metric, bool to_v1)
{
        struct json_object *out = json_object_new_object();

        json_set(out, "type", json_copy(json_get(metric, "type")));
        for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
                const struct json_object *src = json_get(metric, shapes[i].field);
                struct json_object *dst;

                if (!src)
                        continue;
                dst = json_ensure(out, shapes[i].field);
                for (const struct pair *p = shapes[i].pairs; p->v1; p++) {
                        const struct json_object *v = json_at(src, to_v1 ? p->v2 : p->v1);

                        /* v1 writes "0" where v2 has no value. */
                        if (v && !(!to_v1 && is_zero_quantity(v)))
                                set_at(dst, to_v1 ? p->v1 : p->v2, json_copy(v));
                }
        }
        return out;
}

/* v1 does not say of which type a target is: by the value that it has. */
static void name_target(struct json_object *metric)
{
        for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
                struct json_object *src = json_get(metric, specs[i].field), *target;

                if (!src)
                        continue;
                target = json_ensure(src, "target");
                json_set_str(target, "type",
                             json_has(target, "averageUtilization") ? "Utilization"
                             : json_has(target, "averageValue")     ? "AverageValue"
                                                                    : "Value");
        }
}

/* v1's non-pointer quantities are written even when there is none. */
static void add_zero_quantities(struct json_object *metric, const char *object_field, const char *pods_field)
{
        struct json_object *object = json_get(metric, "object"), *pods = json_get(metric, "pods");

        if (object)
                json_default_str(object, object_field, "0");
        if (pods)
                json_default_str(pods, pods_field, "0");
}

static bool is_cpu_utilization(const struct json_object *metric, const char *values)
{
        const struct json_object *resource = json_get(metric, "resource");

        return str_eq(json_get_str(metric, "type"), "Resource") && str_eq(json_get_str(resource, "name"), "cpu") &&
               json_has(json_get(resource, values), "averageUtilization");
}

static void annotate(struct json_object *obj, const char *key, const struct json_object *value)
{
        char *text = json_text(value);

        json_set_str(json_ensure(json_ensure(obj, "metadata"), "annotations"), key, text);
        free(text);
}

/* The parsed annotation, owned by the caller, which is taken off the object; NULL when absent or malformed. */
static struct json_object *take_annotation(struct json_object *obj, const char *key)
{
        struct json_object *meta = json_get(obj, "metadata"), *annotations = json_get(meta, "annotations");
        const char *text = json_get_str(annotations, key);
        struct json_object *value = NULL;

        if (!text)
                return NULL;
        if (json_parse(text, strlen(text), &value, NULL))
                value = NULL;
        json_del(annotations, key);
        if (json_object_object_length(annotations) == 0)
                json_del(meta, "annotations");
        return value;
}

/* Moves the CPU metric into the number that v1 has for it, the rest into the annotation. */
static void metrics_to_v1(struct json_object *obj, bool status)
{
        const char *part = status ? "status" : "spec", *list = status ? "currentMetrics" : "metrics";
        const char *number = status ? "currentCPUUtilizationPercentage" : "targetCPUUtilizationPercentage";
        const char *values = status ? "current" : "target";
        struct json_object *parent = json_get(obj, part);
        _cleanup_json_ struct json_object *others = json_object_new_array();

        json_array_foreach (json_get(parent, list), i, metric) {
                struct json_object *v1;

                if (is_cpu_utilization(metric, values)) {
                        if (!json_has(parent, number))
                                json_set_i64(parent, number,
                                             json_get_i64(json_get(json_get(metric, "resource"), values),
                                                          "averageUtilization", 0));
                        continue;
                }
                v1 = convert_metric(status ? statuses : specs, metric, true);
                add_zero_quantities(v1, status ? "currentValue" : "targetValue",
                                    status ? "currentAverageValue" : TARGET_AVERAGE);
                json_object_array_add(others, v1);
        }
        if (json_len(others))
                annotate(obj, status ? CURRENT_METRICS : METRICS, others);
        json_del(parent, list);
}

static struct json_object *cpu_metric(bool status, int64_t utilization)
{
        struct json_object *metric = json_object_new_object(), *resource = json_ensure(metric, "resource"), *values;

        json_set_str(metric, "type", "Resource");
        json_set_str(resource, "name", "cpu");
        values = json_ensure(resource, status ? "current" : "target");
        json_set_i64(values, "averageUtilization", utilization);
        if (!status)
                json_set_str(values, "type", "Utilization");
        return metric;
}

static void metrics_to_v2(struct json_object *obj, bool status)
{
        const char *number = status ? "currentCPUUtilizationPercentage" : "targetCPUUtilizationPercentage";
        _cleanup_json_ struct json_object *others = take_annotation(obj, status ? CURRENT_METRICS : METRICS);
        struct json_object *parent = json_get(obj, status ? "status" : "spec");
        _cleanup_json_ struct json_object *list = json_object_new_array();

        if (!parent)
                return;
        json_array_foreach (others, i, v1) {
                struct json_object *metric = convert_metric(status ? statuses : specs, v1, false);

                if (!status)
                        name_target(metric);
                json_object_array_add(list, metric);
        }
        if (json_has(parent, number))
                json_object_array_add(list, cpu_metric(status, json_get_i64(parent, number, 0)));
        json_del(parent, number);
        if (json_len(list))
                json_set(parent, status ? "currentMetrics" : "metrics", json_object_get(list));
}

static const struct {
        const char *internal, *v2;
} rule_fields[] =
        {
                {"StabilizationWindowSeconds", "stabilizationWindowSeconds"},
                {"SelectPolicy", "selectPolicy"},
                {"Policies", "policies"},
                {"Tolerance", "tolerance"},
},
  policy_fields[] = {
          {"Type", "type"},
          {"Value", "value"},
          {"PeriodSeconds", "periodSeconds"},
};

static struct json_object *convert_policy(const struct json_object *policy, bool to_v1)
{
        struct json_object *out = json_object_new_object();

        for (size_t i = 0; i < ARRAY_SIZE(policy_fields); i++)
                json_set(out, to_v1 ? policy_fields[i].internal : policy_fields[i].v2,
                         json_copy(json_get(policy, to_v1 ? policy_fields[i].v2 : policy_fields[i].internal)));
        return out;
}

/* Go writes absent pointers as null. */
static struct json_object *convert_rules(const struct json_object *rules, bool to_v1)
{
        struct json_object *out, *list;

        if (!rules)
                return NULL;
        out = json_object_new_object();
        for (size_t i = 0; i < ARRAY_SIZE(rule_fields); i++) {
                const char *to = to_v1 ? rule_fields[i].internal : rule_fields[i].v2;
                const struct json_object *v = json_get(rules, to_v1 ? rule_fields[i].v2 : rule_fields[i].internal);

                if (!json_is_array(v)) {
                        if (v || to_v1)
                                json_set(out, to, json_copy(v));
                        continue;
                }
                list = json_object_new_array();
                json_array_foreach (v, j, policy)
                        json_object_array_add(list, convert_policy(policy, to_v1));
                json_set(out, to, list);
        }
        return out;
}

static void behavior_to_v1(struct json_object *obj)
{
        struct json_object *spec = json_get(obj, "spec"), *behavior = json_get(spec, "behavior");
        _cleanup_json_ struct json_object *internal = NULL;

        if (!behavior)
                return;
        internal = json_object_new_object();
        json_set(internal, "ScaleUp", convert_rules(json_get(behavior, "scaleUp"), true));
        json_set(internal, "ScaleDown", convert_rules(json_get(behavior, "scaleDown"), true));
        annotate(obj, BEHAVIOR, internal);
        json_del(spec, "behavior");
}

static void behavior_to_v2(struct json_object *obj)
{
        _cleanup_json_ struct json_object *internal = take_annotation(obj, BEHAVIOR);
        struct json_object *behavior, *up, *down;

        if (!internal)
                return;
        behavior = json_object_new_object();
        up = convert_rules(json_get(internal, "ScaleUp"), false);
        down = convert_rules(json_get(internal, "ScaleDown"), false);
        if (up)
                json_set(behavior, "scaleUp", up);
        if (down)
                json_set(behavior, "scaleDown", down);
        json_set(json_ensure(obj, "spec"), "behavior", behavior);
}

void autoscaler_to_v1(struct json_object *obj)
{
        struct json_object *status = json_get(obj, "status"), *conditions = json_get(status, "conditions");

        metrics_to_v1(obj, false);
        metrics_to_v1(obj, true);
        behavior_to_v1(obj);
        if (json_len(conditions))
                annotate(obj, CONDITIONS, conditions);
        json_del(status, "conditions");
}

void autoscaler_to_v2(struct json_object *obj)
{
        _cleanup_json_ struct json_object *conditions = take_annotation(obj, CONDITIONS);

        if (json_is_array(conditions) && json_get(obj, "status"))
                json_set(json_get(obj, "status"), "conditions", json_object_get(conditions));
        metrics_to_v2(obj, false);
        metrics_to_v2(obj, true);
        behavior_to_v2(obj);
        autoscaler_defaults_v2(obj);
}
