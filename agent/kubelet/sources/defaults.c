/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes' defaults of a Pod (k8s.io/kubernetes pkg/apis/core/v1/defaults), for pods that no API server has seen. */
#include <string.h>

#include "agent/kubelet/sources/manifest.h"
#include "base/str.h"

static void probe_defaults(struct json_object *probe)
{
        struct json_object *get = json_get(probe, "httpGet");

        if (!json_is_object(probe))
                return;
        json_default_i64(probe, "timeoutSeconds", 1);
        json_default_i64(probe, "periodSeconds", 10);
        json_default_i64(probe, "successThreshold", 1);
        json_default_i64(probe, "failureThreshold", 3);
        if (get) {
                json_default_str(get, "path", "/");
                json_default_str(get, "scheme", "HTTP");
        }
}

/* "latest", said or meant, is pulled anew each time. */
static const char *pull_policy(const char *image)
{
        const char *slash = strrchr(image, '/'), *colon = strrchr(image, ':');
        bool tagged = colon && (!slash || colon > slash), digest = strchr(image, '@') != NULL;

        return !digest && (!tagged || str_eq(colon, ":latest")) ? "Always" : "IfNotPresent";
}

/* A limit is a request where nothing else is said. */
static void resources_defaults(struct json_object *resources)
{
        struct json_object *limits = json_get(resources, "limits");

        if (!json_is_object(limits))
                return;
        json_foreach (limits, name, value)
                if (!json_has(json_get(resources, "requests"), name))
                        json_set(json_ensure(resources, "requests"), name, json_copy(value));
}

static void container_defaults(struct json_object *c)
{
        const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};

        json_default_str(c, "imagePullPolicy", pull_policy(json_get_str(c, "image") ?: ""));
        json_default_str(c, "terminationMessagePath", "/dev/termination-log");
        json_default_str(c, "terminationMessagePolicy", "File");
        json_array_foreach (json_get(c, "ports"), i, port)
                json_default_str(port, "protocol", "TCP");
        json_array_foreach (json_get(c, "env"), j, env) {
                struct json_object *ref = json_at(env, "valueFrom.fieldRef");

                if (ref)
                        json_default_str(ref, "apiVersion", "v1");
        }
        for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
                probe_defaults(json_get(c, probes[i]));
        resources_defaults(json_get(c, "resources"));
}

static void volume_defaults(struct json_object *v)
{
        const char *const kinds[] = {"configMap", "secret", "projected", "downwardAPI"};
        bool any = false;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (json_get(v, kinds[i]))
                        json_default_i64(json_get(v, kinds[i]), "defaultMode", 0644);
        json_foreach (v, key, value)
                any = any || !str_eq(key, "name");
        if (!any)
                json_ensure(v, "emptyDir");
        if (json_get(v, "hostPath"))
                json_default_str(json_get(v, "hostPath"), "type", "");
        json_array_foreach (json_at(v, "projected.sources"), j, source)
                if (json_get(source, "serviceAccountToken"))
                        json_default_i64(json_get(source, "serviceAccountToken"), "expirationSeconds", 3600);
}

/* On the node's network a container's port is the node's. */
static void host_ports(struct json_object *container)
{
        json_array_foreach (json_get(container, "ports"), i, port)
                json_default_i64(port, "hostPort", json_get_i64(port, "containerPort", 0));
}

void manifest_defaults(struct json_object *pod)
{
        struct json_object *spec = json_ensure(pod, "spec");
        const char *const lists[] = {"initContainers", "containers"};
        bool host_network = json_get_bool(spec, "hostNetwork", false);

        json_default_str(spec, "restartPolicy", "Always");
        json_default_str(spec, "dnsPolicy", "ClusterFirst");
        json_default_str(spec, "schedulerName", "default-scheduler");
        json_default_i64(spec, "terminationGracePeriodSeconds", 30);
        json_default_bool(spec, "enableServiceLinks", true);
        json_ensure(spec, "securityContext");
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                json_array_foreach (json_get(spec, lists[i]), j, container) {
                        container_defaults(container);
                        if (host_network)
                                host_ports(container);
                }
        }
        json_array_foreach (json_get(spec, "volumes"), k, volume)
                volume_defaults(volume);
}
