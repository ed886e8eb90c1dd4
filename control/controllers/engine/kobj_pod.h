/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of kobj.c: the parts of Pods and EndpointSlices that are kept. */
#pragma once

#include "controllers/engine/kobj.h"
#include "controllers/engine/pack.h"

const struct pod *kobj_pack_pod(struct pack *p, const struct jnode *o);
/* ns: of the object, packed already. */
const struct slice *kobj_pack_slice(struct pack *p, const struct jnode *o, const char *ns);
const char *const *kobj_pack_texts(struct pack *p, const struct jnode *list, uint16_t *ret_n);
/* RFC 3339; 0 when there is none. */
int64_t kobj_time(const struct jnode *o, const char *key);
/* "True", "False", "" or NULL, and whatever else. */
enum tri kobj_tri(const char *s);
