/* SPDX-License-Identifier: Apache-2.0 */
/* The texts are upstream's: scripts and people read them in status.message. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/node/admission.h"
#include "agent/kubelet/node/affinity.h"
#include "agent/kubelet/pods/resources.h"
#include "agent/kubelet/sources/manifest.h"
#include "base/str.h"

#define CRITICAL_PRIORITY 2000000000

struct question {
        const struct json_object *pod, *node;
        const struct json_object *const *others;
        size_t nothers;
        char *reason;
        struct err *err;
};

static int refuse(const struct question *q, const char *reason, const char *message)
{
        str_copy(q->reason, 64, reason);
        return err_set(q->err, -EPERM, "%s", message);
}

static int refuse_predicate(const struct question *q, const char *name, const char *why)
{
        str_copy(q->reason, 64, name);
        return err_set(q->err, -EPERM, "Predicate %s failed: %s", name, why);
}

/* ---- resources ---- */

static int64_t amount(const struct quantity *q, const char *name)
{
        return str_eq(name, "cpu") ? quantity_milli(q) : quantity_value(q);
}

static int64_t request_of(const struct json_object *pod, const char *name)
{
        struct quantity q = pod_resource(pod, "requests", name, NULL);

        return amount(&q, name);
}

/* Of one that the node does not have, false. */
static bool allocatable_of(const struct question *q, const char *name, int64_t *ret)
{
        struct quantity v;
        bool there = resource_quantity(json_at(q->node, "status.allocatable"), name, &v);

        *ret = amount(&v, name);
        return there;
}

static int refuse_resource(const struct question *q, const char *name, int64_t requested, int64_t used,
                           int64_t capacity)
{
        snprintf(q->reason, 64, "OutOf%s", name);
        return err_set(q->err, -EPERM,
                       "Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: %lld", name,
                       (long long)requested, (long long)used, (long long)capacity);
}

/* Named by a domain, as devices are: what a node does not have of these may be the cluster's, and is left alone. */
static bool is_extended(const char *name)
{
        return strchr(name, '/') && !strstr(name, "kubernetes.io/");
}

static int check_resource(const struct question *q, const char *name)
{
        int64_t want = request_of(q->pod, name), used = 0, has;

        if (want <= 0 || (!allocatable_of(q, name, &has) && is_extended(name)))
                return 0;
        for (size_t i = 0; i < q->nothers; i++)
                used += request_of(q->others[i], name);
        return want > has - used ? refuse_resource(q, name, want, used, has) : 0;
}

static const char *const common[] = {"cpu", "memory", "ephemeral-storage"};

static bool is_common(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(common); i++)
                if (str_eq(common[i], name))
                        return true;
        return false;
}

/* What the list names beside the common ones. */
static int check_others(const struct question *q, const struct json_object *resources)
{
        json_foreach (json_get(resources, "requests"), name, value) {
                int r = is_common(name) ? 0 : check_resource(q, name);

                if (r)
                        return r;
        }
        return 0;
}

static int check_others_of(const struct question *q, const struct json_object *containers)
{
        int r = 0;

        json_array_foreach (containers, i, c) {
                r = check_others(q, json_get(c, "resources"));
                if (r)
                        break;
        }
        return r;
}

static int check_resources(const struct question *q)
{
        int64_t places;
        int r = 0;

        if (allocatable_of(q, "pods", &places) && (int64_t)q->nothers + 1 > places)
                return refuse_resource(q, "pods", 1, (int64_t)q->nothers, places);
        for (size_t i = 0; !r && i < ARRAY_SIZE(common); i++)
                r = check_resource(q, common[i]);
        if (!r)
                r = check_others(q, json_at(q->pod, "spec.resources"));
        if (!r)
                r = check_others_of(q, json_at(q->pod, "spec.containers"));
        return r ? r : check_others_of(q, json_at(q->pod, "spec.initContainers"));
}

/* ---- ports ---- */

typedef bool (*port_fn)(const void *userdata, const struct json_object *port);

/* Whether fn says so of a host port of a container, or of an init container that stays. */
static bool any_port(const struct json_object *pod, port_fn fn, const void *userdata)
{
        static const char *const lists[] = {"spec.containers", "spec.initContainers"};

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                json_array_foreach (json_at(pod, lists[i]), k, c) {
                        if (i && !container_is_sidecar(c))
                                continue;
                        json_array_foreach (json_get(c, "ports"), m, port)
                                if (json_get_i64(port, "hostPort", 0) > 0 && fn(userdata, port))
                                        return true;
                }
        }
        return false;
}

static const char *host_ip(const struct json_object *port)
{
        const char *ip = json_get_str(port, "hostIP");

        return str_empty(ip) || str_eq(ip, "0.0.0.0") || str_eq(ip, "::") ? NULL : ip;
}

static bool clashes(const void *userdata, const struct json_object *b)
{
        const struct json_object *a = userdata;
        const char *ip_a = host_ip(a), *ip_b = host_ip(b);

        return json_get_i64(a, "hostPort", 0) == json_get_i64(b, "hostPort", 0) &&
               str_eq(json_get_str(a, "protocol") ?: "TCP", json_get_str(b, "protocol") ?: "TCP") &&
               (!ip_a || !ip_b || str_eq(ip_a, ip_b));
}

static bool is_taken(const void *userdata, const struct json_object *port)
{
        const struct question *q = userdata;

        for (size_t i = 0; i < q->nothers; i++)
                if (any_port(q->others[i], clashes, port))
                        return true;
        return false;
}

/* ---- all of it ---- */

bool admission_is_static(const struct json_object *pod)
{
        const char *source = json_get_str(json_at(pod, "metadata.annotations"), CONFIG_SOURCE_ANNOTATION);

        return source && !str_eq(source, "api");
}

bool admission_is_critical(const struct json_object *pod)
{
        return admission_is_static(pod) || json_has(json_at(pod, "metadata.annotations"), CONFIG_MIRROR_ANNOTATION) ||
               json_at_i64(pod, "spec.priority", 0) >= CRITICAL_PRIORITY;
}

/* Nothing that leaves the node would help. */
static int check_kind(const struct question *q)
{
        const char *os = json_at_str(q->pod, "spec.os.name"),
                   *label = json_get_str(json_at(q->pod, "metadata.labels"), "kubernetes.io/os"),
                   *groups = json_at_str(q->pod, "spec.securityContext.supplementalGroupsPolicy");

        if (label && !str_eq(label, "linux"))
                return refuse(q, "PodOSSelectorNodeLabelDoesNotMatch",
                              "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label");
        if (os && !str_eq(os, "linux"))
                return refuse(q, "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS");
        if (str_eq(groups, "Strict") && !json_at_bool(q->node, "status.features.supplementalGroupsPolicy", false))
                return refuse(q, "SupplementalGroupsPolicyNotSupported",
                              "SupplementalGroupsPolicy=Strict is not supported in this node");
        return 0;
}

static int check_place(const struct question *q)
{
        const char *wanted = json_at_str(q->pod, "spec.nodeName");

        if (!affinity_allows(q->pod, q->node))
                return refuse_predicate(q, "NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
        if (!str_empty(wanted) && !str_eq(wanted, json_at_str(q->node, "metadata.name")))
                return refuse_predicate(q, "NodeName", "node(s) didn't match the requested node name");
        if (any_port(q->pod, is_taken, q))
                return refuse_predicate(q, "NodePorts", "node(s) didn't have free ports for the requested pod ports");
        if (!admission_is_static(q->pod) && taint_untolerated(q->pod, q->node, "NoExecute"))
                return refuse_predicate(q, "TaintToleration", "node(s) had taints that the pod didn't tolerate");
        return 0;
}

int admission_check(const struct json_object *pod, const struct json_object *const *others, size_t nothers,
                    const struct json_object *node, char reason[static 64], struct err *reterr)
{
        const struct question q = {
                .pod = pod, .node = node, .others = others, .nothers = nothers, .reason = reason, .err = reterr};
        int r = check_kind(&q);

        if (!r)
                r = check_resources(&q);
        return r ? r : check_place(&q);
}
