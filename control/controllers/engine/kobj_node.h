/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of kobj.c: the parts of a Node that are kept. */
#pragma once

#include "controllers/engine/kobj.h"
#include "controllers/engine/pack.h"

const struct node *kobj_pack_node(struct pack *p, const struct jnode *o);
