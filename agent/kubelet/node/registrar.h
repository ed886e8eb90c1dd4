/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the API's Node as this node says it is: makes it when it is missing, adds what it lacks, tells its status when
 * that changes, and at times when it does not. Level-triggered: it looks at what is there and sends the next thing that
 * differs, one call at a time. Follows the Node, whose labels and taints others set.
 */
#pragma once

#include "agent/kubelet/node/object.h"
#include "agent/kubelet/node/retry.h"
#include "kube/client.h"

struct registrar;

struct registrar_opts {
        struct loop *loop;
        struct kube_client *client;
        struct retry *retry; /* shared with the heartbeat */
        const char *name;
        bool create;               /* --register-node */
        uint64_t look_ms, tell_ms; /* look for changes; tell unchanged status */
        /* The facts as they are now; the JSON in it is borrowed until the next call. */
        void (*facts)(void *userdata, struct node_facts *ret);
        /* The Node that the API has is another, or says something else; NULL: it has none. A reference may be taken. */
        void (*seen)(void *userdata, struct json_object *node);
        /* These conditions are told now; created: with a Node that was not there. */
        void (*told)(void *userdata, const struct json_object *conditions, bool created);
        void (*back)(void *userdata); /* the API answers again */
        void *userdata;
};

int registrar_new(const struct registrar_opts *opts, struct registrar **ret);
void registrar_free(struct registrar *r);
DEFINE_CLEANUP(struct registrar *, registrar_free)
void registrar_start(struct registrar *r);

/* Something may have changed: looked at soon. anyway: tell even what is told already. */
void registrar_poke(struct registrar *r, bool anyway);
struct registrar_stats {
        uint64_t creations, patches, failures;
};

void registrar_stats(const struct registrar *r, struct registrar_stats *ret);
