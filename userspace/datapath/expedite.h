/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching to or detaching from TCX waits for an RCU grace period while it holds the lock of all network
 * configuration: measured 12 ms a program, 24 ms a pod, and everybody else's netlink requests wait as long. With
 * expedited grace periods (/sys/kernel/rcu_expedited) it is 0.17 ms a pod. So they are switched on for just that long.
 * A marker that is pinned meanwhile lets the next start switch back what a killed one could not.
 */
#pragma once

#include <stdbool.h>

#include "datapath/pins.h"

struct expedite {
        char marker[PINS_PATH + 64]; /* "": not switched on by us */
};

/* Where it is on already, or may not be changed, nothing happens. prog_fd: any program, to pin as the marker. */
void expedite_begin(struct expedite *e, const char *folder, int prog_fd);
void expedite_end(struct expedite *e);
/* At start: switches back what the marker tells of. */
void expedite_recover(const char *folder);
