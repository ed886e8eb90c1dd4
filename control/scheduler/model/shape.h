/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes: everything about a pod that scheduling depends on but for who it is: what it asks for, its labels, where it
 * may go and beside whom. Pods of one template have the same, so a shape exists once and is shared by reference; two
 * pods with the same shape pointer are interchangeable. It is immutable but for the place that the state keeps its own
 * notes in.
 */
#pragma once

#include "scheduler/model/query.h"
#include "scheduler/model/resources.h"

enum taint_effect {
        EFFECT_ANY, /* of a toleration: all of them */
        EFFECT_NO_SCHEDULE,
        EFFECT_PREFER_NO_SCHEDULE,
        EFFECT_NO_EXECUTE,
};

enum taint_effect taint_effect_parse(const char *name);

struct taint {
        const struct atom *key, *value;
        enum taint_effect effect;
};

struct toleration {
        const struct atom *key; /* NULL: every key */
        const struct atom *value;
        enum taint_effect effect;
        bool exists; /* any value */
        bool never;  /* an operator that nobody understands */
};

bool toleration_matches(const struct toleration *t, const struct taint *taint);

/* A term of a node selector: all of both must match; one without any requirement matches nothing. */
struct node_term {
        struct query labels;
        struct query fields; /* of metadata.name */
        int32_t weight;      /* of a preferred one */
};

struct node_rule {
        struct query selector; /* spec.nodeSelector */
        bool has_required;
        const struct node_term *required; /* one must match */
        uint32_t nrequired;
        const struct node_term *preferred;
        uint32_t npreferred;
};

/* A term of pod affinity or anti-affinity. */
struct pod_term {
        struct query pods;
        const struct atom *const *namespaces;
        uint32_t nnamespaces;
        struct query namespace_query; /* matches nothing when there is none */
        const struct atom *topology_key;
        int64_t weight; /* of a preferred one; below zero for anti-affinity */
};

struct pod_rule {
        const struct pod_term *required, *forbidden, *preferred; /* forbidden: required anti-affinity */
        uint32_t nrequired, nforbidden, npreferred;
        bool by_own_labels; /* matchLabelKeys, mismatchLabelKeys: the labels are part of the rule */
        struct strbuf key;  /* equal for equal rules of different shapes; empty: no rules */
};

struct spread {
        struct query pods;
        const struct atom *topology_key;
        int32_t max_skew, min_domains;
        bool hard; /* DoNotSchedule */
        bool honor_affinity, honor_taints;
};

struct host_port {
        const struct atom *ip; /* NULL: every address */
        const struct atom *protocol;
        uint16_t port;
};

enum owner_kind {
        OWNER_NONE,
        OWNER_OTHER,
        OWNER_REPLICATION_CONTROLLER,
        OWNER_REPLICA_SET,
        OWNER_STATEFUL_SET,
};

struct claim_ref {
        const struct atom *name; /* of the claim; of the volume when ephemeral */
        bool ephemeral;          /* the claim is called POD-VOLUME */
};

struct shape {
        uint32_t refs;
        uint32_t key_len;
        char *key; /* what the shape was made from; key of the table of shapes */
        struct atom_pool pool;
        const struct atom *ns, *scheduler_name;
        struct label_set labels;
        int32_t priority;
        bool never_preempts; /* preemptionPolicy: Never */
        struct pod_request request;
        const struct toleration *tolerations;
        uint32_t ntolerations;
        struct node_rule node;
        struct pod_rule pods;
        const struct spread *spreads;
        uint32_t nspreads;
        const struct host_port *ports;
        uint32_t nports;
        const struct atom *const *images; /* of all containers, with a tag */
        uint32_t nimages;
        const struct claim_ref *claims;
        uint32_t nclaims;
        const struct atom *const *gates;
        uint32_t ngates;
        bool wants_devices; /* spec.resourceClaims */
        enum owner_kind owner;
        const struct atom *owner_name; /* of the controller */

        /* A note of the state's: which pods these are spread from by default (state/owners.h). */
        struct {
                uint64_t generation; /* of the owners when it was made; 0: never */
                struct atom_pool pool;
                struct query query;
        } siblings;
};

static inline bool shape_has_pod_rules(const struct shape *s)
{
        return s->pods.nrequired || s->pods.nforbidden || s->pods.npreferred;
}

/* Whether one of the tolerations matches. */
bool shape_tolerates(const struct shape *s, const struct taint *taint);

struct shapes {
        struct atoms *atoms;
        struct hashmap table; /* key -> struct shape * */
        struct strbuf key;    /* of the one that is looked for */
};

void shapes_init(struct shapes *s, struct atoms *atoms);
/* Every reference must have been put back. */
void shapes_deinit(struct shapes *s);
/* A reference to the shape of a pod (an API object). */
struct shape *shapes_get(struct shapes *s, const struct jnode *pod);
struct shape *shape_ref(struct shape *shape);
/* NULL does nothing. */
void shapes_put(struct shapes *s, struct shape *shape);

/* shape_parse.c: fills what follows `key` from a pod; the pool is there. */
void shape_parse(struct shape *s, const struct jnode *pod);
/* Also for node affinity of PersistentVolumes: spec.nodeAffinity.required. */
const struct node_term *node_terms_parse(struct atom_pool *p, const struct jnode *list, uint32_t *ret_n);
/* An image's name with a tag, as nodes report them. */
const struct atom *image_name_parse(struct atom_pool *p, const char *name);
