/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories: how many are told, and how a world lives on between the things that happen in it. */
#pragma once

#include "unit/controllers/world.h"

/* Tells those of the seeds 1 to that many, or to $FAIRLEAD_SEEDS. */
void histories_tell(uint64_t seeds, void (*tell)(uint64_t seed, bool variant), bool variant);
/* So often: something happens, then the world goes on by a few steps and, now and then, by a while. */
void histories_live(struct world *w, int times, void (*happen)(void *story), void *story);
