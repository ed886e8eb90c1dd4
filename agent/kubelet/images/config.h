/* SPDX-License-Identifier: Apache-2.0 */
/* Image configurations (OCI image-spec, config.md; Docker's are the same here): bytes from strangers. */
#pragma once

#include <stddef.h>

#include "agent/kubelet/images/images.h"
#include "base/arena.h"
#include "base/err.h"

#define IMAGE_CONFIG_MAX (4 * 1024 * 1024) /* bytes */

struct image_config {
        const char *os, *architecture;                                            /* "" when not said */
        const char *const *entrypoint, *const *cmd, *const *env, *const *volumes; /* end with NULL */
        const struct image_label *labels;
        size_t nlabels;
        const char *user, *cwd; /* "" when not said */
        int stop_signal;        /* 0: not said */
};

/* Everything in ret lies in mem. 0, or -EINVAL with the place and what would be right. */
int image_config_parse(struct arena *mem, const char *text, size_t n, struct image_config *ret, struct err *reterr);

/* "SIGTERM", "term", "15", "SIGRTMIN+3": the number, or -EINVAL. */
int image_signal(const char *text);
