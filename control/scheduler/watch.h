/* SPDX-License-Identifier: Apache-2.0 */
/* The informers, and what follows from what they tell: the state is changed, pods come into the queue or leave it, and
 * events wake unschedulable pods. */
#pragma once

#include <stdint.h>

struct err;
struct scheduler;

#define WATCHES_MAX 12

struct watches {
        struct informer *informers[WATCHES_MAX];
        uint32_t n, unsynced;
};

int watch_start(struct scheduler *s, struct err *reterr);
/* Ends them; every pod is out of the state afterwards. */
void watch_free(struct scheduler *s);
