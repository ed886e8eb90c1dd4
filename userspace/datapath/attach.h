/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where programs are attached, and how that outlives the agent. In the folder of links there is
 *     <program>_<ifindex>         a link: of TCX or XDP
 *     <program>_cgroup            a link: of the cgroup
 *     <program>_<ifindex>_clsact  a program: says that our filter is there, and was pinned before the filter was set
 *     clsact_<ifindex>            a program: says that the qdisc is ours
 * An interface's index may be given to another one; links know better whether theirs still lives.
 */
#pragma once

#include "base/hashmap.h"
#include "datapath/load.h"
#include "datapath/object.h"
#include "datapath/pins.h"

/* One program at one place. */
struct hook_state {
        enum attach_mode mode;
        int link; /* descriptor; -1: none */
};

struct device {
        uint32_t ifindex;
        struct hook_state hooks[PROGRAM_COUNT];
};

struct attacher {
        char root[PINS_PATH], folder[PINS_PATH]; /* of all pins, and of the links */
        const struct program *programs;          /* [PROGRAM_COUNT], borrowed */
        struct hashmap devices;                  /* ifindex -> struct device */
        int cgroup_links[PROGRAM_COUNT];
};

/* Both folders are there, or will be before anything is attached. */
void attacher_init(struct attacher *a, const char *root, const char *folder, const struct program *programs);
/* Closes descriptors; what is pinned stays. */
void attacher_deinit(struct attacher *a);

/* Takes over what is pinned in a folder (of links, of any version): the loaded programs replace the old ones, and pins
 * of another folder move to the own one. What is dead, or has no program any more, is removed. 0 or negative errno. */
int attacher_adopt(struct attacher *a, const char *folder, struct err *reterr);

int attacher_set_tc(struct attacher *a, uint32_t ifindex, enum program_id program, bool tcx, struct err *reterr);
/* *ret_mode: ATTACH_NONE when it cannot be had there; then reterr says why though the result is 0. */
int attacher_set_xdp(struct attacher *a, uint32_t ifindex, enum program_id program, bool generic_ok,
                     enum attach_mode *ret_mode, struct err *reterr);
int attacher_set_cgroup(struct attacher *a, const char *path, enum program_id program, struct err *reterr);
void attacher_unset_cgroup(struct attacher *a, enum program_id program);
void attacher_unset_hook(struct attacher *a, uint32_t ifindex, enum program_id program);
void attacher_unset_device(struct attacher *a, uint32_t ifindex);

bool attacher_holds(struct attacher *a, uint32_t ifindex);
/* Whether that program, once attached to a cgroup, still is. */
bool attacher_holds_cgroup(const struct attacher *a, enum program_id program);
