/* SPDX-License-Identifier: Apache-2.0 */
/* Who a container runs as: numbers of the pod, or the image's USER looked up in the image's own /etc/passwd and
 * /etc/group, whose paths are resolved inside the image, whatever links it has. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define OCI_GROUPS_MAX 256

struct oci_user {
        uint32_t uid, gid;
        uint32_t groups[OCI_GROUPS_MAX]; /* supplementary, without gid */
        size_t ngroups;
};

struct oci_user_asked {
        int64_t uid, gid; /* -1: not said */
        const char *user; /* "NAME|UID[:GROUP|GID]", "" or NULL: root; used when uid is not said */
        const int64_t *groups;
        size_t ngroups;
        bool strict; /* what the image's /etc/group says of the user does not count */
};

/* Pure: passwd and group are the files' texts (""). -EINVAL: no such user or group, says which. */
int oci_user_resolve(const struct oci_user_asked *asked, const char *passwd, const char *group, struct oci_user *ret,
                     struct err *reterr);
/* The same with the files of an image. */
int oci_user_find(const struct oci_user_asked *asked, const char *rootfs, struct oci_user *ret, struct err *reterr);
