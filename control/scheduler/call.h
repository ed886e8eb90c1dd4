/* SPDX-License-Identifier: Apache-2.0 */
/* Requests under way that own what they are about: a struct call is the first member of what is freed when the request
 * has ended, or when the scheduler ends before. */
#pragma once

#include "kube/client.h"

struct call;
struct scheduler;

typedef void (*call_done_fn)(struct call *call, int result, struct json_object *o, const struct kube_status *status);

struct call {
        struct scheduler *scheduler;
        struct call *prev, *next; /* of all that there are, under way or not */
        struct kube_call *kube;   /* NULL: not under way */
        call_done_fn done;
        void (*release)(struct call *call); /* frees it all */
};

struct calls {
        struct call *first;
};

void call_init(struct call *call, struct scheduler *s, void (*release)(struct call *call));
/* body: taken over; may be NULL. done is called once, never before this returns. */
void call_start(struct call *call, const char *method, const char *path, struct json_object *body, const char *type,
                call_done_fn done);
/* Takes it out of the list and releases it. Not while it is under way. */
void call_free(struct call *call);
/* Ends and releases all. */
void calls_end(struct calls *all);
