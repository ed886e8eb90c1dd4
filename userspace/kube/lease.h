/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election by a coordination.k8s.io/v1 Lease, as client-go does it: of all candidates with the same Lease, one
 * leads. Time is measured on this machine alone: a Lease counts as held for its duration since the last time it was
 * *seen* to change, so that clocks may differ between machines.
 *
 * Runs in the thread of the client's loop, and is to be called there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"

struct lease;

struct lease_opts {
        struct kube_client *client; /* made with a loop; must outlive the election */
        const char *ns, *name;      /* of the Lease */
        const char *identity;       /* unique among the candidates: host name and a random suffix */
        uint32_t duration_ms; /* 0: 15 s; after so long without a renewal others take over; whole seconds are written */
        uint32_t
                renew_deadline_ms; /* 0: 10 s; a leader that could not renew for so long gives up; less than duration */
        uint32_t retry_ms;         /* 0: 2 s; between attempts */
        void (*started)(void *userdata); /* we lead now */
        /* We do not lead any more. Stop at once whatever only a leader may do; most programs exit. */
        void (*stopped)(void *userdata);
        void (*new_leader)(void *userdata, const char *identity); /* seen; may be ourselves; may be NULL */
        void *userdata;
};

/* 0 or -EINVAL (durations that do not fit together). */
int lease_new(const struct lease_opts *opts, struct lease **ret, struct err *reterr);
void lease_start(struct lease *l);
bool lease_is_leader(const struct lease *l);
/* Who led when last seen; "" for nobody. */
const char *lease_holder(const struct lease *l);
/*
 * Leaves the election: stopped is called if we led, then the Lease is given back, so that another candidate need not
 * wait for its end, and released is called (may be NULL) when the server has it, or at once when there is nothing to
 * give back.
 */
void lease_stop(struct lease *l, void (*released)(void *userdata), void *userdata);
/* Without giving back. Not from inside a callback. */
void lease_free(struct lease *l);
DEFINE_CLEANUP(struct lease *, lease_free)
