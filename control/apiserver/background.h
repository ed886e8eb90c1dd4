/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does by itself: its own objects (system namespaces, the kubernetes Service), timers, compaction,
 * expiry of Events, repair of allocations. One thread; every step is level-triggered and may fail and come again. */
#pragma once

#include "apiserver/server.h"

struct background;

/* Makes the objects that must be there before the first request. Returns 0 or negative errno. */
int bootstrap(struct server *s, struct err *reterr);
int background_start(struct server *s, struct background **ret);
void background_stop(struct background *b);
