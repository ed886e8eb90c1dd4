/* SPDX-License-Identifier: Apache-2.0 */
/* What is loaded and attached on this host, found out by the pins and the kernel alone: for who only looks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/config.h"
#include "datapath/load.h"
#include "datapath/object.h"

/* A program that was attached. */
struct pinned_hook {
        enum program_id program;
        uint32_t ifindex;      /* 0: it is of a cgroup */
        enum attach_mode mode; /* of a cgroup: ATTACH_NONE */
        bool attached;         /* false: its device or cgroup is gone, or somebody has taken it away */
};

/* Calls fn for each pin, sorted by name, until it returns other than 0. 0, that, or negative errno. */
int pinned_each_hook(const char *pin_root, int (*fn)(void *userdata, const struct pinned_hook *hook), void *userdata);
/* The knobs that the pinned programs were loaded with. 0, -ENOENT, -EPROTO (of another release) or negative errno. */
int pinned_knobs(const char *pin_root, struct knobs *ret);
/* Whether an agent holds the folder: datapath_open would say -EBUSY. False also when this cannot be told. */
bool pinned_in_use(const char *pin_root);
