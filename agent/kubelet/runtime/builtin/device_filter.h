/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices a container may open: a BPF program on its v2 group, since crun leaves the groups alone. Nodes may be
 * made of any number; open are those that every Linux container has, and those that the pod names. It lives as long as
 * the group.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct device_rule {
        char type; /* 'c' or 'b' */
        uint32_t major, minor;
        const char *access; /* of "rwm" */
};

#define DEVICE_RULES_MAX 64

/* A descriptor of the program, or negative errno. */
int device_filter_load(const struct device_rule *rules, size_t n, struct err *reterr);
/* cgroup: absolute path of the v2 group. 0 or negative errno. */
int device_filter_attach(int program, const char *cgroup, struct err *reterr);
