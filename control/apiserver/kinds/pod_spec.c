/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of a PodSpec, in pods and in templates. */
#include <stdint.h>
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

static void check_resource_claims(struct pod_check *pc, const struct fpath *spec)
{
        struct fpath p = fpath_child(spec, "resourceClaims");

        json_array_foreach (json_get(pc->spec, "resourceClaims"), i, claim) {
                struct fpath at = fpath_index(&p, i), at_name = fpath_child(&at, "name");
                bool by_name = json_has(claim, "resourceClaimName"),
                     by_template = json_has(claim, "resourceClaimTemplateName");
                const char *name = str_of(claim, "name");

                if (*name && !name_set_put(&pc->claims, name, claim))
                        ferr_duplicate_str(pc->e, &at_name, name);
                else
                        check_name_required(pc->e, &at, claim, "name", NAME_DNS1123_LABEL);
                if (by_name && by_template)
                        ferr_invalid(pc->e, &at, claim,
                                     "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be "
                                     "specified");
                else if (!by_name && !by_template)
                        ferr_invalid(pc->e, &at, claim,
                                     "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
                check_name_if(pc->e, &at, claim, "resourceClaimName", NAME_DNS1123_SUBDOMAIN);
                check_name_if(pc->e, &at, claim, "resourceClaimTemplateName", NAME_DNS1123_SUBDOMAIN);
        }
}

static void check_names(struct pod_check *pc, const struct fpath *spec)
{
        static const struct {
                const char *field;
                enum name_rule rule;
        } names[] = {
                {"serviceAccountName", NAME_DNS1123_SUBDOMAIN},
                {"nodeName", NAME_DNS1123_SUBDOMAIN},
                {"hostname", NAME_DNS1123_LABEL},
                {"subdomain", NAME_DNS1123_LABEL},
                {"priorityClassName", NAME_DNS1123_SUBDOMAIN},
                {"runtimeClassName", NAME_DNS1123_SUBDOMAIN},
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                check_name_if(pc->e, spec, pc->spec, names[i].field, names[i].rule);
}

/* Resources of the pod as a whole: no claims, at least what its containers ask for. */
static void check_pod_resources(struct pod_check *pc, const struct fpath *spec)
{
        struct json_object *resources = json_get(pc->spec, "resources"), *limits = json_get(resources, "limits");
        struct fpath p = fpath_child(spec, "resources"), claims = fpath_child(&p, "claims"),
                     containers = fpath_child(&p, "containers");

        if (!resources)
                return;
        if (json_has(resources, "claims"))
                ferr_forbidden(pc->e, &claims, "claims cannot be set for Resources at pod-level");
        pod_check_requirements(pc, &p, resources, RESOURCE_OF_POD);
        json_array_foreach (json_get(pc->spec, "containers"), i, container) {
                struct fpath item = fpath_index(&containers, i);

                json_foreach (json_at(container, "resources.limits"), name, val) {
                        const char *own = json_object_get_string(val), *all = json_get_str(limits, name);
                        struct fpath key = fpath_key(&item, name), at = fpath_child(&key, "limits");

                        if (all && quantity_text_cmp(own, all) > 0)
                                ferr_invalid_str(pc->e, &at, own, "must be less than or equal to pod limits of %s",
                                                 all);
                }
        }
}

static void check_overhead(struct pod_check *pc, const struct fpath *spec)
{
        struct fpath p = fpath_child(spec, "overhead"), limits = fpath_child(&p, "limits");

        json_foreach (json_get(pc->spec, "overhead"), name, val) {
                struct fpath at = fpath_key(&limits, name);

                check_resource_name(pc->e, &at, name, RESOURCE_OF_CONTAINER);
                check_resource_quantity(pc->e, &at, name, json_object_get_string(val));
        }
}

static void check_spec(struct pod_check *pc, const struct fpath *spec)
{
        static const char *const restart[] = {"Always", "OnFailure", "Never", NULL};
        static const char *const preemption[] = {"PreemptLowerPriority", "Never", NULL};
        struct fpath grace = fpath_child(spec, "terminationGracePeriodSeconds");

        if (!pc->has_grace)
                ferr_required(pc->e, &grace, NULL);
        pod_check_volumes(pc, spec);
        if (json_has(pc->spec, "resourceClaims"))
                check_resource_claims(pc, spec);
        pod_check_containers(pc, spec);
        check_pod_resources(pc, spec);
        check_one_of(pc->e, spec, pc->spec, "restartPolicy", restart, true);
        pod_check_dns(pc, spec);
        pod_check_security(pc, spec);
        pod_check_scheduling(pc, spec);
        check_names(pc, spec);
        check_range(pc->e, spec, pc->spec, "activeDeadlineSeconds", 1, INT32_MAX);
        check_one_of(pc->e, spec, pc->spec, "preemptionPolicy", preemption, false);
        check_overhead(pc, spec);
}

static void pod_check_init(struct pod_check *pc, const struct kctx *c, const struct json_object *spec, struct ferrs *e)
{
        memset(pc, 0, sizeof(*pc));
        pc->c = c;
        pc->e = e;
        pc->spec = spec;
        pc->host_users = json_get_bool(spec, "hostUsers", true);
        pc->host_network = json_get_bool(spec, "hostNetwork", false);
        pc->restart_policy = str_of(spec, "restartPolicy");
        pc->has_grace = json_has(spec, "terminationGracePeriodSeconds");
        pc->grace_seconds = json_get_i64(spec, "terminationGracePeriodSeconds", 0);
}

static void pod_check_deinit(struct pod_check *pc)
{
        name_set_deinit(&pc->volumes);
        name_set_deinit(&pc->claims);
}

void pod_template_validate(const struct kctx *c, const struct fpath *p, const struct json_object *template,
                           struct ferrs *e)
{
        struct json_object *meta = json_get(template, "metadata"), *annotations = json_get(meta, "annotations");
        /* Upstream leaves metadata out of these two paths. */
        struct fpath at_labels = fpath_child(p, "labels"), at_annotations = fpath_child(p, "annotations"),
                     spec = fpath_child(p, "spec"), ephemeral = fpath_child(&spec, "ephemeralContainers");
        struct pod_check pc;

        pod_check_init(&pc, c, json_get(template, "spec"), e);
        check_labels(e, &at_labels, json_get(meta, "labels"));
        check_annotations(e, &at_annotations, annotations);
        pod_check_annotations(&pc, &at_annotations, annotations);
        check_spec(&pc, &spec);
        if (json_len(json_get(pc.spec, "ephemeralContainers")))
                ferr_forbidden(e, &ephemeral, "ephemeral containers not allowed in pod template");
        pod_check_deinit(&pc);
}

void pod_validate(const struct kctx *c, const struct json_object *pod, struct ferrs *e)
{
        struct fpath meta = fpath_child(NULL, "metadata"), annotations = fpath_child(&meta, "annotations"),
                     spec = fpath_child(NULL, "spec");
        struct pod_check pc;

        pod_check_init(&pc, c, json_get(pod, "spec"), e);
        pc.is_pod = true;
        pc.pod_name = str_of(json_get(pod, "metadata"), "name");
        pod_check_annotations(&pc, &annotations, json_at(pod, "metadata.annotations"));
        check_spec(&pc, &spec);
        pod_check_deinit(&pc);
}
