/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An API object as the cache keeps it: one block of memory, immutable, counted references, used by one thread.
 * Everything that it points to lies in the block. Texts are never NULL ("" when absent) unless said otherwise.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/jsontree.h"
#include "controllers/engine/resource.h"
#include "kube/selector.h"

struct owner {
        const char *api_version, *kind, *name, *uid;
        bool controller, block; /* blockOwnerDeletion */
};

struct kobj {
        const struct resource *resource;
        const char *key; /* "ns/name" or "name" */
        const char *ns, *name, *uid;
        uint64_t version; /* resourceVersion */
        int64_t generation;
        int64_t created_s, deleted_s; /* since 1970; deleted_s is 0 unless a deletionTimestamp is set */
        const struct label *labels, *annotations;
        const struct owner *owners;
        const char *const *finalizers;
        uint16_t nlabels, nannotations, nowners, nfinalizers;
        uint32_t refs;
        const char *text; /* KEEP_TEXT, KEEP_NODE: compact JSON without managedFields; else NULL */
        uint32_t text_len;
        const struct pod *pod;     /* KEEP_POD, else NULL */
        const struct node *node;   /* KEEP_NODE, else NULL */
        const struct slice *slice; /* KEEP_SLICE, else NULL */
};

enum pod_phase {
        POD_UNKNOWN, /* the phase Unknown, or one that nobody knows */
        POD_PENDING,
        POD_RUNNING,
        POD_SUCCEEDED,
        POD_FAILED,
};

enum tri {
        TRI_UNSET,
        TRI_TRUE,
        TRI_FALSE,
        TRI_UNKNOWN,
};

struct pod_condition {
        const char *type, *reason;
        enum tri status;
        int64_t since_s; /* lastTransitionTime; 0: none */
};

struct pod_port {
        const char *name, *protocol;
        int32_t port;
};

struct pod_toleration {
        const char *key, *op, *value, *effect;
        int64_t seconds; /* -1: for ever */
};

struct pod_container {
        const char *name;
        int32_t restarts;
        int32_t exit_code;    /* of state.terminated, else of lastState.terminated */
        bool init, ready;     /* init: of initContainerStatuses */
        bool terminated;      /* state.terminated */
        bool last_terminated; /* lastState.terminated */
        int64_t finished_s;   /* of state.terminated; 0: none */
        const char *waiting;  /* state.waiting.reason */
};

/* volumes[].persistentVolumeClaim */
struct pod_claim {
        const char *volume, *claim;
};

struct pod {
        enum pod_phase phase;
        const char *node;       /* spec.nodeName */
        const char *wants_node; /* metadata.name of the required node affinity's matchFields: a DaemonSet's pod */
        const char *hostname, *subdomain, *reason, *host_ip, *restart_policy, *nominated_node;
        const char *const *ips; /* podIPs, else podIP */
        const struct pod_condition *conditions;
        const struct pod_port *ports; /* of all containers and sidecars */
        const struct pod_toleration *tolerations;
        const struct pod_container *containers; /* statuses */
        const struct pod_claim *claims;
        int64_t started_s; /* status.startTime */
        int64_t active_deadline_s, observed_generation;
        int64_t grace_s; /* deletionGracePeriodSeconds; -1: none */
        int32_t priority;
        uint16_t nips, nconditions, nports, ntolerations, ncontainers, nclaims;
        uint16_t spec_containers; /* how many there are in spec.containers */
        bool host_network;
};

struct node_taint {
        const char *key, *value, *effect;
        int64_t added_s; /* 0: not told */
};

struct node_condition {
        const char *type, *reason;
        enum tri status;
        int64_t since_s, heartbeat_s; /* lastTransitionTime, lastHeartbeatTime; 0: none */
};

struct node_address {
        const char *type, *address;
};

struct node {
        const char *provider_id;
        const struct node_taint *taints;
        const struct node_condition *conditions;
        const struct node_address *addresses;
        const char *const *pod_cidrs; /* podCIDRs, else podCIDR */
        uint16_t ntaints, nconditions, naddresses, npod_cidrs;
        int64_t cpu_milli; /* of status.allocatable; 0: not told */
        bool unschedulable;
};

struct slice_port {
        const char *name, *protocol, *app; /* app: appProtocol */
        int32_t port;                      /* -1: every port */
};

struct slice_endpoint {
        const char *address; /* the first */
        const char *hostname, *node, *zone;
        const char *kind, *ns, *name, *uid; /* targetRef */
        const char *for_zone, *for_node;    /* hints: the first of each */
        enum tri ready, serving, terminating;
        bool odd; /* there is more than fits in here: several addresses or hints, other fields of the targetRef */
};

/* An EndpointSlice. They are large, many, and looked through whenever a pod of their service changes. */
struct slice {
        const char *address_type;
        const struct slice_port *ports;
        const struct slice_endpoint *endpoints;
        uint32_t nports, nendpoints;
};

/* One reference. NULL for an object without a name. */
struct kobj *kobj_new(const struct resource *r, const struct jnode *o);
/* The same from a tree of json.h. */
struct kobj *kobj_from_json(const struct resource *r, const struct json_object *o);
static inline const struct kobj *kobj_ref(const struct kobj *o)
{
        ((struct kobj *)(uintptr_t)o)->refs++;
        return o;
}
void kobj_unref(const struct kobj *o);
DEFINE_CLEANUP(const struct kobj *, kobj_unref)

/* The whole object as a tree; the caller owns it. KEEP_TEXT and KEEP_NODE only. */
struct json_object *kobj_json(const struct kobj *o);

/* NULL when there is none. */
const char *kobj_label(const struct kobj *o, const char *key);
const char *kobj_annotation(const struct kobj *o, const char *key);
/* The owner with controller: true; NULL: nobody controls it. */
const struct owner *kobj_controller(const struct kobj *o);
bool kobj_owned_by(const struct kobj *o, const char *uid); /* by any ownerReference */
bool kobj_has_finalizer(const struct kobj *o, const char *name);
bool kobj_selected(const struct kobj *o, const struct selector *s);
const struct pod_condition *pod_condition(const struct pod *p, const char *type);
const struct node_condition *node_condition(const struct node *n, const char *type);
