/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaSets, and ReplicationControllers, which are the same with a plain map for a selector. */
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/workload.h"
#include "kube/selector.h"

static void replicasets_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec");

        pod_template_defaults(json_get(spec, "template"));
        json_default_i64(spec, "replicas", 1);
}

static void replicasets_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec");
        struct fpath p = fpath_child(NULL, "spec");

        check_non_negative(e, &p, spec, "replicas");
        check_non_negative(e, &p, spec, "minReadySeconds");
        workload_check_selector(e, &p, spec, "deployment"); /* upstream's word */
        workload_check_template(c, &p, spec, "ReplicaSet", e);
}

static void replicasets_validate_update(const struct kctx *c, const struct json_object *obj,
                                        const struct json_object *old, struct ferrs *e)
{
        workload_selector_immutable(obj, old, e);
}

static void replicasets_validate_status(const struct kctx *c, const struct json_object *obj,
                                        const struct json_object *old, struct ferrs *e)
{
        static const char *const numbers[] = {"replicas",          "fullyLabeledReplicas", "readyReplicas",
                                              "availableReplicas", "observedGeneration",   NULL};
        static const char *const parts[] = {"fullyLabeledReplicas", "readyReplicas", "availableReplicas", NULL};

        workload_check_status(obj, old, numbers, parts, e);
}

static const struct kind_field replicas_fields[] = {
        {.label = "status.replicas", .path = "status.replicas", .otherwise = "0"},
        {0},
};

const struct kind_ops kind_replicasets = {
        .group = "apps",
        .plural = "replicasets",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .defaults = replicasets_defaults,
        .validate = replicasets_validate,
        .validate_update = replicasets_validate_update,
        .validate_status = replicasets_validate_status,
        .fields = replicas_fields,
};

static void controllers_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *meta = json_ensure(obj, "metadata"),
                           *labels = json_at(spec, "template.metadata.labels");

        replicasets_defaults(c, obj);
        if (!labels)
                return;
        if (!json_has(spec, "selector"))
                json_set(spec, "selector", json_copy(labels));
        if (!json_has(meta, "labels"))
                json_set(meta, "labels", json_copy(labels));
}

static void controllers_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec"), *map = json_get(spec, "selector"),
                           *template = json_get(spec, "template");
        struct fpath p = fpath_child(NULL, "spec"), selector = fpath_child(&p, "selector"),
                     at = fpath_child(&p, "template");
        _cleanup_selector_ struct selector *s = NULL;

        check_non_negative(e, &p, spec, "minReadySeconds");
        if (!map || !json_object_object_length(map))
                ferr_required(e, &selector, NULL);
        check_non_negative(e, &p, spec, "replicas");
        if (!template) {
                ferr_required(e, &at, NULL);
                return;
        }
        if (map && selector_from_map(map, &s, NULL) == 0)
                workload_check_match(e, &p, spec, selector_match_json(s, json_at(template, "metadata.labels")));
        pod_template_validate(c, &at, template, e);
        workload_check_always(&at, template, "ReplicationController", e);
}

const struct kind_ops kind_replicationcontrollers = {
        .group = "",
        .plural = "replicationcontrollers",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .defaults = controllers_defaults,
        .validate = controllers_validate,
        .validate_status = replicasets_validate_status,
        .fields = replicas_fields,
};
