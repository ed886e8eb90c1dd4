/* SPDX-License-Identifier: Apache-2.0 */
/* Environment variables in the order in which their names came first; a later value takes the place of an earlier one.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/hashmap.h"

struct env_var {
        const char *name, *value;
        size_t len; /* of the value */
};

struct envs {
        struct arena *mem;
        struct env_var *v;
        size_t n, room;
        struct hashmap index; /* name -> place in v, from 1 */
};

void envs_init(struct envs *e, struct arena *mem);
void envs_deinit(struct envs *e); /* the variables stay, in the arena */
#define _cleanup_envs_ _cleanup_(envs_deinit)

/* Both are borrowed. */
void envs_set(struct envs *e, const char *name, const char *value);
const struct env_var *envs_find(const struct envs *e, const char *name, size_t n);
/* "NAME=value"..., NULL-terminated, in the arena. */
const char *const *envs_list(const struct envs *e);
