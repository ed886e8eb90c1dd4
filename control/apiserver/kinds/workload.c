/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/kinds/workload.h"
#include "base/str.h"

void workload_check_selector(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec,
                             const char *what)
{
        struct json_object *selector = json_get(spec, "selector");
        struct fpath p = fpath_child(spec_path, "selector");

        if (!selector) {
                ferr_required(e, &p, NULL);
                return;
        }
        check_label_selector(e, &p, selector);
        if (label_selector_is_empty(selector))
                ferr_invalid(e, &p, selector, "empty selector is invalid for %s", what);
}

void workload_check_match(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec, bool selected)
{
        struct json_object *labels = json_at(spec, "template.metadata.labels");
        struct fpath template = fpath_child(spec_path, "template"), meta = fpath_child(&template, "metadata"),
                     p = fpath_child(&meta, "labels");

        if (!selected)
                ferr_invalid(e, &p, labels, "`selector` does not match template `labels`");
}

void workload_check_always(const struct fpath *template_path, const struct json_object *template, const char *kind,
                           struct ferrs *e)
{
        static const char *const always[] = {"Always", NULL};
        struct fpath spec = fpath_child(template_path, "spec"), policy = fpath_child(&spec, "restartPolicy"),
                     deadline = fpath_child(&spec, "activeDeadlineSeconds");
        const char *text = json_at_str(template, "spec.restartPolicy");

        if (text && !str_eq(text, "Always"))
                ferr_not_supported(e, &policy, text, always);
        if (json_at(template, "spec.activeDeadlineSeconds"))
                ferr_forbidden(e, &deadline, "activeDeadlineSeconds in %s is not Supported", kind);
}

void workload_check_template(const struct kctx *c, const struct fpath *spec_path, const struct json_object *spec,
                             const char *kind, struct ferrs *e)
{
        struct json_object *selector = json_get(spec, "selector"), *template = json_get(spec, "template");
        struct fpath p = fpath_child(spec_path, "template");

        if (selector && !label_selector_is_empty(selector))
                workload_check_match(e, spec_path, spec,
                                     label_selector_matches(selector, json_at(template, "metadata.labels")));
        pod_template_validate(c, &p, template, e);
        workload_check_always(&p, template, kind, e);
}

void workload_selector_immutable(const struct json_object *obj, const struct json_object *old, struct ferrs *e)
{
        struct fpath p = fpath_child(NULL, "spec");

        check_immutable(e, &p, json_get(obj, "spec"), json_get(old, "spec"), "selector");
}

void workload_check_status(const struct json_object *obj, const struct json_object *old, const char *const *numbers,
                           const char *const *parts, struct ferrs *e)
{
        struct json_object *status = json_get(obj, "status");
        int64_t replicas = json_get_i64(status, "replicas", 0), ready = json_get_i64(status, "readyReplicas", 0),
                available = json_get_i64(status, "availableReplicas", 0);
        struct fpath p = fpath_child(NULL, "status"), at = fpath_child(&p, "availableReplicas");

        check_non_negatives(e, &p, status, numbers);
        for (; parts && *parts; parts++) {
                int64_t v = json_get_i64(status, *parts, 0);
                struct fpath part = fpath_child(&p, *parts);

                if (v > replicas)
                        ferr_invalid_i64(e, &part, v, "cannot be greater than status.replicas");
        }
        if (parts && available > ready)
                ferr_invalid_i64(e, &at, available, "cannot be greater than readyReplicas");
        check_not_decremented(e, &p, status, json_get(old, "status"), "collisionCount", "cannot be decremented");
}
