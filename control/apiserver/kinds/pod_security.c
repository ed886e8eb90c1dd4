/* SPDX-License-Identifier: Apache-2.0 */
/* Security contexts of pods and containers, the host's namespaces, and the operating system. */
#include <stdint.h>
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define WINDOWS_ONLY  "windows options cannot be set for a linux pod"
#define NOT_WINDOWS   "cannot be set for a windows pod"
#define SYSCTL_FORMAT "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"

static const char *const profile_types[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};

static void check_seccomp(struct ferrs *e, const struct fpath *parent, const struct json_object *context)
{
        struct json_object *profile = json_get(context, "seccompProfile");
        struct fpath p = fpath_child(parent, "seccompProfile"), at_type = fpath_child(&p, "type"),
                     at_local = fpath_child(&p, "localhostProfile");
        const char *type = str_of(profile, "type");

        if (!profile)
                return;
        if (!*type)
                ferr_required(e, &at_type, "type is required when seccompProfile is set");
        else if (!one_of(type, profile_types))
                ferr_not_supported(e, &at_type, type, profile_types);
        if (!str_eq(type, "Localhost")) {
                if (json_has(profile, "localhostProfile"))
                        ferr_invalid(e, &at_local, profile, "can only be set when seccomp type is Localhost");
        } else if (!json_has(profile, "localhostProfile")) {
                ferr_required(e, &at_local, "must be set when seccomp type is Localhost");
        } else {
                check_descending_path(e, &at_local, str_of(profile, "localhostProfile"));
        }
}

static void check_app_armor_local(struct ferrs *e, const struct fpath *p, const char *local)
{
        size_t n = strlen(local);

        if (!n || strspn(local, " \t\r\n") == n)
                ferr_required(e, p, "must be set when AppArmor type is Localhost");
        else if (strchr(" \t\r\n", local[0]) || strchr(" \t\r\n", local[n - 1]))
                ferr_invalid_str(e, p, local, "must not be padded with whitespace");
        if (n > 4095)
                ferr_too_long(e, p, 4095);
}

static void check_app_armor(struct ferrs *e, const struct fpath *parent, const struct json_object *context)
{
        struct json_object *profile = json_get(context, "appArmorProfile");
        struct fpath p = fpath_child(parent, "appArmorProfile"), at_type = fpath_child(&p, "type"),
                     at_local = fpath_child(&p, "localhostProfile");
        const char *type = str_of(profile, "type");

        if (!profile)
                return;
        if (!*type)
                ferr_required(e, &at_type, "type is required when appArmorProfile is set");
        else if (!one_of(type, profile_types))
                ferr_not_supported(e, &at_type, type, profile_types);
        else if (str_eq(type, "Localhost"))
                check_app_armor_local(e, &at_local, str_of(profile, "localhostProfile"));
        else if (json_has(profile, "localhostProfile"))
                ferr_invalid(e, &at_local, json_get(profile, "localhostProfile"),
                             "can only be set when AppArmor type is Localhost");
}

static bool is_sysctl_name(const char *s)
{
        bool start = true;

        if (strlen(s) > 253)
                return false;
        for (; *s; s++) {
                bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9');
                bool sep = *s == '.' || *s == '/';

                if (!alnum && !sep && *s != '-' && *s != '_')
                        return false;
                if (!alnum && (start || !s[1] || (!sep && (s[1] == '.' || s[1] == '/'))))
                        return false;
                start = sep;
        }
        return !start;
}

/* "net.ipv4.tcp_syncookies" is the network namespace's. */
static bool is_net_sysctl(const char *name)
{
        return str_has_prefix(name, "net.") || str_has_prefix(name, "net/");
}

static bool is_ipc_sysctl(const char *name)
{
        return str_has_prefix(name, "kernel.shm") || str_has_prefix(name, "kernel.msg") ||
               str_has_prefix(name, "fs.mqueue.") || str_eq(name, "kernel.sem");
}

static void check_sysctls(struct pod_check *pc, const struct fpath *parent, const struct json_object *list)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        struct fpath p = fpath_child(parent, "sysctls");

        json_array_foreach (list, i, sysctl) {
                struct fpath item = fpath_index(&p, i), at = fpath_child(&item, "name");
                const char *name = str_of(sysctl, "name");

                if (!*name)
                        ferr_required(pc->e, &at, NULL);
                else if (!is_sysctl_name(name))
                        ferr_invalid_str(pc->e, &at, name, "must have at most 253 characters and match regex %s",
                                         SYSCTL_FORMAT);
                else if (!name_set_add(&seen, name))
                        ferr_duplicate_str(pc->e, &at, name);
                if (pc->host_network && is_net_sysctl(name))
                        ferr_invalid_str(pc->e, &at, name, "may not be specified when 'hostNetwork' is true");
                else if (json_get_bool(pc->spec, "hostIPC", false) && is_ipc_sysctl(name))
                        ferr_invalid_str(pc->e, &at, name, "may not be specified when 'hostIPC' is true");
        }
}

static void check_ids(struct ferrs *e, const struct fpath *p, const struct json_object *context)
{
        static const char *const ids[] = {"fsGroup", "runAsUser", "runAsGroup", NULL};
        struct fpath groups = fpath_child(p, "supplementalGroups");

        for (const char *const *id = ids; *id; id++)
                check_range(e, p, context, *id, 0, INT32_MAX);
        json_array_foreach (json_get(context, "supplementalGroups"), i, gid) {
                struct fpath at = fpath_index(&groups, i);
                int64_t v = json_object_get_int64(gid);

                if (v < 0 || v > INT32_MAX)
                        ferr_invalid_i64(e, &at, v, MSG_ID_RANGE);
        }
}

static void check_pod_context(struct pod_check *pc, const struct fpath *p, const struct json_object *context)
{
        static const char *const group_policies[] = {"Always", "OnRootMismatch", NULL};
        static const char *const supplemental[] = {"Merge", "Strict", NULL};
        static const char *const selinux[] = {"MountOption", "Recursive", NULL};

        check_ids(pc->e, p, context);
        check_sysctls(pc, p, json_get(context, "sysctls"));
        check_one_of(pc->e, p, context, "fsGroupChangePolicy", group_policies, false);
        check_seccomp(pc->e, p, context);
        check_app_armor(pc->e, p, context);
        check_one_of(pc->e, p, context, "supplementalGroupsPolicy", supplemental, false);
        check_one_of(pc->e, p, context, "seLinuxChangePolicy", selinux, false);
}

/* A user namespace of its own does not go with the host's other namespaces. */
static void check_host_users(struct pod_check *pc, const struct fpath *spec)
{
        static const struct {
                const char *field, *path;
        } fields[] = {{"hostNetwork", "hostNetwork"}, {"hostPID", "HostPID"}, {"hostIPC", "HostIPC"}};

        if (pc->host_users)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                struct fpath at = fpath_child(spec, fields[i].path);

                if (json_get_bool(pc->spec, fields[i].field, false))
                        ferr_forbidden(pc->e, &at, "when `pod.Spec.HostUsers` is false");
        }
}

static void forbid_fields(struct ferrs *e, const struct fpath *p, const struct json_object *o,
                          const char *const *fields, const char *msg)
{
        for (; *fields; fields++) {
                struct fpath at = fpath_child(p, *fields);
                struct json_object *v = json_get(o, *fields);

                if (v && !(json_object_is_type(v, json_type_boolean) && !json_object_get_boolean(v) &&
                           str_has_prefix(*fields, "host") && !str_eq(*fields, "hostUsers")))
                        ferr_forbidden(e, &at, "%s", msg);
        }
}

static const char *const windows_fields[] = {"windowsOptions", NULL};
static const char *const linux_pod_fields[] = {"hostUsers", "hostPID", "hostIPC", "shareProcessNamespace", NULL};
static const char *const linux_context_fields[] = {
        "appArmorProfile",     "seLinuxOptions",
        "seccompProfile",      "fsGroup",
        "fsGroupChangePolicy", "sysctls",
        "runAsUser",           "runAsGroup",
        "supplementalGroups",  "supplementalGroupsPolicy",
        "seLinuxChangePolicy", NULL,
};
static const char *const linux_container_fields[] = {
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
        NULL,
};

static void check_os_of_containers(struct pod_check *pc, const struct fpath *spec, bool windows)
{
        static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers", NULL};

        for (const char *const *list = lists; *list; list++) {
                struct fpath p = fpath_child(spec, *list);

                json_array_foreach (json_get(pc->spec, *list), i, container) {
                        struct fpath item = fpath_index(&p, i), at = fpath_child(&item, "securityContext");
                        struct json_object *context = json_get(container, "securityContext");

                        if (windows)
                                forbid_fields(pc->e, &at, context, linux_container_fields, NOT_WINDOWS);
                        else
                                forbid_fields(pc->e, &at, context, windows_fields, WINDOWS_ONLY);
                }
        }
}

static void check_os(struct pod_check *pc, const struct fpath *spec)
{
        static const char *const systems[] = {"linux", "windows", NULL};
        struct json_object *os = json_get(pc->spec, "os"), *context = json_get(pc->spec, "securityContext");
        struct fpath p = fpath_child(spec, "os"), name = fpath_child(&p, "name"),
                     at = fpath_child(spec, "securityContext");
        const char *text = str_of(os, "name");

        if (!os)
                return;
        if (!*text) {
                ferr_required(pc->e, &name, "cannot be empty");
        } else if (!one_of(text, systems)) {
                ferr_not_supported(pc->e, &p, text, systems);
        } else if (str_eq(text, "linux")) {
                forbid_fields(pc->e, &at, context, windows_fields, WINDOWS_ONLY);
                check_os_of_containers(pc, spec, false);
        } else {
                forbid_fields(pc->e, &at, context, linux_context_fields, NOT_WINDOWS);
                forbid_fields(pc->e, spec, pc->spec, linux_pod_fields, NOT_WINDOWS);
                check_os_of_containers(pc, spec, true);
        }
}

void pod_check_security(struct pod_check *pc, const struct fpath *spec)
{
        struct json_object *context = json_get(pc->spec, "securityContext");
        struct fpath p = fpath_child(spec, "securityContext"), share = fpath_child(&p, "shareProcessNamespace");

        if (context && json_object_object_length(context))
                check_pod_context(pc, &p, context);
        if (json_get_bool(pc->spec, "shareProcessNamespace", false) && json_get_bool(pc->spec, "hostPID", false))
                ferr_invalid(pc->e, &share, json_get(pc->spec, "shareProcessNamespace"),
                             "ShareProcessNamespace and HostPID cannot both be enabled");
        check_host_users(pc, spec);
        check_os(pc, spec);
}

static void check_escalation(struct pod_check *pc, const struct fpath *p, const struct json_object *context)
{
        if (json_get_bool(context, "allowPrivilegeEscalation", true))
                return;
        if (json_get_bool(context, "privileged", false))
                ferr_invalid(pc->e, p, context,
                             "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        json_array_foreach (json_at(context, "capabilities.add"), i, cap) {
                if (str_eq(json_object_get_string(cap), "CAP_SYS_ADMIN"))
                        ferr_invalid(pc->e, p, context,
                                     "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                                     "CAP_SYS_ADMIN");
        }
}

void container_check_security(struct pod_check *pc, const struct fpath *container_path,
                              const struct json_object *container)
{
        static const char *const proc_mounts[] = {"Default", "Unmasked", NULL};
        struct json_object *context = json_get(container, "securityContext");
        struct fpath p = fpath_child(container_path, "securityContext"), privileged = fpath_child(&p, "privileged"),
                     proc = fpath_child(&p, "procMount");

        if (!context)
                return;
        if (json_get_bool(context, "privileged", false) && !pc->c->config->allow_privileged)
                ferr_forbidden(pc->e, &privileged, "disallowed by cluster policy");
        check_range(pc->e, &p, context, "runAsUser", 0, INT32_MAX);
        check_range(pc->e, &p, context, "runAsGroup", 0, INT32_MAX);
        check_one_of(pc->e, &p, context, "procMount", proc_mounts, false);
        if (pc->host_users && str_eq(json_get_str(context, "procMount"), "Unmasked"))
                ferr_invalid_str(pc->e, &proc, "Unmasked", "`hostUsers` must be false to use `Unmasked`");
        check_seccomp(pc->e, &p, context);
        check_escalation(pc, &p, context);
        check_app_armor(pc->e, &p, context);
}
