/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/workload.h"
#include "base/str.h"

#define MSG_FROZEN                                                                                                     \
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "     \
        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"

static void claim_template_defaults(struct json_object *claim)
{
        json_default_str(claim, "apiVersion", "v1");
        json_default_str(claim, "kind", "PersistentVolumeClaim");
        claim_spec_defaults(json_get(claim, "spec"));
        json_default_str(json_ensure(claim, "status"), "phase", "Pending");
}

static void statefulsets_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *strategy, *policy;

        pod_template_defaults(json_get(spec, "template"));
        json_array_foreach (json_get(spec, "volumeClaimTemplates"), i, claim) {
                claim_template_defaults(claim);
        }
        json_default_str(spec, "podManagementPolicy", "OrderedReady");
        strategy = json_ensure(spec, "updateStrategy");
        if (!json_has(strategy, "type")) {
                json_set_str(strategy, "type", "RollingUpdate");
                json_ensure(strategy, "rollingUpdate");
        }
        if (str_eq(str_of(strategy, "type"), "RollingUpdate") && json_has(strategy, "rollingUpdate")) {
                json_default_i64(json_get(strategy, "rollingUpdate"), "partition", 0);
                json_default_i64(json_get(strategy, "rollingUpdate"), "maxUnavailable", 1);
        }
        policy = json_ensure(spec, "persistentVolumeClaimRetentionPolicy");
        json_default_str(policy, "whenDeleted", "Retain");
        json_default_str(policy, "whenScaled", "Retain");
        json_default_i64(spec, "replicas", 1);
        json_default_i64(spec, "revisionHistoryLimit", 10);
}

static void check_rolling(struct ferrs *e, const struct fpath *p, const struct json_object *rolling)
{
        struct json_object *unavailable = json_get(rolling, "maxUnavailable");
        struct fpath at = fpath_child(p, "maxUnavailable");

        check_non_negative(e, p, rolling, "partition");
        if (!unavailable)
                return;
        check_int_or_percent(e, &at, unavailable);
        if (!int_or_percent_value(unavailable))
                ferr_invalid(e, &at, unavailable, "cannot be 0");
        check_at_most_100_percent(e, &at, unavailable);
}

static void check_strategy(struct ferrs *e, const struct fpath *spec, const struct json_object *strategy)
{
        struct fpath p = fpath_child(spec, "updateStrategy"), rolling = fpath_child(&p, "rollingUpdate");
        struct json_object *r = json_get(strategy, "rollingUpdate");
        const char *type = str_of(strategy, "type");

        if (!*type)
                ferr_required(e, &p, NULL);
        else if (str_eq(type, "RollingUpdate"))
                check_rolling(e, &rolling, r);
        else if (!str_eq(type, "OnDelete"))
                ferr_invalid(e, &p, strategy, "must be 'RollingUpdate' or 'OnDelete'");
        else if (r)
                ferr_invalid(e, &rolling, r, "only allowed for updateStrategy 'RollingUpdate'");
}

/* The template's pods also have a volume for each claim template. */
static struct json_object *with_claims(const struct json_object *spec)
{
        struct json_object *template = json_copy(json_get(spec, "template")), *pod = json_get(template, "spec"),
                           *volumes = json_get(pod, "volumes");

        json_array_foreach (pod ? json_get(spec, "volumeClaimTemplates") : NULL, i, claim) {
                const char *name = json_at_str(claim, "metadata.name");
                struct json_object *volume = json_object_new_object(), *source = json_object_new_object();

                if (!volumes)
                        json_set(pod, "volumes", volumes = json_object_new_array());
                json_set_str(volume, "name", name ? name : "");
                json_set_str(source, "claimName", name ? name : "");
                json_set(volume, "persistentVolumeClaim", source);
                for (size_t j = 0; j < json_len(volumes); j++)
                        if (str_eq(str_of(json_idx(volumes, j), "name"), name))
                                json_object_array_del_idx(volumes, j--, 1);
                json_object_array_add(volumes, volume);
        }
        return template;
}

static void check_claims(struct ferrs *e, const struct fpath *spec, const struct json_object *claims)
{
        struct fpath p = fpath_child(spec, "volumeClaimTemplates");

        json_array_foreach (claims, i, claim) {
                struct fpath at = fpath_index(&p, i), meta = fpath_child(&at, "metadata"),
                             inner = fpath_child(&at, "spec"), name = fpath_child(&meta, "name");
                const char *text = json_at_str(claim, "metadata.name");

                if (str_empty(text))
                        ferr_required(e, &name, NULL);
                claim_spec_validate(&inner, json_get(claim, "spec"), e);
        }
}

static void check_policies(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        static const char *const retention[] = {"Retain", "Delete", NULL};
        struct fpath management = fpath_child(p, "podManagementPolicy"),
                     claims = fpath_child(p, "persistentVolumeClaimRetentionPolicy");
        const char *policy = str_of(spec, "podManagementPolicy");

        if (!*policy)
                ferr_required(e, &management, NULL);
        else if (!str_eq(policy, "OrderedReady") && !str_eq(policy, "Parallel"))
                ferr_invalid_str(e, &management, policy, "must be 'OrderedReady' or 'Parallel'");
        check_strategy(e, p, json_get(spec, "updateStrategy"));
        check_one_of(e, &claims, json_get(spec, "persistentVolumeClaimRetentionPolicy"), "whenDeleted", retention,
                     false);
        check_one_of(e, &claims, json_get(spec, "persistentVolumeClaimRetentionPolicy"), "whenScaled", retention,
                     false);
}

static void statefulsets_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec"), *selector = json_get(spec, "selector");
        _cleanup_json_ struct json_object *template = with_claims(spec);
        struct fpath p = fpath_child(NULL, "spec"), at = fpath_child(&p, "template"),
                     ordinals = fpath_child(&p, "ordinals.start");
        int64_t start = json_at_i64(spec, "ordinals.start", 0);

        check_policies(e, &p, spec);
        check_non_negative(e, &p, spec, "replicas");
        check_non_negative(e, &p, spec, "minReadySeconds");
        check_non_negative(e, &p, spec, "revisionHistoryLimit");
        if (start < 0)
                ferr_invalid_i64(e, &ordinals, start, MSG_NEGATIVE);
        workload_check_selector(e, &p, spec, "statefulset");
        if (selector && !label_selector_is_empty(selector))
                workload_check_match(e, &p, spec,
                                     label_selector_matches(selector, json_at(template, "metadata.labels")));
        pod_template_validate(c, &at, template, e);
        workload_check_always(&at, template, "StatefulSet", e);
        check_claims(e, &p, json_get(spec, "volumeClaimTemplates"));
        check_name_if(e, &p, spec, "serviceName", NAME_DNS1123_LABEL);
}

static void statefulsets_validate_update(const struct kctx *c, const struct json_object *obj,
                                         const struct json_object *old, struct ferrs *e)
{
        static const char *const mutable[] = {"replicas",
                                              "template",
                                              "updateStrategy",
                                              "minReadySeconds",
                                              "ordinals",
                                              "revisionHistoryLimit",
                                              "persistentVolumeClaimRetentionPolicy",
                                              NULL};
        struct json_object *spec = json_get(obj, "spec"), *was = json_get(old, "spec");
        struct fpath p = fpath_child(NULL, "spec");
        bool differs = false;

        json_foreach (spec, key, val) {
                differs |= !one_of(key, mutable) && !json_equal(val, json_get(was, key));
        }
        json_foreach (was, gone, old_val) {
                differs |= !one_of(gone, mutable) && !json_has(spec, gone);
        }
        if (differs)
                ferr_forbidden(e, &p, MSG_FROZEN);
}

static void statefulsets_validate_status(const struct kctx *c, const struct json_object *obj,
                                         const struct json_object *old, struct ferrs *e)
{
        static const char *const numbers[] = {
                "replicas",          "readyReplicas",      "currentReplicas", "updatedReplicas",
                "availableReplicas", "observedGeneration", "collisionCount",  NULL};
        static const char *const parts[] = {"readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
                                            NULL};

        workload_check_status(obj, old, numbers, parts, e);
}

static const char *statefulsets_name(const char *name)
{
        return name_error(NAME_DNS1123_LABEL, name);
}

const struct kind_ops kind_statefulsets = {
        .group = "apps",
        .plural = "statefulsets",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .validate_name = statefulsets_name,
        .defaults = statefulsets_defaults,
        .validate = statefulsets_validate,
        .validate_update = statefulsets_validate_update,
        .validate_status = statefulsets_validate_status,
};
