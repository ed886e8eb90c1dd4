/* SPDX-License-Identifier: Apache-2.0 */
/* Environment variables, and the references to a pod's own fields that volumes have too. */
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

static const char *const env_fields[] = {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs", NULL,
};
static const char *const volume_fields[] = {
        "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", NULL,
};
/* What may be named at all; the rest is no label of the downward API. */
static const char *const downward_fields[] = {
        "metadata.annotations", "metadata.labels", "metadata.name",      "metadata.namespace",
        "metadata.uid",         "spec.nodeName",   "spec.restartPolicy", "spec.serviceAccountName",
        "spec.schedulerName",   "status.phase",    "status.hostIP",      "status.hostIPs",
        "status.podIP",         "status.podIPs",   "spec.host",          NULL,
};
static const char *const resource_fields[] = {
        "limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
        "requests.cpu", "requests.ephemeral-storage", "requests.memory",
        NULL,
};

/* "metadata.labels['app']" -> metadata.labels and app. False when there is no subscript. */
static bool split_subscript(struct arena *a, const char *path, const char **ret_field, const char **ret_key)
{
        size_t n = strlen(path);
        const char *open = strstr(path, "['");

        if (!open || n < 4 || strcmp(path + n - 2, "']") != 0 || open + 2 > path + n - 2)
                return false;
        *ret_field = arena_strndup(a, path, (size_t)(open - path));
        *ret_key = arena_strndup(a, open + 2, (size_t)(path + n - 2 - (open + 2)));
        return true;
}

static void check_subscript(struct ferrs *e, const struct fpath *p, const char *field, const char *key)
{
        char *lower = arena_strdup(e->arena, key);

        if (str_eq(field, "metadata.annotations")) {
                for (char *s = lower; *s; s++)
                        *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
                check_name(e, p, NAME_LABEL_KEY, lower);
        } else if (str_eq(field, "metadata.labels")) {
                check_name(e, p, NAME_LABEL_KEY, key);
        } else {
                ferr_invalid_str(e, p, field, "does not support subscript");
        }
}

void check_field_ref(struct ferrs *e, const struct fpath *p, const struct json_object *ref, enum field_ref_place place)
{
        const char *const *supported = place == FIELD_OF_ENV ? env_fields : volume_fields;
        const char *path = str_of(ref, "fieldPath"), *version = str_of(ref, "apiVersion"), *field = path, *key = NULL;
        struct fpath at = fpath_child(p, "fieldPath");
        bool subscript;

        if (!check_required(e, p, ref, "apiVersion") || !check_required(e, p, ref, "fieldPath"))
                return;
        if (!str_eq(version, "v1")) {
                ferr_invalid_str(e, &at, path, "error converting fieldPath: unsupported pod version: %s", version);
                return;
        }
        subscript = split_subscript(e->arena, path, &field, &key);
        if (!subscript && !one_of(field, downward_fields))
                ferr_invalid_str(e, &at, path, "error converting fieldPath: field label not supported: %s", path);
        else if (subscript && !str_eq(field, "metadata.annotations") && !str_eq(field, "metadata.labels"))
                ferr_invalid_str(e, &at, path, "error converting fieldPath: field label does not support subscript: %s",
                                 path);
        else if (subscript)
                check_subscript(e, p, field, key);
        else if (!one_of(field, supported))
                ferr_not_supported(e, &at, field, supported);
}

static void check_divisor(struct ferrs *e, const struct fpath *parent, const char *resource, const char *divisor)
{
        static const char *const of_cpu[] = {"1m", "1", NULL};
        static const char *const of_bytes[] = {"1",   "1k",  "1M",  "1G",  "1T",  "1P",  "1E",
                                               "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
        struct fpath p = fpath_child(parent, "divisor");
        const char *what;

        if (!*divisor || str_eq(divisor, "0"))
                return;
        if (str_has_suffix(resource, ".cpu")) {
                if (!one_of(divisor, of_cpu))
                        ferr_invalid_str(e, &p, resource,
                                         "only divisor's values 1m and 1 are supported with the cpu resource");
                return;
        }
        what = str_has_suffix(resource, ".memory")              ? "memory"
               : str_has_suffix(resource, ".ephemeral-storage") ? "local ephemeral storage"
               : strstr(resource, ".hugepages-")                ? "hugepages"
                                                                : NULL;
        if (what && !one_of(divisor, of_bytes))
                ferr_invalid_str(e, &p, resource,
                                 "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
                                 "supported with the %s resource",
                                 what);
}

void check_resource_field_ref(struct ferrs *e, const struct fpath *p, const struct json_object *ref,
                              enum field_ref_place place)
{
        const char *resource = str_of(ref, "resource");
        struct fpath at = fpath_child(p, "resource");

        if (place == FIELD_OF_VOLUME && !*str_of(ref, "containerName"))
                check_required(e, p, ref, "containerName");
        else if (!*resource)
                check_required(e, p, ref, "resource");
        else if (!one_of(resource, resource_fields) && !str_has_prefix(resource, "requests.hugepages-") &&
                 !str_has_prefix(resource, "limits.hugepages-"))
                ferr_not_supported(e, &at, resource, resource_fields);
        check_divisor(e, p, resource, str_of(ref, "divisor"));
}

static void check_key_ref(struct ferrs *e, const struct fpath *p, const struct json_object *ref)
{
        struct fpath name = fpath_child(p, "name");

        check_name(e, &name, NAME_DNS1123_SUBDOMAIN, str_of(ref, "name"));
        check_name_required(e, p, ref, "key", NAME_CONFIG_KEY);
}

static void check_file_key_ref(struct ferrs *e, const struct fpath *p, const struct json_object *ref)
{
        struct fpath path = fpath_child(p, "path");

        check_name_required(e, p, ref, "key", NAME_ENV_VAR_RELAXED);
        check_required(e, p, ref, "volumeName");
        if (check_required(e, p, ref, "path"))
                check_non_reserved_path(e, &path, str_of(ref, "path"));
}

static void check_value_from(struct ferrs *e, const struct fpath *parent, const struct json_object *var)
{
        struct json_object *from = json_get(var, "valueFrom"), *ref;
        struct fpath p = fpath_child(parent, "valueFrom"), at;
        int sources = 0;

        if (!from)
                return;
        at = fpath_child(&p, "fieldRef");
        if ((ref = json_get(from, "fieldRef")) && ++sources)
                check_field_ref(e, &at, ref, FIELD_OF_ENV);
        at = fpath_child(&p, "resourceFieldRef");
        if ((ref = json_get(from, "resourceFieldRef")) && ++sources)
                check_resource_field_ref(e, &at, ref, FIELD_OF_ENV);
        at = fpath_child(&p, "configMapKeyRef");
        if ((ref = json_get(from, "configMapKeyRef")) && ++sources)
                check_key_ref(e, &at, ref);
        at = fpath_child(&p, "secretKeyRef");
        if ((ref = json_get(from, "secretKeyRef")) && ++sources)
                check_key_ref(e, &at, ref);
        at = fpath_child(&p, "fileKeyRef");
        if ((ref = json_get(from, "fileKeyRef")) && ++sources)
                check_file_key_ref(e, &at, ref);
        if (!sources)
                ferr_invalid_str(e, &p, "",
                                 "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
                                 "`secretKeyRef`");
        else if (*str_of(var, "value"))
                ferr_invalid_str(e, &p, "", "may not be specified when `value` is not empty");
        else if (sources > 1)
                ferr_invalid_str(e, &p, "", "may not have more than one field specified at a time");
}

static void check_env_from(struct ferrs *e, const struct fpath *p, const struct json_object *list)
{
        json_array_foreach (list, i, from) {
                struct fpath at = fpath_index(p, i), map = fpath_child(&at, "configMapRef"),
                             secret = fpath_child(&at, "secretRef");
                struct json_object *m = json_get(from, "configMapRef"), *s = json_get(from, "secretRef");

                check_name_if(e, &at, from, "prefix", NAME_ENV_VAR_RELAXED);
                if (m)
                        check_name_required(e, &map, m, "name", NAME_DNS1123_SUBDOMAIN);
                if (s)
                        check_name_required(e, &secret, s, "name", NAME_DNS1123_SUBDOMAIN);
                if (!m && !s)
                        ferr_invalid_str(e, p, "", "must specify one of: `configMapRef` or `secretRef`");
                else if (m && s)
                        ferr_invalid_str(e, p, "", "may not have more than one field specified at a time");
        }
}

void pod_check_env(struct ferrs *e, const struct fpath *container_path, const struct json_object *container)
{
        struct fpath env = fpath_child(container_path, "env"), env_from = fpath_child(container_path, "envFrom");

        json_array_foreach (json_get(container, "env"), i, var) {
                struct fpath at = fpath_index(&env, i);

                check_name_required(e, &at, var, "name", NAME_ENV_VAR_RELAXED);
                check_value_from(e, &at, var);
        }
        check_env_from(e, &env_from, json_get(container, "envFrom"));
}
