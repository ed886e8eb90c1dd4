/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumes. */
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/pod_check.h"
#include "apiserver/kinds/volumes.h"
#include "base/clock.h"
#include "base/str.h"

static void volumes_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *host_path = json_get(spec, "hostPath"),
                           *iscsi = json_get(spec, "iscsi");

        json_default_str(json_ensure(obj, "status"), "phase", "Pending");
        json_default_str(spec, "persistentVolumeReclaimPolicy", "Retain");
        json_default_str(spec, "volumeMode", "Filesystem");
        if (host_path)
                json_default_str(host_path, "type", "");
        if (iscsi)
                json_default_str(iscsi, "iscsiInterface", "default");
}

static void volumes_prepare_create(const struct kctx *c, struct json_object *obj)
{
        struct json_object *status = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(status, "phase", "Pending");
        json_set_str(status, "lastPhaseTransitionTime", clock_format(c->now_us / 1000000, now));
        json_set(obj, "status", status);
}

static void volumes_prepare_status(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        struct json_object *status = json_ensure(obj, "status"), *was = json_get(old, "status"),
                           *since = json_get(was, "lastPhaseTransitionTime");
        char now[CLOCK_TEXT_SIZE];

        if (str_eq(str_of(status, "phase"), str_of(was, "phase"))) {
                if (since && !json_has(status, "lastPhaseTransitionTime"))
                        json_set(status, "lastPhaseTransitionTime", json_object_get(since));
        } else if (json_equal(json_get(status, "lastPhaseTransitionTime"), since)) {
                json_set_str(status, "lastPhaseTransitionTime", clock_format(c->now_us / 1000000, now));
        }
}

static void check_capacity(struct ferrs *e, const struct fpath *spec_path, const struct json_object *capacity)
{
        static const char *const storage[] = {"storage", NULL};
        struct fpath p = fpath_child(spec_path, "capacity");

        if (!capacity || !json_object_object_length(capacity))
                ferr_required(e, &p, NULL);
        if (!json_has(capacity, "storage") || json_object_object_length(capacity) > 1)
                ferr_not_supported(e, &p,
                                   capacity ? json_object_to_json_string_ext((struct json_object *)capacity, 0) : "",
                                   storage);
        json_foreach (capacity, name, val) {
                const char *quantity = json_object_get_string(val);
                struct fpath at = fpath_key(&p, name);

                if (quantity_text_cmp(quantity, "0") < 0)
                        ferr_invalid_str(e, &at, quantity, "must be a valid resource quantity");
                if (quantity_text_cmp(quantity, "0") <= 0)
                        ferr_invalid_str(e, &at, quantity, MSG_NOT_POSITIVE);
        }
}

static void check_csi(struct ferrs *e, const struct fpath *p, const struct json_object *csi)
{
        static const char *const secrets[] = {"controllerPublishSecretRef", "controllerExpandSecretRef",
                                              "nodePublishSecretRef",       "nodeExpandSecretRef",
                                              "nodeStageSecretRef",         NULL};
        struct fpath driver = fpath_child(p, "driver");

        check_csi_driver_name(e, &driver, str_of(csi, "driver"));
        check_required(e, p, csi, "volumeHandle");
        for (const char *const *name = secrets; *name; name++) {
                struct fpath at = fpath_child(p, *name);

                check_secret_reference(e, &at, json_get(csi, *name), true);
        }
}

static void check_local(struct ferrs *e, const struct fpath *spec_path, const struct fpath *p,
                        const struct json_object *spec)
{
        struct json_object *local = json_get(spec, "local");
        struct fpath affinity = fpath_child(spec_path, "nodeAffinity"), path = fpath_child(p, "path");

        if (!*str_of(local, "path"))
                ferr_required(e, &path, NULL);
        else
                check_no_backsteps(e, &path, str_of(local, "path"));
        if (!json_has(spec, "nodeAffinity"))
                ferr_required(e, &affinity, "Local volume requires node affinity");
}

/* Which member of a spec is the volume's source. */
static const char *source_of(const struct json_object *spec)
{
        json_foreach (spec, field, val) {
                if (str_eq(field, "local") || volume_source_rule(field))
                        return field;
        }
        return NULL;
}

static void check_source(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        const char *first = source_of(spec);

        if (!first)
                ferr_required(e, p, "must specify a volume type");
        json_foreach (spec, field, source) {
                const struct volume_source_rule *rule = volume_source_rule(field);
                bool local = str_eq(field, "local");
                struct fpath at = fpath_child(p, rule ? rule->path : field);

                if (!rule && !local)
                        continue;
                if (field != first && !str_eq(field, first))
                        ferr_forbidden(e, &at, "may not specify more than 1 volume type");
                else if (local)
                        check_local(e, p, &at, spec);
                else if (str_eq(field, "csi"))
                        check_csi(e, &at, source);
                else
                        rule->check(e, &at, source);
        }
}

static void check_node_affinity(struct ferrs *e, const struct fpath *spec_path, const struct json_object *affinity)
{
        struct fpath p = fpath_child(spec_path, "nodeAffinity"), required = fpath_child(&p, "required");

        if (!affinity)
                return;
        if (json_has(affinity, "required"))
                check_node_selector(e, &required, json_get(affinity, "required"));
        else
                ferr_required(e, &required, "must specify required node constraints");
}

static void volumes_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const policies[] = {"Delete", "Recycle", "Retain", NULL};
        struct json_object *spec = json_get(obj, "spec");
        struct fpath p = fpath_child(NULL, "spec"), modes = fpath_child(&p, "accessModes"),
                     policy = fpath_child(&p, "persistentVolumeReclaimPolicy");

        if (!json_len(json_get(spec, "accessModes")))
                ferr_required(e, &modes, NULL);
        check_access_modes(e, &p, spec);
        check_capacity(e, &p, json_get(spec, "capacity"));
        check_one_of(e, &p, spec, "persistentVolumeReclaimPolicy", policies, false);
        check_node_affinity(e, &p, json_get(spec, "nodeAffinity"));
        check_source(e, &p, spec);
        if (str_eq(json_at_str(spec, "hostPath.path"), "/") &&
            str_eq(json_get_str(spec, "persistentVolumeReclaimPolicy"), "Recycle"))
                ferr_forbidden(e, &policy, "may not be 'recycle' for a hostPath mount of '/'");
        check_name_if(e, &p, spec, "storageClassName", NAME_DNS1123_SUBDOMAIN);
        check_volume_mode(e, &p, spec);
}

static void volumes_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                    struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec"), *was = json_get(old, "spec");
        const char *source = source_of(was);
        struct fpath p = fpath_child(NULL, "spec"), at = fpath_child(&p, "persistentvolumesource"),
                     affinity = fpath_child(NULL, "nodeAffinity");

        if (source && !json_equal(json_get(spec, source), json_get(was, source)))
                ferr_forbidden(e, &at, "spec.persistentvolumesource is immutable after creation");
        check_immutable(e, NULL, spec, was, "volumeMode");
        if (json_has(was, "nodeAffinity") && !json_equal(json_get(spec, "nodeAffinity"), json_get(was, "nodeAffinity")))
                ferr_invalid(e, &affinity, json_get(spec, "nodeAffinity"),
                             "field is immutable, except for updating from beta label to GA");
}

const struct kind_ops kind_persistentvolumes = {
        .group = "",
        .plural = "persistentvolumes",
        .flags = KIND_STATUS_RESET,
        .defaults = volumes_defaults,
        .prepare_create = volumes_prepare_create,
        .validate = volumes_validate,
        .validate_update = volumes_validate_update,
        .prepare_status = volumes_prepare_status,
};
