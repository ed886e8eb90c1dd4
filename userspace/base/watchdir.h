/* SPDX-License-Identifier: Apache-2.0 */
/* Tells when something in a folder has changed; a hint to look. A folder that is replaced is followed again by
 * watchdir_check. */
#pragma once

#include "base/err.h"
#include "base/loop.h"

struct watchdir;

int watchdir_new(struct loop *loop, const char *path, void (*changed)(void *userdata), void *userdata,
                 struct watchdir **ret, struct err *reterr);
void watchdir_free(struct watchdir *w);
DEFINE_CLEANUP(struct watchdir *, watchdir_free)
/* Cheap; to be called now and then. */
void watchdir_check(struct watchdir *w);
