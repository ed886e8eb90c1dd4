/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images, by the grammar that Docker's users know (github.com/distribution/reference): "nginx" is
 * "docker.io/library/nginx:latest". Beside it the ones of images on this machine's disk: "oci:/folder[:tag]",
 * "oci-archive:/file[:tag]", "docker-archive:/file[:name]", "dir:/folder". No image of a registry can be called so,
 * because a tag does not begin with a slash.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

struct reference {
        char *text;       /* the whole normal form */
        char *domain;     /* "docker.io", "[::1]:5000"; NULL: on the disk */
        char *repository; /* "docker.io/library/nginx"; NULL: on the disk */
        char *tag;        /* or NULL */
        char *digest;     /* "sha256:..." or NULL */
        char *path;       /* of an image on the disk, or NULL */
};

/* 0, or -EINVAL with the words that Kubernetes has for InvalidImageName. */
int reference_parse(const char *text, struct reference *ret, struct err *reterr);
void reference_deinit(struct reference *r);

/* "sha256:" and 64 lower hexadecimal digits. */
bool reference_is_sha256(const char *text);

#define _cleanup_reference_ _cleanup_(reference_deinit)
