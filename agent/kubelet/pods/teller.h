/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the API the status of one pod: at once when it has changed, one call at a time, what changes meanwhile in the
 * next. What the API does not answer is told again with backoff, so that after an outage it hears the present status,
 * never an older one than it has.
 */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "kube/client.h"

struct teller {
        struct loop *loop;
        struct kube_client *client;
        void (*told)(void *userdata); /* an answer has come */
        void *userdata;

        char *ns, *name, *uid;     /* whose status it is in the API; NULL: nobody's yet */
        struct json_object *known; /* the status that the API has, as last heard */
        uint64_t version;          /* resourceVersion of known */
        struct json_object *wanted, *sent,
                *done; /* done: what the API has taken last; same objects, compared as such */
        struct kube_call *call;
        struct loop_timer *retry;
        unsigned int failures;
        bool gone;         /* the API has no such pod */
        uint64_t *patches; /* counted there; may be NULL */
};

int teller_init(struct teller *t, struct loop *loop, struct kube_client *client, void (*told)(void *userdata),
                void *userdata);
void teller_deinit(struct teller *t);
/* The pod as the API has it. What is older than what was heard already is not believed. */
void teller_heard(struct teller *t, const struct json_object *pod);
/* A reference is taken. */
void teller_tell(struct teller *t, struct json_object *status);
/* What was told may be lost, or the API can be reached again. */
void teller_again(struct teller *t);
/* What the API has, when it has what was told last; borrowed. NULL: not yet. */
struct json_object *teller_settled(const struct teller *t);
/* An equal tree takes the place of what was told. */
void teller_adopt(struct teller *t, struct json_object *same);
/* Whether the API has what was told last, or has no such pod. */
bool teller_is_done(const struct teller *t);
