/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images for nodes without a registry: CLUSTER/images keeps what was loaded, and each node's kubelet finds it in its
 * image folder's load/ (agent/kubelet/images/load.c), as NAME.tar or NAME.oci with the name percent-encoded.
 */
#pragma once

#include "ctl/up/machine.h"

/* "demo:1" for an archive or layout that says its name itself, owned by the caller. 0, or negative errno when it does
 * not, or is none. */
int image_own_name(const char *path, char **ret, struct err *reterr);
/* Keeps an archive or a layout for the cluster under that name. *ret_file, owned by the caller, is its file's name. 0
 * or negative errno. */
int image_keep(const struct cluster *c, const char *path, const char *name, char **ret_file, struct err *reterr);
/* Gives a node one image that is kept, or all of them (file NULL). 0 or negative errno. */
int image_give(const struct cluster *c, const struct machine *m, const char *file, struct err *reterr);

enum { IMAGE_WAITS = 1 };

/* Has the node's kubelet taken it? 0, IMAGE_WAITS, or -EIO with the kubelet's reason. */
int image_taken(const struct cluster *c, const struct machine *m, const char *file, struct err *reterr);
