/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/authn.h"
#include "apiserver/authz.h"

#define READ  "get list watch"
#define WRITE "get list watch create update patch delete deletecollection"
#define GROUP "group:"

/* clang-format off */
static const struct authz_rule rules[] = {
        /* Everybody may ask whether the server is well; who is known may discover the API and ask about himself. */
        {GROUP "system:unauthenticated", "get", NULL, NULL, "/healthz /healthz/* /livez /livez/* /readyz /readyz/*"},
        {GROUP "system:authenticated", "get", NULL, NULL,
         "/healthz /healthz/* /livez /livez/* /readyz /readyz/* /version /version/ /api /api/* /apis /apis/* /openapi /openapi/*"},
        {GROUP "system:authenticated", "create", "authorization.k8s.io",
         "selfsubjectaccessreviews selfsubjectrulesreviews", NULL},
        {GROUP "system:authenticated", "create", "authentication.k8s.io", "selfsubjectreviews", NULL},
        {GROUP "system:masters", "*", "*", "*", NULL},
        {GROUP "system:masters", "*", NULL, NULL, "*"},
        {GROUP "system:serviceaccounts", "get", NULL, NULL,
         "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/"},
        {GROUP "system:monitoring", "get", NULL, NULL, "/metrics /livez /readyz /healthz"},

        /* The controllers act on everything that users may make; they read all to collect garbage. */
        {"system:kube-controller-manager", READ, "*", "*", NULL},
        {"system:kube-controller-manager", "create update patch delete deletecollection",
         "core apps batch autoscaling policy discovery.k8s.io networking.k8s.io coordination.k8s.io events.k8s.io "
         "certificates.k8s.io rbac.authorization.k8s.io storage.k8s.io resource.k8s.io", "*", NULL},
        {"system:kube-controller-manager", "delete deletecollection patch update", "*", "*", NULL},
        {"system:kube-controller-manager", "create", "authentication.k8s.io authorization.k8s.io",
         "tokenreviews subjectaccessreviews", NULL},

        {"system:kube-scheduler", READ, "core",
         "nodes pods namespaces services replicationcontrollers persistentvolumes persistentvolumeclaims", NULL},
        {"system:kube-scheduler", READ, "apps", "replicasets statefulsets", NULL},
        {"system:kube-scheduler", READ, "policy", "poddisruptionbudgets", NULL},
        {"system:kube-scheduler", READ, "storage.k8s.io",
         "storageclasses csinodes csidrivers csistoragecapacities volumeattachments", NULL},
        {"system:kube-scheduler", "get list watch delete", "core", "pods", NULL},
        {"system:kube-scheduler", "create", "core", "pods/binding bindings", NULL},
        {"system:kube-scheduler", "patch update", "core", "pods/status persistentvolumes persistentvolumeclaims", NULL},
        {"system:kube-scheduler", "create patch update", "core events.k8s.io", "events", NULL},
        {"system:kube-scheduler", "create get update patch list watch", "coordination.k8s.io", "leases", NULL},

        /* Nodes: the kubelet, and the agent that plays kube-proxy. */
        {GROUP "system:nodes", READ, "core", "services endpoints nodes pods namespaces configmaps secrets "
         "serviceaccounts persistentvolumes persistentvolumeclaims", NULL},
        {GROUP "system:nodes", READ, "discovery.k8s.io", "endpointslices", NULL},
        {GROUP "system:nodes", READ, "networking.k8s.io", "networkpolicies servicecidrs", NULL},
        {GROUP "system:nodes", READ, "node.k8s.io", "runtimeclasses", NULL},
        {GROUP "system:nodes", READ, "storage.k8s.io", "csidrivers volumeattachments", NULL},
        {GROUP "system:nodes", "create update patch", "core", "nodes nodes/status", NULL},
        {GROUP "system:nodes", "create delete", "core", "pods", NULL},
        {GROUP "system:nodes", "update patch", "core", "pods/status", NULL},
        {GROUP "system:nodes", "create", "core", "pods/eviction serviceaccounts/token", NULL},
        {GROUP "system:nodes", "create patch update", "core events.k8s.io", "events", NULL},
        {GROUP "system:nodes", WRITE, "coordination.k8s.io", "leases", NULL},
        {GROUP "system:nodes", WRITE, "storage.k8s.io", "csinodes", NULL},
        {GROUP "system:nodes", "create get list watch", "certificates.k8s.io", "certificatesigningrequests", NULL},
        {GROUP "system:nodes", "create", "authentication.k8s.io authorization.k8s.io",
         "tokenreviews subjectaccessreviews localsubjectaccessreviews", NULL},
        {"system:kube-proxy", READ, "core", "services endpoints nodes", NULL},
        {"system:kube-proxy", READ, "discovery.k8s.io", "endpointslices", NULL},
        {"system:kube-proxy", READ, "networking.k8s.io", "servicecidrs", NULL},
        {"system:kube-proxy", "create patch update", "core events.k8s.io", "events", NULL},
};
/* clang-format on */

static bool is_word(const char *word, size_t len, const char *value)
{
        return len == strlen(value) && memcmp(word, value, len) == 0;
}

/* Whether the blank-separated list has the value, or "*". */
static bool has_word(const char *list, const char *value)
{
        while (*list) {
                size_t len = strcspn(list, " ");

                if (is_word(list, len, "*") || is_word(list, len, value))
                        return true;
                list += len + strspn(list + len, " ");
        }
        return false;
}

static bool has_path(const char *list, const char *path)
{
        while (*list) {
                size_t len = strcspn(list, " ");
                bool open = list[len - 1] == '*';

                if (is_word(list, len, path) || (open && strncmp(list, path, len - 1) == 0))
                        return true;
                list += len + strspn(list + len, " ");
        }
        return false;
}

static bool is_about(const struct authz_rule *r, const struct user_info *u)
{
        size_t n = sizeof(GROUP) - 1;

        if (strncmp(r->subject, GROUP, n) == 0)
                return user_in_group(u, r->subject + n);
        return u->name && strcmp(r->subject, u->name) == 0;
}

static bool allows_resource(const struct authz_rule *r, const struct authz_attributes *a)
{
        const char *group = a->group && *a->group ? a->group : "core";
        char full[256];

        if (!r->groups || !has_word(r->groups, group))
                return false;
        if (!a->subresource || !*a->subresource)
                return has_word(r->resources, a->resource ? a->resource : "");
        snprintf(full, sizeof(full), "%s/%s", a->resource ? a->resource : "", a->subresource);
        return has_word(r->resources, full);
}

bool authorize(const struct authz_attributes *a, const char **ret_reason)
{
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
                const struct authz_rule *r = &rules[i];

                if (!is_about(r, a->user) || !has_word(r->verbs, a->verb))
                        continue;
                if (a->is_resource ? !allows_resource(r, a) : !r->paths || !has_path(r->paths, a->path))
                        continue;
                if (ret_reason)
                        *ret_reason = r->subject;
                return true;
        }
        if (ret_reason)
                *ret_reason = "";
        return false;
}

void authz_each_rule(const struct user_info *user, void (*fn)(void *arg, const struct authz_rule *rule), void *arg)
{
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                if (is_about(&rules[i], user))
                        fn(arg, &rules[i]);
}
