/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching what the programs decide (bpf/abi/monitor.h): one of MONITORS_MAX places, a filter that the kernel applies,
 * events in the order of time. A place is held by renewing a lease, so that a watcher that is killed leaves nothing
 * that costs; its buffers go with its process. Not thread-safe.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "bpf/abi/maps.h"
#include "bpf/abi/monitor.h"
#include "datapath/map.h"

struct observer;

struct observer_opts {
        const struct maps *maps; /* must stay open as long as the observer is */
        const char *lock_path;   /* a folder: places are taken under a lock on it. NULL: nobody else takes any */
        struct monitor_filter filter;
        uint32_t snap;         /* bytes of packets that are wanted, at most MONITOR_BYTES */
        uint32_t rate;         /* events a second that the kernel tells of; 0: any number */
        uint32_t buffer_pages; /* of each CPU, a power of two; 0: 64 */
};

/* Everything: all hooks, all reasons. */
struct monitor_filter observer_any(void);

enum {
        OBSERVER_BUSY = 1, /* others have all places */
        OBSERVER_LOST = 2, /* the place is somebody else's: this process was stopped for too long */
};

/* 0, OBSERVER_BUSY (reterr is set then, too) or negative errno. */
int observer_open(const struct observer_opts *opts, struct observer **ret, struct err *reterr);
/* Gives the place back; when nobody else watches the programs' switch is off again. */
void observer_close(struct observer *o);
DEFINE_CLEANUP(struct observer *, observer_close)

/* before: e->captured bytes of the frame as it came; after: e->after bytes of it as it left. Other than 0 ends the
 * call that gave the event. */
typedef int observer_fn(void *userdata, const struct monitor_event *e, const uint8_t *before, const uint8_t *after);

/* Waits for events for at most that long, renews the lease, calls fn for each event that no earlier one can follow any
 * more. 0, what fn returned, OBSERVER_LOST, or negative errno (-EINTR: a signal came). */
int observer_poll(struct observer *o, int timeout_ms, observer_fn *fn, void *userdata);
/* Calls fn for each event that there is, without waiting. 0 or what fn returned. */
int observer_drain(struct observer *o, observer_fn *fn, void *userdata);
/* Another filter, at once. */
void observer_filter(struct observer *o, const struct monitor_filter *filter);

struct observer_losses {
        uint64_t lost;   /* no room in the buffer */
        uint64_t capped; /* above the rate */
};

struct observer_losses observer_losses(const struct observer *o);

/* CPUs of a text like "0-3,8": their numbers into ret. How many, or -EINVAL. */
int observer_parse_cpus(const char *text, int *ret, int max);
