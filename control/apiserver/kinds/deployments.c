/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/workload.h"
#include "base/str.h"

static void deployments_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *strategy, *rolling;

        pod_template_defaults(json_get(spec, "template"));
        json_default_i64(spec, "replicas", 1);
        strategy = json_ensure(spec, "strategy");
        json_default_str(strategy, "type", "RollingUpdate");
        if (str_eq(str_of(strategy, "type"), "RollingUpdate")) {
                rolling = json_ensure(strategy, "rollingUpdate");
                json_default_str(rolling, "maxUnavailable", "25%");
                json_default_str(rolling, "maxSurge", "25%");
        }
        json_default_i64(spec, "revisionHistoryLimit", 10);
        json_default_i64(spec, "progressDeadlineSeconds", 600);
}

static void check_rolling(struct ferrs *e, const struct fpath *p, const struct json_object *rolling)
{
        struct json_object *unavailable = json_get(rolling, "maxUnavailable"), *surge = json_get(rolling, "maxSurge");
        struct fpath at_unavailable = fpath_child(p, "maxUnavailable"), at_surge = fpath_child(p, "maxSurge");

        check_int_or_percent(e, &at_unavailable, unavailable);
        check_int_or_percent(e, &at_surge, surge);
        if (!int_or_percent_value(unavailable) && !int_or_percent_value(surge))
                ferr_invalid(e, &at_unavailable, unavailable, "may not be 0 when `maxSurge` is 0");
        check_at_most_100_percent(e, &at_unavailable, unavailable);
}

static void check_strategy(struct ferrs *e, const struct fpath *spec, const struct json_object *strategy)
{
        static const char *const types[] = {"Recreate", "RollingUpdate", NULL};
        struct fpath p = fpath_child(spec, "strategy"), rolling = fpath_child(&p, "rollingUpdate");
        const char *type = str_of(strategy, "type");

        if (str_eq(type, "RollingUpdate"))
                check_rolling(e, &rolling, json_get(strategy, "rollingUpdate"));
        else if (!str_eq(type, "Recreate"))
                ferr_not_supported(e, &p, type, types);
        else if (json_has(strategy, "rollingUpdate"))
                ferr_forbidden(e, &rolling, "may not be specified when strategy `type` is 'Recreate'");
}

static void deployments_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const numbers[] = {"minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds",
                                              NULL};
        struct json_object *spec = json_get(obj, "spec");
        struct fpath p = fpath_child(NULL, "spec"), deadline = fpath_child(&p, "progressDeadlineSeconds");
        int64_t seconds = json_get_i64(spec, "progressDeadlineSeconds", 0);

        check_non_negative(e, &p, spec, "replicas");
        workload_check_selector(e, &p, spec, "deployment");
        workload_check_template(c, &p, spec, "ReplicaSet", e);
        check_strategy(e, &p, json_get(spec, "strategy"));
        check_non_negatives(e, &p, spec, numbers);
        if (json_has(spec, "progressDeadlineSeconds") && seconds <= json_get_i64(spec, "minReadySeconds", 0))
                ferr_invalid_i64(e, &deadline, seconds, "must be greater than minReadySeconds");
}

static void deployments_validate_update(const struct kctx *c, const struct json_object *obj,
                                        const struct json_object *old, struct ferrs *e)
{
        workload_selector_immutable(obj, old, e);
}

static void deployments_validate_status(const struct kctx *c, const struct json_object *obj,
                                        const struct json_object *old, struct ferrs *e)
{
        static const char *const numbers[] = {"observedGeneration", "replicas",
                                              "updatedReplicas",    "readyReplicas",
                                              "availableReplicas",  "unavailableReplicas",
                                              "collisionCount",     NULL};
        static const char *const parts[] = {"updatedReplicas", "readyReplicas", "availableReplicas", NULL};

        workload_check_status(obj, old, numbers, parts, e);
}

const struct kind_ops kind_deployments = {
        .group = "apps",
        .plural = "deployments",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .defaults = deployments_defaults,
        .validate = deployments_validate,
        .validate_update = deployments_validate_update,
        .validate_status = deployments_validate_status,
};
