/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a configMap, secret, projected or downwardAPI volume, and how they come to the disk: a new generation is
 * written beside the old one and takes its place by one rename.
 *
 *     VOLUME/key -> ..data/key      VOLUME/..data -> ..2026_11_21_10_00_00.123456      VOLUME/..2026_.../key
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

struct payload_file {
        const char *path; /* relative to the volume */
        const char *data;
        size_t n;
        mode_t mode;
        int64_t uid; /* -1: root */
};

struct payload {
        struct arena *mem;
        struct payload_file *files;
        size_t nfiles, room;
        int64_t gid; /* fsGroup: may read all of it; -1: none */
};

/* path must be relative and must not lead to the writer's own names: no "..", no first part that begins with "..". The
 * last one of a path counts. data is borrowed. 0, or -EINVAL. */
int payload_add(struct payload *p, const char *path, const void *data, size_t n, mode_t mode, struct err *reterr);

/* Makes the folder hold exactly these files. Readers see the old generation or the new one; nothing is touched when it
 * is there already. 0 or negative errno. */
int payload_write(const struct payload *p, const char *folder, struct err *reterr);
/* A generation is there. */
bool payload_is_written(const char *folder);
