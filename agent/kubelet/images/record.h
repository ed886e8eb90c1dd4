/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of one image, as a file: {"id", "tags", "digests", "rootfs" (a name below rootfs/), "rootfsBytes",
 * "blobs": [{"digest", "size"}], "updated" (ns; of two images with one tag the later has it), "config": what the image
 * came with}.
 */
#pragma once

#include "agent/kubelet/images/images.h"
#include "base/arena.h"
#include "base/json.h"

struct blob {
        const char *digest;
        uint64_t bytes;
};

struct image_record {
        struct arena mem; /* everything below */
        struct image image;
        const char *rootfs_name;
        const struct blob *blobs;
        size_t nblobs;
        uint64_t rootfs_bytes;
        int64_t updated_ns;
};

/* folder: of the images, for image.rootfs. The caller frees *ret. 0, or -EINVAL with what is wrong. */
int image_record_parse(const char *text, size_t n, const char *folder, struct image_record **ret, struct err *reterr);
void image_record_free(struct image_record *r);
DEFINE_CLEANUP(struct image_record *, image_record_free)

/* The bytes of all blobs and of the root. */
uint64_t image_record_bytes(const struct image_record *r);
