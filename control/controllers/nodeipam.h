/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of addresses on the command line. */
#pragma once

#include <errno.h>

#include "base/str.h"
#include "controllers/engine/controller.h"

struct cidr {
        int family;                /* AF_INET, AF_INET6 */
        unsigned char address[16]; /* network byte order; IPv4: the first four */
        unsigned int bits;
};

/* "10.244.0.0/16", "fd00::/48". 0 or -EINVAL. */
int cidr_parse(struct str_span text, struct cidr *ret);
