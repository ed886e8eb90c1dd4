/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images of this node. An image is named by the digest of its configuration ("sha256:..."); references
 * ("nginx:1.27", "registry/x@sha256:...") point to it. It is pulled by skopeo into one OCI layout, unpacked by umoci
 * once, and mounted for each container by overlayfs.
 *
 * On the loop; whatever takes long is a child process. kill -9 at any point leaves nothing half: an image counts when
 * its record is there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/kubelet/child.h"
#include "base/err.h"
#include "base/loop.h"

struct images;

struct images_opts {
        struct loop *loop;
        struct children *children;
        const char *skopeo, *umoci;  /* paths of the programs */
        const char *folder;          /* "/var/lib/fairlead/images" */
        const char *registries_conf; /* mirrors and insecure registries; NULL: skopeo's own */
        const char *cert_folder;     /* CAs of registries; NULL: the system's */
        unsigned int parallel_pulls; /* 0: 3 */
};

int images_new(const struct images_opts *opts, struct images **ret, struct err *reterr);
void images_free(struct images *im);
DEFINE_CLEANUP(struct images *, images_free)

/* What a container inherits from its image. Arrays end with NULL. */
struct image {
        const char *id;          /* "sha256:..." */
        const char *const *tags; /* "docker.io/library/nginx:1.27" */
        const char *const *digests;
        const char *rootfs; /* the unpacked lower folder */
        uint64_t bytes;     /* on the disk */
        const char *const *entrypoint, *const *cmd, *const *env;
        const char *user, *cwd; /* "" when not said */
        int stop_signal;        /* 0: not said */
};

/* "nginx" is "docker.io/library/nginx:latest". 0, or -EINVAL with Kubernetes' InvalidImageName message. The caller
 * frees *ret. Also "oci:/path[:tag]", "oci-archive:/path", "docker-archive:/path" for what is on the disk. */
int image_reference(const char *text, char **ret, struct err *reterr);

/* Borrowed until the next change; NULL: not here. */
const struct image *images_find(const struct images *im, const char *reference);
void images_each(const struct images *im, void (*fn)(void *userdata, const struct image *image), void *userdata);

struct image_credentials {
        const char *username, *password; /* or NULL */
};

enum image_outcome {
        IMAGE_PULLED,
        IMAGE_INVALID_NAME, /* InvalidImageName */
        IMAGE_UNAVAILABLE,  /* RegistryUnavailable: no connection */
        IMAGE_REFUSED,      /* ErrImagePull: not found, denied, ... */
        IMAGE_BROKEN,       /* ErrImagePull: what came cannot be unpacked; says what */
        IMAGE_NO_SPACE,
};

/* One pull a reference at a time: a second one waits for the first. credentials: tried one after the other, then none.
 */
void images_pull(struct images *im, const char *reference, const struct image_credentials *credentials,
                 size_t ncredentials,
                 void (*done)(void *userdata, enum image_outcome outcome, const struct image *image,
                              const char *message),
                 void *userdata);

/* A writable view: upper is the container's own folder. Mounts it on target. 0 or negative errno. */
int image_mount(const struct image *image, const char *upper, const char *work, const char *target, struct err *reterr);

/* Removes those that are not in use (in_use) and were not used for min_age_s, the longest unused first, until so many
 * bytes are free. Returns the bytes that were freed. */
uint64_t images_collect(struct images *im, uint64_t bytes, int64_t min_age_s,
                        bool (*in_use)(void *userdata, const char *id), void *userdata);
