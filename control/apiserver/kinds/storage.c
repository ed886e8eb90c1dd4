/* SPDX-License-Identifier: Apache-2.0 */
/* StorageClasses, VolumeAttributesClasses and VolumeAttachments. */
#include <ctype.h>
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

#define STORAGE              "storage.k8s.io"
#define PARAMETERS_MAX       512
#define PARAMETERS_MAX_BYTES (256 << 10)
#define ERROR_MAX_BYTES      1024

static size_t map_bytes(const struct json_object *map)
{
        size_t total = 0;

        json_foreach (map, key, val)
                total += strlen(key) + (json_is_string(val) ? (size_t)json_object_get_string_len(val) : 0);
        return total;
}

/* A driver's name: a qualified name but for its case. */
static void check_provisioner(const struct json_object *obj, const char *field, struct ferrs *e)
{
        char *lower = arena_strdup(e->arena, str_of(obj, field));

        for (char *s = lower; *s; s++)
                *s = (char)tolower((unsigned char)*s);
        if (*lower)
                check_name(e, FP(NULL, field), NAME_LABEL_KEY, lower);
        else
                ferr_required(e, FP(NULL, field), NULL);
}

static void check_parameters(const struct json_object *map, bool required, struct ferrs *e)
{
        const struct fpath *p = FP(NULL, "parameters");
        size_t n = map ? (size_t)json_object_object_length(map) : 0;

        if (n > PARAMETERS_MAX) {
                ferr_too_long(e, p, PARAMETERS_MAX);
                return;
        }
        if (json_has(map, ""))
                ferr_invalid_str(e, p, "", "field can not be empty.");
        if (map_bytes(map) > PARAMETERS_MAX_BYTES)
                ferr_too_long(e, p, PARAMETERS_MAX_BYTES);
        if (required && !n)
                ferr_required(e, p, "must contain at least one key/value pair");
}

static void check_frozen(const struct json_object *obj, const struct json_object *old, const char *field,
                         struct ferrs *e)
{
        if (!json_equal(json_get(obj, field), json_get(old, field)))
                ferr_forbidden(e, FP(NULL, field), "updates to %s are forbidden.", field);
}

static void class_defaults(const struct kctx *c, struct json_object *obj)
{
        json_default_str(obj, "reclaimPolicy", "Delete");
        json_default_str(obj, "volumeBindingMode", "Immediate");
}

static void check_topology_requirement(const struct json_object *req, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *values = json_get(req, "values");

        if (!json_len(values))
                ferr_required(e, FP(p, "values"), NULL);
        for (size_t i = 0; i < json_len(values); i++)
                for (size_t j = 0; j < i; j++)
                        if (str_eq(str_at(values, i), str_at(values, j))) {
                                ferr_duplicate_str(e, FPI(FP(p, "values"), i), str_at(values, i));
                                break;
                        }
        check_name(e, FP(p, "key"), NAME_LABEL_KEY, str_of(req, "key"));
}

static void check_topologies(const struct json_object *terms, struct ferrs *e)
{
        const struct fpath *p = FP(NULL, "allowedTopologies");

        json_array_foreach (terms, i, term) {
                const struct fpath *at = FP(FPI(p, i), "matchLabelExpressions");

                json_array_foreach (json_get(term, "matchLabelExpressions"), j, req)
                        check_topology_requirement(req, FPI(at, j), e);
                for (size_t k = 0; k < i; k++)
                        if (json_equal(term, json_idx(terms, k)))
                                ferr_duplicate_str(e, at, "");
        }
}

static void class_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const policies[] = {"Delete", "Retain", NULL};
        static const char *const modes[] = {"Immediate", "WaitForFirstConsumer", NULL};

        check_provisioner(obj, "provisioner", e);
        check_parameters(json_get(obj, "parameters"), false, e);
        check_one_of(e, NULL, obj, "reclaimPolicy", policies, false);
        check_one_of(e, NULL, obj, "volumeBindingMode", modes, true);
        check_topologies(json_get(obj, "allowedTopologies"), e);
}

static void class_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                  struct ferrs *e)
{
        check_frozen(obj, old, "parameters", e);
        check_frozen(obj, old, "provisioner", e);
        check_frozen(obj, old, "reclaimPolicy", e);
        check_immutable_str(e, NULL, obj, old, "volumeBindingMode");
}

const struct kind_ops kind_storageclasses = {
        .group = STORAGE,
        .plural = "storageclasses",
        .defaults = class_defaults,
        .validate = class_validate,
        .validate_update = class_validate_update,
};

static void attributes_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_provisioner(obj, "driverName", e);
        check_parameters(json_get(obj, "parameters"), true, e);
}

static void attributes_validate_update(const struct kctx *c, const struct json_object *obj,
                                       const struct json_object *old, struct ferrs *e)
{
        check_frozen(obj, old, "driverName", e);
        check_frozen(obj, old, "parameters", e);
}

const struct kind_ops kind_volumeattributesclasses = {
        .group = STORAGE,
        .plural = "volumeattributesclasses",
        .validate = attributes_validate,
        .validate_update = attributes_validate_update,
};

static void check_source(const struct json_object *source, const struct fpath *p, struct ferrs *e)
{
        static const char exactly_one[] = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        const char *name = json_get_str(source, "persistentVolumeName");
        bool inline_spec = json_has(source, "inlineVolumeSpec");

        if (!inline_spec && !name)
                ferr_required(e, p, exactly_one);
        else if (inline_spec && name)
                ferr_forbidden(e, p, exactly_one);
        else if (name && !*name)
                ferr_required(e, FP(p, "persistentVolumeName"), "must specify non empty persistentVolumeName");
        else if (name)
                check_name(e, FP(p, "persistentVolumeName"), NAME_DNS1123_SUBDOMAIN, name);
}

static void check_volume_error(const struct json_object *status, const char *field, struct ferrs *e)
{
        const struct json_object *error = json_get(status, field);
        const struct fpath *p = FP(FP(NULL, "status"), field);
        int64_t code = json_get_i64(error, "errorCode", 0);

        if (strlen(str_of(error, "message")) > ERROR_MAX_BYTES)
                ferr_too_long(e, FP(p, "message"), PARAMETERS_MAX_BYTES);
        if (code < 0)
                ferr_invalid_i64(e, FP(p, "errorCode"), code, MSG_ID_RANGE);
}

static void check_attachment_status(const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *status = json_get(obj, "status");

        if (map_bytes(json_get(status, "attachmentMetadata")) > PARAMETERS_MAX_BYTES)
                ferr_too_long(e, FP(FP(NULL, "status"), "attachmentMetadata"), PARAMETERS_MAX_BYTES);
        check_volume_error(status, "attachError", e);
        check_volume_error(status, "detachError", e);
}

static void attachment_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const struct fpath *p = FP(NULL, "spec");

        check_name_required(e, p, spec, "attacher", NAME_DNS1123_SUBDOMAIN);
        check_source(json_get(spec, "source"), FP(p, "source"), e);
        check_name(e, FP(p, "nodeName"), NAME_DNS1123_SUBDOMAIN, str_of(spec, "nodeName"));
        check_attachment_status(obj, e);
}

static void attachment_validate_update(const struct kctx *c, const struct json_object *obj,
                                       const struct json_object *old, struct ferrs *e)
{
        check_immutable(e, NULL, obj, old, "spec");
}

static void attachment_validate_status(const struct kctx *c, const struct json_object *obj,
                                       const struct json_object *old, struct ferrs *e)
{
        check_attachment_status(obj, e);
}

const struct kind_ops kind_volumeattachments = {
        .group = STORAGE,
        .plural = "volumeattachments",
        .flags = KIND_STATUS_RESET | KIND_NO_UNCONDITIONAL_UPDATE,
        .validate = attachment_validate,
        .validate_update = attachment_validate_update,
        .validate_status = attachment_validate_status,
};
