/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumeClaims. */
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/pod_check.h"
#include "apiserver/kinds/volumes.h"
#include "base/str.h"

#define STORAGE_CLASS_BETA "volume.beta.kubernetes.io/storage-class"
#define MSG_SPEC                                                                                                       \
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"

void check_access_modes(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        static const char *const modes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
        struct fpath p = fpath_child(spec_path, "accessModes");
        bool once_pod = false, other = false;

        json_array_foreach (json_get(spec, "accessModes"), i, mode) {
                const char *text = json_object_get_string(mode);

                if (!one_of(text, modes))
                        ferr_not_supported(e, &p, text, modes);
                else if (str_eq(text, "ReadWriteOncePod"))
                        once_pod = true;
                else
                        other = true;
        }
        if (once_pod && other)
                ferr_forbidden(e, &p, "may not use ReadWriteOncePod with other access modes");
}

static void check_data_source(struct ferrs *e, const struct fpath *p, const struct json_object *source)
{
        const char *group = str_of(source, "apiGroup"), *kind = str_of(source, "kind");

        if (!source)
                return;
        check_required(e, p, source, "name");
        check_required(e, p, source, "kind");
        if (!*group && !str_eq(kind, "PersistentVolumeClaim"))
                ferr_invalid_str(e, p, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
        check_name_if(e, p, source, "apiGroup", NAME_DNS1123_SUBDOMAIN);
        check_name_if(e, p, source, "namespace", NAME_DNS1123_LABEL);
}

static void check_data_sources(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        static const char *const fields[] = {"apiGroup", "kind", "name", NULL};
        struct json_object *source = json_get(spec, "dataSource"), *ref = json_get(spec, "dataSourceRef");
        struct fpath at_source = fpath_child(p, "dataSource"), at_ref = fpath_child(p, "dataSourceRef");

        check_data_source(e, &at_source, source);
        check_data_source(e, &at_ref, ref);
        if (!source || !ref)
                return;
        if (*str_of(ref, "namespace")) {
                ferr_invalid(e, p, source, "may not be specified when dataSourceRef.namespace is specified");
                return;
        }
        for (const char *const *f = fields; *f; f++)
                if (!str_eq(str_of(source, *f), str_of(ref, *f))) {
                        ferr_invalid(e, p, source, "must match dataSourceRef");
                        return;
                }
}

void check_volume_mode(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        static const char *const modes[] = {"Block", "Filesystem", NULL};

        check_one_of(e, p, spec, "volumeMode", modes, false);
}

void claim_spec_validate(const struct fpath *p, const struct json_object *spec, struct ferrs *e)
{
        struct fpath modes = fpath_child(p, "accessModes"), selector = fpath_child(p, "selector"),
                     resources = fpath_child(p, "resources"), storage = fpath_key(&resources, "storage");
        const char *size = json_at_str(spec, "resources.requests.storage");

        if (!json_len(json_get(spec, "accessModes")))
                ferr_required(e, &modes, "at least 1 access mode is required");
        check_label_selector(e, &selector, json_get(spec, "selector"));
        check_access_modes(e, p, spec);
        if (!size)
                ferr_required(e, &storage, NULL);
        else if (quantity_text_cmp(size, "0") <= 0)
                ferr_invalid_str(e, &storage, size, MSG_NOT_POSITIVE);
        check_name_if(e, p, spec, "storageClassName", NAME_DNS1123_SUBDOMAIN);
        check_volume_mode(e, p, spec);
        check_data_sources(e, p, spec);
        check_name_if(e, p, spec, "volumeAttributesClassName", NAME_DNS1123_SUBDOMAIN);
}

/* dataSource and dataSourceRef say the same, unless the reference is to another namespace. */
static void sync_data_sources(struct json_object *spec)
{
        struct json_object *source = json_get(spec, "dataSource"), *ref = json_get(spec, "dataSourceRef");
        bool known = str_eq(str_of(ref, "kind"), "PersistentVolumeClaim") ||
                     (str_eq(str_of(ref, "apiGroup"), "snapshot.storage.k8s.io") &&
                      str_eq(str_of(ref, "kind"), "VolumeSnapshot"));

        if (source && !ref)
                json_set(spec, "dataSourceRef", json_copy(source));
        else if (ref && !source && known && !*str_of(ref, "namespace"))
                json_set(spec, "dataSource", json_copy(ref));
}

static void claims_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_get(obj, "spec");

        claim_spec_defaults(spec);
        json_default_str(json_ensure(obj, "status"), "phase", "Pending");
        if (spec)
                sync_data_sources(spec);
}

static void claims_prepare_create(const struct kctx *c, struct json_object *obj)
{
        struct json_object *status = json_object_new_object();

        json_set_str(status, "phase", "Pending");
        json_set(obj, "status", status);
}

static void claims_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct fpath p = fpath_child(NULL, "spec");

        claim_spec_validate(&p, json_get(obj, "spec"), e);
}

static void restore(struct json_object *o, const struct json_object *from, const char *name)
{
        struct json_object *v = json_get(from, name);

        if (v)
                json_set(o, name, json_copy(v));
        else
                json_del(o, name);
}

/* volumeName and storageClassName may be set once; a bound claim may ask for another size and attributes. */
static void check_spec_update(struct ferrs *e, const struct json_object *obj, const struct json_object *old)
{
        struct json_object *was = json_get(old, "spec");
        _cleanup_json_ struct json_object *is = json_copy(json_get(obj, "spec"));
        bool bound = str_eq(json_at_str(obj, "status.phase"), "Bound");
        struct fpath p = fpath_child(NULL, "spec");

        if (!*str_of(was, "volumeName"))
                json_del(is, "volumeName");
        if (!json_has(was, "storageClassName"))
                json_del(is, "storageClassName");
        if (bound && json_at(is, "resources.requests"))
                restore(json_at(is, "resources.requests"), json_at(was, "resources.requests"), "storage");
        if (bound && json_has(is, "volumeAttributesClassName"))
                restore(is, was, "volumeAttributesClassName");
        if (!json_equal(is, was))
                ferr_forbidden(e, &p, MSG_SPEC);
}

static void claims_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec"), *was = json_get(old, "spec"),
                           *annotations = json_at(obj, "metadata.annotations");
        struct fpath meta = fpath_child(NULL, "metadata"), list = fpath_child(&meta, "annotations"),
                     beta = fpath_child(&list, STORAGE_CLASS_BETA), p = fpath_child(NULL, "spec"),
                     resources = fpath_child(&p, "resources"), requests = fpath_child(&resources, "requests"),
                     storage = fpath_child(&requests, "storage"), class = fpath_child(&p, "volumeAttributesClassName");
        const char *size = json_at_str(spec, "resources.requests.storage"),
                   *capacity = json_at_str(old, "status.capacity.storage");

        if (!str_eq(str_of(annotations, STORAGE_CLASS_BETA),
                    str_of(json_at(old, "metadata.annotations"), STORAGE_CLASS_BETA)))
                ferr_invalid_str(e, &beta, str_of(annotations, STORAGE_CLASS_BETA), MSG_IMMUTABLE);
        check_spec_update(e, obj, old);
        if (quantity_text_cmp(size, json_at_str(was, "resources.requests.storage")) < 0 &&
            quantity_text_cmp(size, capacity) <= 0)
                ferr_forbidden(e, &storage, "field can not be less than status.capacity");
        check_immutable(e, NULL, spec, was, "volumeMode");
        if (json_has(was, "volumeAttributesClassName") && !json_has(spec, "volumeAttributesClassName"))
                ferr_forbidden(e, &class, "update from non-nil value to nil is forbidden");
}

static void claims_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        struct fpath p = fpath_child(NULL, "status"), capacity = fpath_child(&p, "capacity");

        json_foreach (json_at(obj, "status.capacity"), name, val) {
                struct fpath at = fpath_key(&capacity, name);

                check_resource_quantity(e, &at, name, json_object_get_string(val));
        }
}

const struct kind_ops kind_persistentvolumeclaims = {
        .group = "",
        .plural = "persistentvolumeclaims",
        .flags = KIND_STATUS_RESET,
        .defaults = claims_defaults,
        .prepare_create = claims_prepare_create,
        .validate = claims_validate,
        .validate_update = claims_validate_update,
        .validate_status = claims_validate_status,
};
