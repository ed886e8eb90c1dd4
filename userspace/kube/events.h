/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event recorder: tells people what happened to an object (core/v1 Events, as `kubectl describe` shows them). It never
 * blocks and never fails its caller: Events are best effort.
 *
 *  - The same Event again counts up the one that is there, by a PATCH.
 *  - More than 10 Events of an object within 10 minutes that differ only in their message become one,
 *    "(combined from similar events): ...".
 *  - One object gets a burst of 25 and then one in 5 minutes; the rest is dropped.
 *  - 1000 wait at most; what comes on top is dropped and counted.
 *
 * events_record may be called from any thread; the rest in that of the client's loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "kube/client.h"

struct events;

struct events_opts {
        struct kube_client *client; /* made with a loop; must outlive the recorder */
        const char *component;      /* source.component: "kubelet" */
        const char *host;           /* source.host, or NULL */
};

int events_new(const struct events_opts *opts, struct events **ret);
/* Drops what has not been sent. No events_record may be running. Not from inside a callback. */
void events_free(struct events *ev);
DEFINE_CLEANUP(struct events *, events_free)

/* What an Event is about. Strings may be NULL but for kind and name. */
struct event_object {
        const char *api_version, *kind, *ns, *name, *uid, *version, *field_path;
};

/* Fills *ret with pointers into the object. */
void event_object_of(const struct json_object *o, struct event_object *ret);

/* warning: type Warning instead of Normal. reason: "Scheduled"; everything is copied. */
void events_record(struct events *ev, const struct event_object *about, bool warning, const char *reason,
                   const char *fmt, ...) _printf_(5, 6);

struct events_stats {
        uint64_t created, patched, failed;
        uint64_t spam, overflow; /* dropped */
};

void events_stats(const struct events *ev, struct events_stats *ret);
