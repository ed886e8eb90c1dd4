/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apiserver/cache.h"

/* Once a second: wakes the watchers whose bookmark or end is due. */
void watch_tick(struct cache_set *set);
