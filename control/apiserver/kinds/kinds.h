/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds that have C of their own: KINDS lists them once, and registry.c makes the table out of it. A kind's file
 * defines `const struct kind_ops kind_<name>`.
 */
#pragma once

#include "apiserver/kind.h"

/* What runs, and where. */
#define KINDS_WORKLOADS(X)                                                                                             \
        X(controllerrevisions)                                                                                         \
        X(core_events)                                                                                                 \
        X(cronjobs)                                                                                                    \
        X(daemonsets)                                                                                                  \
        X(deployments)                                                                                                 \
        X(events)                                                                                                      \
        X(jobs)                                                                                                        \
        X(limitranges)                                                                                                 \
        X(namespaces)                                                                                                  \
        X(nodes)                                                                                                       \
        X(persistentvolumeclaims)                                                                                      \
        X(persistentvolumes)                                                                                           \
        X(pods)                                                                                                        \
        X(podtemplates)                                                                                                \
        X(replicasets)                                                                                                 \
        X(replicationcontrollers)                                                                                      \
        X(resourcequotas)                                                                                              \
        X(statefulsets)

/* The network, configuration, access, policy, storage and extension. */
#define KINDS_SERVICES(X)                                                                                              \
        X(apiservices)                                                                                                 \
        X(certificatesigningrequests)                                                                                  \
        X(clusterrolebindings)                                                                                         \
        X(clusterroles)                                                                                                \
        X(configmaps)                                                                                                  \
        X(csidrivers)                                                                                                  \
        X(csinodes)                                                                                                    \
        X(csistoragecapacities)                                                                                        \
        X(customresourcedefinitions)                                                                                   \
        X(endpoints)                                                                                                   \
        X(endpointslices)                                                                                              \
        X(horizontalpodautoscalers)                                                                                    \
        X(ingressclasses)                                                                                              \
        X(ingresses)                                                                                                   \
        X(ipaddresses)                                                                                                 \
        X(leases)                                                                                                      \
        X(mutatingadmissionpolicies)                                                                                   \
        X(mutatingadmissionpolicybindings)                                                                             \
        X(mutatingwebhookconfigurations)                                                                               \
        X(networkpolicies)                                                                                             \
        X(poddisruptionbudgets)                                                                                        \
        X(priorityclasses)                                                                                             \
        X(rolebindings)                                                                                                \
        X(roles)                                                                                                       \
        X(runtimeclasses)                                                                                              \
        X(secrets)                                                                                                     \
        X(servicecidrs)                                                                                                \
        X(services)                                                                                                    \
        X(storageclasses)                                                                                              \
        X(validatingadmissionpolicies)                                                                                 \
        X(validatingadmissionpolicybindings)                                                                           \
        X(validatingwebhookconfigurations)                                                                             \
        X(volumeattachments)                                                                                           \
        X(volumeattributesclasses)

#define KINDS(X) KINDS_WORKLOADS(X) KINDS_SERVICES(X)

#define KIND_DECLARE(name) extern const struct kind_ops kind_##name;
KINDS(KIND_DECLARE)
#undef KIND_DECLARE

/*
 * Two versions of one stored kind. to_storage and from_storage convert obj in place, all of it but apiVersion, which
 * the caller sets.
 */
struct kind_conversion {
        const char *group, *version, *plural;
        const char *stored_group, *stored_version;
        void (*to_storage)(struct json_object *obj);
        void (*from_storage)(struct json_object *obj);
};

#define KIND_CONVERSIONS(X) X(events) X(autoscaler_v1)

#define KIND_DECLARE_CONVERSION(name) extern const struct kind_conversion kind_conversion_##name;
KIND_CONVERSIONS(KIND_DECLARE_CONVERSION)
#undef KIND_DECLARE_CONVERSION
