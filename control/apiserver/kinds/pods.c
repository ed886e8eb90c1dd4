/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define MSG_GATED "Scheduling is blocked due to non-empty scheduling gates"

/* keys' values in the pod's labels become requirements of the term's selector. */
static void add_label_keys(struct json_object *term, const struct json_object *labels, const char *keys,
                           const char *operator)
{
        struct json_object *selector = json_get(term, "labelSelector"), *exprs, *req, *values;

        json_array_foreach (selector ? json_get(term, keys) : NULL, i, key) {
                const char *name = json_object_get_string(key), *value = json_get_str(labels, name);

                if (!value)
                        continue;
                exprs = json_get(selector, "matchExpressions");
                if (!exprs)
                        json_set(selector, "matchExpressions", exprs = json_object_new_array());
                req = json_object_new_object();
                values = json_object_new_array();
                json_object_array_add(values, json_object_new_string(value));
                json_set_str(req, "key", name);
                json_set_str(req, "operator", operator);
                json_set(req, "values", values);
                json_object_array_add(exprs, req);
        }
}

static void apply_label_keys(struct json_object *affinity, const struct json_object *labels)
{
        json_array_foreach (json_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"), i, term) {
                add_label_keys(term, labels, "matchLabelKeys", "In");
                add_label_keys(term, labels, "mismatchLabelKeys", "NotIn");
        }
        json_array_foreach (json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"), j, weighted) {
                struct json_object *inner = json_get(weighted, "podAffinityTerm");

                add_label_keys(inner, labels, "matchLabelKeys", "In");
                add_label_keys(inner, labels, "mismatchLabelKeys", "NotIn");
        }
}

static void add_gated_condition(struct json_object *status)
{
        struct json_object *conditions = json_object_new_array(), *c = json_object_new_object();

        json_set_str(c, "type", "PodScheduled");
        json_set_str(c, "status", "False");
        json_set_str(c, "reason", "SchedulingGated");
        json_set_str(c, "message", MSG_GATED);
        json_object_array_add(conditions, c);
        json_set(status, "conditions", conditions);
}

static void pods_prepare_create(const struct kctx *c, struct json_object *pod)
{
        struct json_object *status = json_object_new_object(), *spec = json_get(pod, "spec"),
                           *labels = json_at(pod, "metadata.labels");

        json_set_str(status, "phase", "Pending");
        json_set_str(status, "qosClass", pod_qos(pod));
        if (json_len(json_get(spec, "schedulingGates")))
                add_gated_condition(status);
        json_set(pod, "status", status);
        apply_label_keys(json_at(spec, "affinity.podAffinity"), labels);
        apply_label_keys(json_at(spec, "affinity.podAntiAffinity"), labels);
}

static void pods_prepare_update(const struct kctx *c, struct json_object *pod, const struct json_object *old)
{
        struct json_object *status = json_get(old, "status");

        if (status)
                json_set(pod, "status", json_copy(status));
}

static void pods_prepare_status(const struct kctx *c, struct json_object *pod, const struct json_object *old)
{
        struct json_object *status = json_ensure(pod, "status"), *meta = json_get(pod, "metadata"),
                           *owners = json_at(old, "metadata.ownerReferences");
        const char *qos = json_at_str(old, "status.qosClass");

        if (owners)
                json_set(meta, "ownerReferences", json_copy(owners));
        else
                json_del(meta, "ownerReferences");
        if (qos && !json_has(status, "qosClass")) /* old kubelets leave it out */
                json_set_str(status, "qosClass", qos);
}

/* Nothing is allocated: this is where a create is told from an update. */
static void pods_stage(const struct kctx *c, struct json_object *pod, const struct json_object *old,
                       struct txn_builder *t, struct ferrs *e)
{
        const struct json_object *spec = json_get(pod, "spec");
        struct fpath p = fpath_child(NULL, "spec"), ephemeral = fpath_child(&p, "ephemeralContainers"),
                     node = fpath_child(&p, "nodeName");

        if (!pod || old)
                return;
        if (json_len(json_get(spec, "ephemeralContainers")))
                ferr_forbidden(e, &ephemeral, "cannot be set on create");
        if (*str_of(spec, "nodeName") && json_len(json_get(spec, "schedulingGates")))
                ferr_forbidden(e, &node, "cannot be set until all schedulingGates have been cleared");
}

/* podIP is the first of podIPs: the defaults see to that. */
static const struct kind_field pod_fields[] = {
        {.label = "spec.nodeName", .path = "spec.nodeName"},
        {.label = "spec.restartPolicy", .path = "spec.restartPolicy"},
        {.label = "spec.schedulerName", .path = "spec.schedulerName"},
        {.label = "spec.serviceAccountName", .path = "spec.serviceAccountName"},
        {.label = "spec.hostNetwork", .path = "spec.hostNetwork", .otherwise = "false"},
        {.label = "status.phase", .path = "status.phase"},
        {.label = "status.podIP", .path = "status.podIP"},
        {.label = "status.podIPs", .path = "status.podIP"},
        {.label = "status.nominatedNodeName", .path = "status.nominatedNodeName"},
        {0},
};

const struct kind_ops kind_pods = {
        .group = "",
        .plural = "pods",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .defaults = pod_defaults,
        .prepare_create = pods_prepare_create,
        .prepare_update = pods_prepare_update,
        .validate = pod_validate,
        .validate_update = pod_validate_update,
        .prepare_status = pods_prepare_status,
        .validate_status = pod_validate_status,
        .stage = pods_stage,
        .fields = pod_fields,
};

static void pod_templates_defaults(const struct kctx *c, struct json_object *obj)
{
        pod_template_defaults(json_get(obj, "template"));
}

static void pod_templates_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct fpath p = fpath_child(NULL, "template");

        pod_template_validate(c, &p, json_get(obj, "template"), e);
}

const struct kind_ops kind_podtemplates = {
        .group = "",
        .plural = "podtemplates",
        .flags = KIND_GENERATION,
        .defaults = pod_templates_defaults,
        .validate = pod_templates_validate,
};
