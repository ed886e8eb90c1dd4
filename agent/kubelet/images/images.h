/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images of this node. An image is named by the digest of its configuration ("sha256:..."); references
 * ("nginx:1.27", "registry/x@sha256:...") point to it. It is pulled by skopeo, unpacked by umoci once, and mounted for
 * each container by overlayfs. What lies where is in store.h.
 *
 * On the loop; whatever takes long is a child process, and ends with this one. kill -9 at any point leaves nothing
 * half: an image counts when its record is there.
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
        const char *skopeo, *umoci;  /* paths of the programs; NULL: in /usr/bin */
        const char *folder;          /* "/var/lib/fairlead/images"; absolute, without : and , and \ */
        const char *registries_conf; /* mirrors and insecure registries; NULL: skopeo's own */
        const char *cert_folder;     /* CAs of registries (*.crt); NULL: the system's */
        const char *disk_folder;     /* pods may name images below it ("oci:/..."); "/": anywhere; NULL: nowhere */
        unsigned int parallel_pulls; /* 0: 3 */
        uint64_t max_bytes;          /* that an image may be, packed or unpacked; 0: 64 GiB */
        uint64_t reserve_bytes;      /* that stay free on the disk; 0: 256 MiB */
        unsigned int stall_s;        /* a pull without a byte for that long ends; 0: 60 */
        unsigned int timeout_s;      /* of each step of a pull; 0: 3600 */
        unsigned int progress_s;     /* after which progress is told, again and again; 0: 10 */
};

/* Takes the folder's lock, sweeps what a killed one has left, and begins with what lies in its load/. Strings are
 * copied. Records that cannot be read are logged and left out. 0, -EBUSY when another process has the folder, or
 * negative errno. */
int images_new(const struct images_opts *opts, struct images **ret, struct err *reterr);
/* Pulls that run are ended, and nobody is told. */
void images_free(struct images *im);
DEFINE_CLEANUP(struct images *, images_free)

struct image_label {
        const char *key, *value;
};

/* What a container inherits from its image. Arrays end with NULL. */
struct image {
        const char *id;             /* "sha256:..." */
        const char *const *tags;    /* "docker.io/library/nginx:1.27" */
        const char *const *digests; /* "docker.io/library/nginx@sha256:..."; none when it came from the disk */
        const char *rootfs;         /* the unpacked lower folder */
        uint64_t bytes;             /* on the disk, with what it shares with others */
        const char *const *entrypoint, *const *cmd, *const *env;
        const char *user, *cwd; /* "" when not said */
        int stop_signal;        /* 0: not said */
        /* Paths that want to be volumes. What is written there lives as long as the container in any case. */
        const char *const *volumes;
        const struct image_label *labels;
        size_t nlabels;
        int64_t used_ns; /* when a container was last mounted or it was pulled, wall clock */
};

/* "nginx" is "docker.io/library/nginx:latest". 0, or -EINVAL with Kubernetes' InvalidImageName message. The caller
 * frees *ret. Also "oci:/path[:tag]", "oci-archive:/path", "docker-archive:/path", "dir:/path" for what is on the
 * disk. */
int image_reference(const char *text, char **ret, struct err *reterr);

/* By a reference of any form, or by id. Borrowed until the next change; NULL: not here. */
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
        IMAGE_NO_SPACE,     /* ErrImagePull: the disk is full */
};

/* image is borrowed, NULL but for IMAGE_PULLED; message says why not, or what was done ("" when nothing had to be). */
typedef void (*image_done_fn)(void *userdata, enum image_outcome outcome, const struct image *image,
                              const char *message);

/* One pull a reference at a time: a second one waits for the first. credentials (copied): tried one after the other,
 * then none. done is called once, on the loop, never from here. Pulls again what is here already: for a registry that
 * is one question when nothing has changed. */
void images_pull(struct images *im, const char *reference, const struct image_credentials *credentials,
                 size_t ncredentials, image_done_fn done, void *userdata);
/* Nobody is told of what was asked for with that userdata; the pulls go on. */
void images_forget(struct images *im, void *userdata);

/* Gives what lies on the disk ("oci:/folder:tag", "docker-archive:/file", ...) an ordinary name, as if it had been
 * pulled. The same is done for each file that is moved into <folder>/load (docs/kubelet.md). */
void images_load(struct images *im, const char *source, const char *reference, image_done_fn done, void *userdata);

struct image_progress {
        const char *reference;
        const char *doing;     /* "resolving", "pulling", "unpacking", "storing", "waiting" */
        uint64_t bytes, total; /* of this step; total 0: not known */
        uint64_t seconds;      /* since it was asked for */
};
/* fn is told every progress_s of each pull that takes that long. */
void images_on_progress(struct images *im, void (*fn)(void *userdata, const struct image_progress *p), void *userdata);

/* A writable view: upper (which gets the owner and mode of the image's root) and work are the container's own folders
 * on one file system. Mounts it on target. 0 or negative errno. */
int image_mount(const struct image *image, const char *upper, const char *work, const char *target, struct err *reterr);
/* The same by id, and notes that it was used: what struct builtin_images asks for, with the images as userdata. */
int images_mount(void *images, const char *id, const char *upper, const char *work, const char *target,
                 struct err *reterr);

/* Removes those that are not in use (in_use; and never what is mounted) and were not used for min_age_s, the longest
 * unused first, until so many bytes are free. Returns the bytes that are being freed: a child process does it. */
uint64_t images_collect(struct images *im, uint64_t bytes, int64_t min_age_s,
                        bool (*in_use)(void *userdata, const char *id), void *userdata);
