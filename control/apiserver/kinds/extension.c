/* SPDX-License-Identifier: Apache-2.0 */
/* CustomResourceDefinitions and APIServices: validated and stored. */
#include <ctype.h>
#include <string.h>

#include "apiserver/kinds/admission.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"

static char *lowered(struct arena *a, const char *s)
{
        char *lower = arena_strdup(a, s);

        for (char *c = lower; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return lower;
}

static void crd_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *names = json_ensure(spec, "names");
        const char *kind = str_of(names, "kind");

        if (*kind) {
                json_default_str(names, "singular", lowered(c->arena, kind));
                json_default_str(names, "listKind", arena_printf(c->arena, "%sList", kind));
        }
        json_default_str(json_ensure(spec, "conversion"), "strategy", "None");
        admission_default_client(json_at(spec, "conversion.webhook.clientConfig"));
}

/* A version that objects were once stored in stays listed until an administrator has moved them. */
static void note_stored_version(struct json_object *obj)
{
        struct json_object *status = json_ensure(obj, "status"), *stored = json_get(status, "storedVersions");
        const char *version = NULL;

        json_array_foreach (json_at(obj, "spec.versions"), i, v)
                if (json_get_bool(v, "storage", false))
                        version = str_of(v, "name");
        if (!version)
                return;
        for (size_t i = 0; i < json_len(stored); i++)
                if (str_eq(str_at(stored, i), version))
                        return;
        if (!json_is_array(stored)) {
                stored = json_object_new_array();
                json_set(status, "storedVersions", stored);
        }
        json_object_array_add(stored, json_object_new_string(version));
}

static void crd_prepare_create(const struct kctx *c, struct json_object *obj)
{
        json_del(obj, "status");
        note_stored_version(obj);
}

static void crd_prepare_update(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        json_del(obj, "status");
        if (json_has(old, "status"))
                json_set(obj, "status", json_copy(json_get(old, "status")));
        note_stored_version(obj);
}

static void check_lower_name(const char *value, const struct fpath *p, struct ferrs *e)
{
        struct name_errors errors;
        size_t n = name_check(NAME_DNS1035_LABEL, lowered(e->arena, value), &errors);

        for (size_t i = 0; i < n; i++)
                ferr_invalid_str(e, p, value, "may have mixed case, but should otherwise match: %s", errors.msg[i]);
}

static void check_names(const struct json_object *names, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *shorts = json_get(names, "shortNames"), *categories = json_get(names, "categories");

        check_name_required(e, p, names, "plural", NAME_DNS1035_LABEL);
        check_name_if(e, p, names, "singular", NAME_DNS1035_LABEL);
        if (str_empty(str_of(names, "kind")))
                ferr_required(e, FP(p, "kind"), NULL);
        else
                check_lower_name(str_of(names, "kind"), FP(p, "kind"), e);
        if (!str_empty(str_of(names, "listKind")))
                check_lower_name(str_of(names, "listKind"), FP(p, "listKind"), e);
        for (size_t i = 0; i < json_len(shorts); i++)
                check_name(e, FPI(FP(p, "shortNames"), i), NAME_DNS1035_LABEL, str_at(shorts, i));
        for (size_t i = 0; i < json_len(categories); i++)
                check_name(e, FPI(FP(p, "categories"), i), NAME_DNS1035_LABEL, str_at(categories, i));
        if (!str_empty(str_of(names, "kind")) && str_eq(str_of(names, "kind"), str_of(names, "listKind")))
                ferr_invalid_str(e, FP(p, "listKind"), str_of(names, "listKind"),
                                 "kind and listKind may not be the same");
}

static void check_column(const struct json_object *column, const struct fpath *p, struct ferrs *e)
{
        static const char *const types[] = {"boolean", "date", "integer", "number", "string", NULL};
        const char *path = str_of(column, "jsonPath");

        if (str_empty(str_of(column, "name")))
                ferr_required(e, FP(p, "name"), NULL);
        check_one_of(e, p, column, "type", types, true);
        if (!*path)
                ferr_required(e, FP(p, "jsonPath"), NULL);
        else if (*path != '.')
                ferr_invalid_str(e, FP(p, "jsonPath"), path, "must be a json path starting with .");
}

static void check_scale(const struct json_object *scale, const struct fpath *p, struct ferrs *e)
{
        static const struct {
                const char *field, *prefix;
                bool required;
        } paths[] = {{"specReplicasPath", ".spec.", true},
                     {"statusReplicasPath", ".status.", true},
                     {"labelSelectorPath", ".status.", false}};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                const char *path = str_of(scale, paths[i].field);

                if (!*path && paths[i].required)
                        ferr_required(e, FP(p, paths[i].field), NULL);
                else if (*path && !str_has_prefix(path, paths[i].prefix) && !(i == 2 && str_has_prefix(path, ".spec.")))
                        ferr_invalid_str(e, FP(p, paths[i].field), path, "should be a json path under %.*s",
                                         (int)strlen(paths[i].prefix) - 1, paths[i].prefix);
        }
}

static void check_version(const struct json_object *version, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *schema = json_at(version, "schema.openAPIV3Schema");
        const struct json_object *scale = json_at(version, "subresources.scale");
        const char *type = str_of(schema, "type");

        check_name(e, FP(p, "name"), NAME_DNS1035_LABEL, str_of(version, "name"));
        if (!schema)
                ferr_required(e, FP(FP(p, "schema"), "openAPIV3Schema"), "schemas are required");
        else if (!*type)
                ferr_required(e, FP(FP(FP(p, "schema"), "openAPIV3Schema"), "type"), "must not be empty at the root");
        else if (!str_eq(type, "object"))
                ferr_invalid_str(e, FP(FP(FP(p, "schema"), "openAPIV3Schema"), "type"), type,
                                 "must be object at the root");
        json_array_foreach (json_get(version, "additionalPrinterColumns"), i, column)
                check_column(column, FPI(FP(p, "additionalPrinterColumns"), i), e);
        if (scale)
                check_scale(scale, FP(FP(p, "subresources"), "scale"), e);
}

static void check_versions(const struct json_object *versions, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set names = NAME_SET_NULL;
        bool unique = true;
        size_t stored = 0;

        json_array_foreach (versions, i, version) {
                check_version(version, FPI(p, i), e);
                unique &= name_set_add(&names, str_of(version, "name"));
                stored += json_get_bool(version, "storage", false);
        }
        if (!unique)
                ferr_invalid(e, p, versions, "must contain unique version names");
        if (stored != 1)
                ferr_invalid(e, p, versions, "must have exactly one version marked as storage version");
}

static void check_conversion(const struct json_object *conversion, const struct fpath *p, struct ferrs *e)
{
        static const char *const strategies[] = {"None", "Webhook", NULL};
        const struct json_object *hook = json_get(conversion, "webhook");

        check_one_of(e, p, conversion, "strategy", strategies, true);
        if (!str_eq(str_of(conversion, "strategy"), "Webhook")) {
                if (hook)
                        ferr_forbidden(e, FP(p, "webhook"), "should not be set when strategy is not set to Webhook");
                return;
        }
        if (!json_has(hook, "clientConfig"))
                ferr_required(e, FP(FP(p, "webhook"), "clientConfig"), "required when strategy is set to Webhook");
        else
                admission_check_client(json_get(hook, "clientConfig"), FP(FP(p, "webhook"), "clientConfig"), e);
        if (!json_len(json_get(hook, "conversionReviewVersions")))
                ferr_required(e, FP(FP(p, "webhook"), "conversionReviewVersions"), NULL);
}

static void check_crd_name(const struct json_object *obj, struct ferrs *e)
{
        const char *name = json_at_str(obj, "metadata.name"), *plural = json_at_str(obj, "spec.names.plural");
        const char *group = json_at_str(obj, "spec.group");

        if (name && !str_eq(name, arena_printf(e->arena, "%s.%s", plural ? plural : "", group ? group : "")))
                ferr_invalid_str(e, FP(FP(NULL, "metadata"), "name"), name,
                                 "must be spec.names.plural+\".\"+spec.group");
}

static void crd_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const scopes[] = {"Cluster", "Namespaced", NULL};
        const struct json_object *spec = json_get(obj, "spec");
        const char *group = str_of(spec, "group");
        const struct fpath *p = FP(NULL, "spec");

        check_crd_name(obj, e);
        if (!*group)
                ferr_required(e, FP(p, "group"), NULL);
        else if (name_error(NAME_DNS1123_SUBDOMAIN, group))
                check_name(e, FP(p, "group"), NAME_DNS1123_SUBDOMAIN, group);
        else if (!strchr(group, '.'))
                ferr_invalid_str(e, FP(p, "group"), group, "should be a domain with at least one dot");
        check_one_of(e, p, spec, "scope", scopes, true);
        check_versions(json_get(spec, "versions"), FP(p, "versions"), e);
        if (json_get_bool(spec, "preserveUnknownFields", false))
                ferr_invalid(e, FP(p, "preserveUnknownFields"), json_get(spec, "preserveUnknownFields"),
                             "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
                             "spec.versions[*].schema instead");
        check_names(json_get(spec, "names"), FP(p, "names"), e);
        check_conversion(json_get(spec, "conversion"), FP(p, "conversion"), e);
}

static void crd_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec"), *before = json_get(old, "spec");
        const struct fpath *p = FP(NULL, "spec");

        check_immutable_str(e, p, spec, before, "group");
        check_immutable_str(e, FP(p, "names"), json_get(spec, "names"), json_get(before, "names"), "plural");
        if (!condition_is_true(json_get(old, "status"), "Established"))
                return;
        check_immutable_str(e, p, spec, before, "scope");
        check_immutable_str(e, FP(p, "names"), json_get(spec, "names"), json_get(before, "names"), "kind");
}

const struct kind_ops kind_customresourcedefinitions = {
        .group = "apiextensions.k8s.io",
        .plural = "customresourcedefinitions",
        .flags = KIND_GENERATION | KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = crd_defaults,
        .prepare_create = crd_prepare_create,
        .prepare_update = crd_prepare_update,
        .validate = crd_validate,
        .validate_update = crd_validate_update,
};

#define GROUP_PRIORITY_MAX   20000
#define VERSION_PRIORITY_MAX 1000

static void service_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *service = json_at(obj, "spec.service");

        if (service)
                json_default_i64(service, "port", 443);
}

static void check_priority(const struct json_object *spec, const char *field, int64_t max, const struct fpath *p,
                           struct ferrs *e)
{
        int64_t v = json_get_i64(spec, field, 0);

        if (v <= 0 || v > max)
                ferr_invalid_i64(e, FP(p, field), v, "must be positive and less than %lld", (long long)max);
}

static void check_target(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *service = json_get(spec, "service");
        const struct fpath *s = FP(p, "service");
        int64_t port = json_get_i64(service, "port", 443);

        if (!service) {
                if (json_has(spec, "caBundle"))
                        ferr_invalid_str(e, FP(p, "caBundle"), str_of(spec, "caBundle"),
                                         "local APIServices may not have a caBundle");
                if (json_get_bool(spec, "insecureSkipTLSVerify", false))
                        ferr_invalid(e, FP(p, "insecureSkipTLSVerify"), json_get(spec, "insecureSkipTLSVerify"),
                                     "local APIServices may not have insecureSkipTLSVerify");
                return;
        }
        if (str_empty(str_of(service, "namespace")))
                ferr_required(e, FP(s, "namespace"), NULL);
        if (str_empty(str_of(service, "name")))
                ferr_required(e, FP(s, "name"), NULL);
        if (port < 1 || port > 65535)
                ferr_invalid_i64(e, FP(s, "port"), port, "port is not valid: " MSG_PORT_RANGE);
        if (json_get_bool(spec, "insecureSkipTLSVerify", false) && json_has(spec, "caBundle"))
                ferr_invalid(e, FP(p, "insecureSkipTLSVerify"), json_get(spec, "insecureSkipTLSVerify"),
                             "may not be true if caBundle is present");
}

static void service_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const char *group = str_of(spec, "group"), *version = str_of(spec, "version");
        const char *name = json_at_str(obj, "metadata.name");
        char *wanted = arena_printf(e->arena, "%s.%s", version, group);
        const struct fpath *p = FP(NULL, "spec");

        if (name && !str_eq(name, wanted))
                ferr_invalid_str(e, FP(FP(NULL, "metadata"), "name"), name,
                                 "must be `spec.version+\".\"+spec.group`: \"%s\"", wanted);
        if (*group)
                check_name(e, FP(p, "group"), NAME_DNS1123_SUBDOMAIN, group);
        else if (!str_eq(version, "v1"))
                ferr_required(e, FP(p, "group"), "only v1 may have an empty group and it better be legacy kube");
        check_name(e, FP(p, "version"), NAME_DNS1035_LABEL, version);
        check_priority(spec, "groupPriorityMinimum", GROUP_PRIORITY_MAX, p, e);
        check_priority(spec, "versionPriority", VERSION_PRIORITY_MAX, p, e);
        check_target(spec, p, e);
}

static const char *api_service_name(const char *name)
{
        return name_error(NAME_PATH_SEGMENT, name);
}

const struct kind_ops kind_apiservices = {
        .group = "apiregistration.k8s.io",
        .plural = "apiservices",
        .flags = KIND_STATUS_RESET | KIND_NO_UNCONDITIONAL_UPDATE,
        .validate_name = api_service_name,
        .defaults = service_defaults,
        .validate = service_validate,
};
