/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ConfigMaps and Secrets that pods of this node refer to, each followed alone (a watch with a field selector: a
 * node may read no others). Held by pods; what nobody holds is forgotten.
 */
#pragma once

#include "base/json.h"
#include "kube/client.h"

struct objects;

enum object_kind {
        OBJECT_CONFIG_MAP,
        OBJECT_SECRET,
};

struct objects_opts {
        struct kube_client *client;
        /* Something that this pod holds came, changed or went. */
        void (*changed)(void *userdata, const char *pod_uid);
        void *userdata;
};

int objects_new(const struct objects_opts *opts, struct objects **ret);
void objects_free(struct objects *o);
DEFINE_CLEANUP(struct objects *, objects_free)

/* Holds what the pod's volumes, env, envFrom and imagePullSecrets name; what it does not name any more is let go. */
void objects_hold(struct objects *o, const struct json_object *pod);
void objects_release(struct objects *o, const char *pod_uid);

/* Whether the API has answered for all that the pod holds. */
bool objects_answered(const struct objects *o, const char *pod_uid);

/* 0 and the object (borrowed until the next event); -ENOENT: the API says that there is none; -EAGAIN: nobody has
 * answered yet. Of held ones. */
int objects_get(const struct objects *o, enum object_kind kind, const char *ns, const char *name,
                struct json_object **ret);
