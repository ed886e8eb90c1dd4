/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands about clusters have in common. */
#pragma once

#include "ctl/up/cluster.h"
#include "ctl/view.h"

#define CLUSTER_FLAG                                                                                                   \
        {                                                                                                              \
                "--name", "NAME", "of the cluster ($FAIRLEAD_CLUSTER, or fairlead)", NULL, CLI_ANY                     \
        }

/* --name, $FAIRLEAD_CLUSTER or the default. */
const char *command_cluster(const struct view *v);
/* Loads or takes the cluster that is meant. 0, or the exit status after a complaint. */
int command_load(const struct view *v, struct cluster *ret);
int command_take(const struct view *v, struct cluster *ret);
/* "fairctl up: TEXT" to stderr; returns 1. */
int command_failed(const struct view *v, const struct err *err);
/* Are there clusters on this machine? */
bool command_any_cluster(void);
