/* SPDX-License-Identifier: Apache-2.0 */
/* What a user leaves out of a pod, filled in as pkg/apis/core/v1/defaults.go does, so that `kubectl get -o yaml` shows
 * the same here as there. */
#include <ctype.h>
#include <string.h>

#include "apiserver/kinds/common.h"
#include "apiserver/kinds/pod.h"
#include "base/str.h"

#define MODE_0644 420

/* What follows the registry in "registry.example:5000/team/app:1"; the whole of it when no registry is named. */
static const char *image_path(const char *image)
{
        size_t n = strcspn(image, "/");
        bool host = false;

        if (!image[n])
                return image;
        for (size_t i = 0; i < n; i++)
                host |= image[i] == '.' || image[i] == ':' || isupper((unsigned char)image[i]);
        return host || (n == 9 && memcmp(image, "localhost", 9) == 0) ? image + n + 1 : image;
}

const char *image_pull_policy(const char *image)
{
        const char *path = image_path(image), *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
        const char *tag = strchr(last, ':');

        /* A name that is no image reference has no tag, so not "latest" either. */
        for (const char *s = path; *s && s != tag; s++)
                if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && !strchr("._-/", *s))
                        return "IfNotPresent";
        if (!*last)
                return "IfNotPresent";
        if (!tag)
                return "Always";
        return strcmp(tag, ":latest") == 0 || str_has_prefix(tag, ":latest@") ? "Always" : "IfNotPresent";
}

static void field_ref_defaults(struct json_object *ref)
{
        if (ref)
                json_default_str(ref, "apiVersion", "v1");
}

static void downward_items_defaults(struct json_object *items)
{
        json_array_foreach (items, i, item) {
                field_ref_defaults(json_get(item, "fieldRef"));
        }
}

static void http_get_defaults(struct json_object *http)
{
        if (!http)
                return;
        json_default_str(http, "path", "/");
        json_default_str(http, "scheme", "HTTP");
}

static void probe_defaults(struct json_object *probe)
{
        struct json_object *grpc;

        if (!probe)
                return;
        http_get_defaults(json_get(probe, "httpGet"));
        grpc = json_get(probe, "grpc");
        if (grpc)
                json_default_str(grpc, "service", "");
        json_default_i64(probe, "timeoutSeconds", 1);
        json_default_i64(probe, "periodSeconds", 10);
        json_default_i64(probe, "successThreshold", 1);
        json_default_i64(probe, "failureThreshold", 3);
}

static void env_defaults(struct json_object *env)
{
        json_array_foreach (env, i, var) {
                struct json_object *from = json_get(var, "valueFrom"), *file = json_get(from, "fileKeyRef");

                field_ref_defaults(json_get(from, "fieldRef"));
                if (file)
                        json_default_bool(file, "optional", false);
        }
}

static void container_defaults(struct json_object *container)
{
        struct json_object *lifecycle = json_get(container, "lifecycle");

        json_array_foreach (json_get(container, "ports"), i, port) {
                json_default_str(port, "protocol", "TCP");
        }
        env_defaults(json_get(container, "env"));
        probe_defaults(json_get(container, "livenessProbe"));
        probe_defaults(json_get(container, "readinessProbe"));
        probe_defaults(json_get(container, "startupProbe"));
        if (lifecycle) {
                http_get_defaults(json_get(json_get(lifecycle, "postStart"), "httpGet"));
                http_get_defaults(json_get(json_get(lifecycle, "preStop"), "httpGet"));
        }
        json_default_str(container, "terminationMessagePath", "/dev/termination-log");
        json_default_str(container, "terminationMessagePolicy", "File");
        if (!json_has(container, "imagePullPolicy"))
                json_set_str(container, "imagePullPolicy", image_pull_policy(str_of(container, "image")));
}

void claim_spec_defaults(struct json_object *spec)
{
        if (spec)
                json_default_str(spec, "volumeMode", "Filesystem");
}

static void projected_defaults(struct json_object *projected)
{
        json_default_i64(projected, "defaultMode", MODE_0644);
        json_array_foreach (json_get(projected, "sources"), i, source) {
                struct json_object *token = json_get(source, "serviceAccountToken");

                downward_items_defaults(json_get(json_get(source, "downwardAPI"), "items"));
                if (token)
                        json_default_i64(token, "expirationSeconds", 3600);
        }
}

static void mode_defaults(struct json_object *source)
{
        json_default_i64(source, "defaultMode", MODE_0644);
}

static void downward_defaults(struct json_object *source)
{
        mode_defaults(source);
        downward_items_defaults(json_get(source, "items"));
}

static void host_path_defaults(struct json_object *source)
{
        json_default_str(source, "type", "");
}

static void iscsi_defaults(struct json_object *source)
{
        json_default_str(source, "iscsiInterface", "default");
}

static void rbd_defaults(struct json_object *source)
{
        json_default_str(source, "pool", "rbd");
        json_default_str(source, "user", "admin");
        json_default_str(source, "keyring", "/etc/ceph/keyring");
}

static void azure_disk_defaults(struct json_object *source)
{
        json_default_str(source, "cachingMode", "ReadWrite");
        json_default_str(source, "kind", "Shared");
        json_default_str(source, "fsType", "ext4");
        json_default_bool(source, "readOnly", false);
}

static void scale_io_defaults(struct json_object *source)
{
        json_default_str(source, "storageMode", "ThinProvisioned");
        json_default_str(source, "fsType", "xfs");
}

static void ephemeral_defaults(struct json_object *source)
{
        claim_spec_defaults(json_at(source, "volumeClaimTemplate.spec"));
}

static void image_volume_defaults(struct json_object *source)
{
        if (!json_has(source, "pullPolicy"))
                json_set_str(source, "pullPolicy", image_pull_policy(str_of(source, "reference")));
}

static const struct {
        const char *source;
        void (*fill)(struct json_object *source);
} volume_rules[] = {
        {"secret", mode_defaults},
        {"configMap", mode_defaults},
        {"downwardAPI", downward_defaults},
        {"projected", projected_defaults},
        {"hostPath", host_path_defaults},
        {"iscsi", iscsi_defaults},
        {"rbd", rbd_defaults},
        {"azureDisk", azure_disk_defaults},
        {"scaleIO", scale_io_defaults},
        {"ephemeral", ephemeral_defaults},
        {"image", image_volume_defaults},
};

static void volume_defaults(struct json_object *volume)
{
        bool any = false;

        json_foreach (volume, key, source) {
                any |= strcmp(key, "name") != 0;
                for (size_t i = 0; i < ARRAY_SIZE(volume_rules); i++)
                        if (strcmp(key, volume_rules[i].source) == 0 && json_is_object(source))
                                volume_rules[i].fill(source);
        }
        if (!any)
                json_set(volume, "emptyDir", json_object_new_object());
}

static void each_container_defaults(struct json_object *containers)
{
        json_array_foreach (containers, i, container) {
                container_defaults(container);
        }
}

/* serviceAccount is the old name of serviceAccountName: both are always the same. */
static void service_account_alias(struct json_object *spec)
{
        const char *name = json_get_str(spec, "serviceAccountName"), *old = json_get_str(spec, "serviceAccount");

        if (str_empty(name) && !str_empty(old))
                json_set_str(spec, "serviceAccountName", old);
        else if (!str_empty(name) && !str_eq(name, old))
                json_set_str(spec, "serviceAccount", name);
        else if (str_empty(name))
                json_del(spec, "serviceAccount");
}

void pod_spec_defaults(struct json_object *spec)
{
        if (!spec)
                return;
        json_array_foreach (json_get(spec, "volumes"), i, volume) {
                volume_defaults(volume);
        }
        each_container_defaults(json_get(spec, "initContainers"));
        each_container_defaults(json_get(spec, "containers"));
        each_container_defaults(json_get(spec, "ephemeralContainers"));
        service_account_alias(spec);
        json_default_str(spec, "restartPolicy", "Always");
        json_default_i64(spec, "terminationGracePeriodSeconds", 30);
        json_default_str(spec, "dnsPolicy", "ClusterFirst");
        json_ensure(spec, "securityContext");
        json_default_str(spec, "schedulerName", "default-scheduler");
}

void pod_template_defaults(struct json_object *template)
{
        if (template)
                pod_spec_defaults(json_ensure(template, "spec"));
}

static void copy_absent(struct json_object *to, const struct json_object *from)
{
        json_foreach (from, key, val) {
                if (!json_has(to, key))
                        json_set(to, key, json_object_get(val));
        }
}

static void requests_from_limits(struct json_object *containers)
{
        json_array_foreach (containers, i, container) {
                struct json_object *resources = json_get(container, "resources"),
                                   *limits = json_get(resources, "limits");

                if (limits && json_object_object_length(limits))
                        copy_absent(json_ensure(resources, "requests"), limits);
        }
}

/* A resource that some container requests, or else the pod's limit, is what a pod with limits of its own requests. */
static void pod_level_requests(struct json_object *spec)
{
        struct json_object *resources = json_get(spec, "resources"), *limits = json_get(resources, "limits");
        bool by_containers = false;

        json_foreach (limits, name, limit) {
                by_containers = false;
                json_array_foreach (json_get(spec, "containers"), i, container) {
                        by_containers |= json_has(json_get(json_get(container, "resources"), "requests"), name);
                }
                if (!by_containers && !json_has(json_get(resources, "requests"), name))
                        json_set(json_ensure(resources, "requests"), name, json_object_get(limit));
        }
}

static void host_ports(struct json_object *containers)
{
        json_array_foreach (containers, i, container) {
                json_array_foreach (json_get(container, "ports"), j, port) {
                        json_default_i64(port, "hostPort", json_get_i64(port, "containerPort", 0));
                }
        }
}

/* podIP is the first of podIPs; when they differ, podIP wins. The same for hostIP. */
static void sync_ips(struct json_object *status, const char *one, const char *all)
{
        struct json_object *list = json_get(status, all), *item;
        const char *ip = json_get_str(status, one), *first = json_get_str(json_idx(list, 0), "ip");

        if (!str_empty(ip) && !str_eq(ip, first)) {
                item = json_object_new_object();
                json_set_str(item, "ip", ip);
                list = json_object_new_array();
                json_object_array_add(list, item);
                json_set(status, all, list);
        } else if (str_empty(ip) && !str_empty(first)) {
                json_set_str(status, one, first);
        }
}

void pod_defaults(const struct kctx *c, struct json_object *pod)
{
        struct json_object *spec = json_ensure(pod, "spec"), *status = json_get(pod, "status");

        pod_spec_defaults(spec);
        requests_from_limits(json_get(spec, "containers"));
        requests_from_limits(json_get(spec, "initContainers"));
        pod_level_requests(spec);
        json_default_bool(spec, "enableServiceLinks", true);
        if (json_get_bool(spec, "hostNetwork", false)) {
                host_ports(json_get(spec, "containers"));
                host_ports(json_get(spec, "initContainers"));
        }
        if (status)
                sync_ips(status, "podIP", "podIPs");
}
