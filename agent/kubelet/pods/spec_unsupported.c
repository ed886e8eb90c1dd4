/* SPDX-License-Identifier: Apache-2.0 */
/* What pods may ask for and this node cannot do: named by its path, so that nothing is ignored. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/kubelet/pods/spec_impl.h"
#include "base/str.h"

struct search {
        const struct json_object *pod, *spec;
        struct arena *mem;
        const char *found;
};

#define found(s, ...) ((s)->found = (s)->found ?: arena_printf((s)->mem, __VA_ARGS__))

static const char *const volume_kinds[] = {"emptyDir", "hostPath", "configMap", "secret", "projected", "downwardAPI"};

static bool is_supported_kind(const char *kind)
{
        for (size_t i = 0; i < ARRAY_SIZE(volume_kinds); i++)
                if (str_eq(volume_kinds[i], kind))
                        return true;
        return false;
}

static void look_at_volume(struct search *s, const struct json_object *volume, size_t i)
{
        const char *medium = json_get_str(json_get(volume, "emptyDir"), "medium");

        json_foreach (volume, kind, source)
                if (!str_eq(kind, "name") && source && !is_supported_kind(kind))
                        found(s, "spec.volumes[%zu].%s: not supported%s", i, kind,
                              str_eq(kind, "persistentVolumeClaim") ? " yet" : "");
        if (!str_empty(medium) && !str_eq(medium, "Memory"))
                found(s, "spec.volumes[%zu].emptyDir.medium: %s is not supported", i, medium);
        json_array_foreach (json_get(json_get(volume, "projected"), "sources"), k, one) {
                json_foreach (one, from, value)
                        if (value && !str_eq(from, "configMap") && !str_eq(from, "secret") &&
                            !str_eq(from, "downwardAPI") && !str_eq(from, "serviceAccountToken"))
                                found(s, "spec.volumes[%zu].projected.sources[%zu].%s: not supported", i, k, from);
        }
}

static bool kernel_has_apparmor(void)
{
        FILE *f = fopen("/sys/module/apparmor/parameters/enabled", "re");
        int c = f ? fgetc(f) : EOF;

        if (f)
                fclose(f);
        return c == 'Y';
}

static bool kernel_has_selinux(void)
{
        return access("/sys/fs/selinux/enforce", F_OK) == 0;
}

/* Of a pod or a container. Without SELinux its options mean nothing, and upstream passes over them, too. */
static void look_at_security(struct search *s, const char *path, const struct json_object *context)
{
        const char *apparmor = json_get_str(json_get(context, "appArmorProfile"), "type");

        if (apparmor && !str_eq(apparmor, "Unconfined")) {
                if (!kernel_has_apparmor())
                        found(s, "%s.securityContext.appArmorProfile: AppArmor is not enabled on the host", path);
                else if (!str_eq(apparmor, "Localhost"))
                        found(s, "%s.securityContext.appArmorProfile: only Localhost and Unconfined are supported",
                              path);
        }
        if (json_has(context, "seLinuxOptions") && kernel_has_selinux())
                found(s, "%s.securityContext.seLinuxOptions: not supported", path);
        if (json_has(context, "windowsOptions"))
                found(s, "%s.securityContext.windowsOptions: not supported on Linux", path);
}

static void look_at_env(struct search *s, const char *path, const struct json_object *container)
{
        json_array_foreach (json_get(container, "env"), i, var)
                if (json_has(json_get(var, "valueFrom"), "fileKeyRef"))
                        found(s, "%s.env[%zu].valueFrom.fileKeyRef: not supported", path, i);
}

/* Of a pod or a container. */
static void look_at_resources(struct search *s, const char *path, const struct json_object *resources)
{
        json_foreach (json_get(resources, "limits"), name, quantity)
                if (str_has_prefix(name, "hugepages-"))
                        found(s, "%s.resources.limits[%s]: huge pages are not supported", path, name);
        if (json_len(json_get(resources, "claims")))
                found(s, "%s.resources.claims: not supported", path);
}

static void look_at_containers(struct search *s, const char *list)
{
        json_array_foreach (json_get(s->spec, list), i, c) {
                const char *path = arena_printf(s->mem, "spec.%s[%zu]", list, i);

                if (json_len(json_get(c, "volumeDevices")))
                        found(s, "%s.volumeDevices: not supported", path);
                look_at_env(s, path, c);
                look_at_resources(s, path, json_get(c, "resources"));
                look_at_security(s, path, json_get(c, "securityContext"));
        }
}

const char *spec_unsupported(const struct json_object *pod, struct arena *mem)
{
        struct search s = {.pod = pod, .spec = json_get(pod, "spec"), .mem = mem};
        const char *os = json_at_str(pod, "spec.os.name");

        if (os && !str_eq(os, "linux"))
                found(&s, "spec.os.name: %s is not supported", os);
        if (!json_get_bool(s.spec, "hostUsers", true))
                found(&s, "spec.hostUsers: user namespaces are not supported");
        if (!str_empty(json_get_str(s.spec, "runtimeClassName")))
                found(&s, "spec.runtimeClassName: not supported");
        if (json_len(json_get(s.spec, "resourceClaims")))
                found(&s, "spec.resourceClaims: not supported");
        json_array_foreach (json_get(s.spec, "volumes"), i, volume)
                look_at_volume(&s, volume, i);
        look_at_security(&s, "spec", json_get(s.spec, "securityContext"));
        look_at_resources(&s, "spec", json_get(s.spec, "resources"));
        look_at_containers(&s, "initContainers");
        look_at_containers(&s, "containers");
        return s.found;
}

/* Those that are of a namespace, and harm no other pod. */
static const char *const safe_sysctls[] = {
        "kernel.shm_rmid_forced",           "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",     "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",      "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",          "net.ipv4.tcp_wmem",
};

static bool is_safe(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(safe_sysctls); i++)
                if (str_eq(safe_sysctls[i], name))
                        return true;
        return false;
}

/* With a slash as the first separator, slashes separate and dots belong to names. */
const char *spec_sysctl_name(const char *name, struct arena *mem)
{
        const char *first = strpbrk(name, "./");
        char *text = arena_strdup(mem, name);

        if (!first || *first == '.')
                return text;
        for (char *p = text; *p; p++)
                *p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
        return text;
}

const char *spec_forbidden_sysctl(const struct json_object *pod, struct arena *mem)
{
        const struct json_object *spec = json_get(pod, "spec");

        json_array_foreach (json_get(json_get(spec, "securityContext"), "sysctls"), i, one) {
                const char *name = spec_sysctl_name(json_get_str(one, "name") ?: "", mem);

                if (!is_safe(name))
                        return arena_printf(mem, "forbidden sysctl: \"%s\" not allowlisted", name);
                if (str_has_prefix(name, "net.") && json_get_bool(spec, "hostNetwork", false))
                        return arena_printf(mem, "forbidden sysctl: \"%s\" not allowed with host net enabled", name);
                if (!str_has_prefix(name, "net.") && json_get_bool(spec, "hostIPC", false))
                        return arena_printf(mem, "forbidden sysctl: \"%s\" not allowed with host ipc enabled", name);
        }
        return NULL;
}
