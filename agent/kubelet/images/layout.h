/* SPDX-License-Identifier: Apache-2.0 */
/* What skopeo has put into an OCI layout: one image (OCI image-spec, manifest.md). */
#pragma once

#include "agent/kubelet/images/config.h"
#include "agent/kubelet/images/record.h"
#include "base/arena.h"

struct layout {
        struct arena mem;
        const char *id;     /* of the configuration */
        const char *config; /* its text */
        struct blob *blobs; /* manifest, configuration, layers, each once; bytes as on the disk */
        size_t nblobs;
        const char **zstd; /* digests of layers that umoci cannot unpack */
        size_t nzstd;
};

/* Also on failure the blobs that are known of so far are in ret: what is broken can be removed. 0, or negative errno
 * with what is wrong. */
int layout_read(const char *folder, struct layout *ret, struct err *reterr);
void layout_deinit(struct layout *l);

/* The layers' bytes that a manifest announces; 0 for an index and for what is neither. */
uint64_t manifest_bytes(const char *text, size_t n);

#define SHA256_TEXT_SIZE 72 /* "sha256:", 64 digits, NUL */
/* "sha256:..." of n bytes. Returns buf. */
char *sha256_text(const void *data, size_t n, char buf[static SHA256_TEXT_SIZE]);
