/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/view.h"

/* The machines of a cluster, or of all of them: a table. The exit status: 1 when something is not as it should be. */
int cluster_status(struct view *v);
