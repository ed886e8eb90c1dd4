/* SPDX-License-Identifier: Apache-2.0 */
/* <run_dir>/status.json: what fairctl shows and no map tells. Written whole or not at all: at once when
 * ready or synced change, else at most once a second. */
#pragma once

#include "agent/network.h"
#include "agent/services.h"

struct status;

struct status_opts {
        struct loop *loop;
        const struct agent_config *config;
        const struct features *features; /* borrowed; or NULL */
        struct services *services;
        struct network *network; /* or NULL */
        char *const *arguments;  /* what the agent was started with, NULL at the end; or NULL. For `fairctl check` */
};

int status_new(const struct status_opts *opts, struct status **ret, struct err *reterr);
void status_free(struct status *s);
DEFINE_CLEANUP(struct status *, status_free)
/* Something of it has changed. */
void status_changed(struct status *s);
/* Now; for the end. */
void status_write(struct status *s);
