/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of volumes/. */
#pragma once

#include "agent/kubelet/volumes/payload.h"
#include "agent/kubelet/volumes/volumes.h"
#include "base/hashmap.h"

struct token;
struct removal;

struct volumes {
        struct volumes_opts opts;
        char *root, *node_name;
        struct hashmap tokens; /* key -> struct token * */
        struct loop_timer *token_timer;
        struct removal *removals;
};

/* One volume of a pod. */
struct volume {
        struct volumes *v;
        const struct json_object *pod, *volume;
        const char *uid, *ns, *name, *kind; /* name: of the volume; kind: "emptyDir", ... */
        const struct json_object *source;
        char *folder;     /* ROOT/pods/UID/volumes/KIND/NAME */
        int64_t fs_group; /* -1: none */
};

/* 0, -ENOENT: the pod names no such volume, or -EINVAL. To be given to volume_deinit. */
int volume_find(struct volumes *v, const struct json_object *pod, const char *name, struct volume *ret,
                struct err *reterr);
int volume_of(struct volumes *v, const struct json_object *pod, const struct json_object *volume, struct volume *ret,
              struct err *reterr);
void volume_deinit(struct volume *vol);
#define _cleanup_volume_ _cleanup_(volume_deinit)

/* Names become parts of paths. */
bool volume_is_name(const char *s);
/* Whether the path is where something is mounted. */
bool is_mount(const char *path);

int empty_dir_prepare(const struct volume *vol, struct err *reterr);
int host_path_prepare(const struct volume *vol, struct err *reterr);
/* Of configMap, secret, projected and downwardAPI. */
int files_prepare(const struct volume *vol, struct err *reterr);

/* The token of a serviceAccountToken projection: asked for, kept, and renewed when four fifths of its life are over. 0
 * (borrowed until the loop goes on); -EAGAIN: changed() will tell. */
int token_get(struct volumes *v, const struct json_object *pod, const struct json_object *projection, const char **ret,
              struct err *reterr);
void tokens_forget(struct volumes *v, const char *uid);
int tokens_init(struct volumes *v);
void tokens_deinit(struct volumes *v);

void removals_deinit(struct volumes *v);
