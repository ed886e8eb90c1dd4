/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the event recorder: which Events are the same, similar, or too many. Pure but for its memory; the clock is
 * handed in. */
#pragma once

#include "base/hashmap.h"
#include "kube/events.h"

/* One Event on its way; owns its strings. (libevent has `struct event` and event_free.) */
struct event_note {
        struct event_note *next;
        char *api_version, *kind, *ns, *name, *uid, *version, *field_path;
        char *reason, *message;
        bool warning;
        int64_t wall_s;
};

void event_note_free(struct event_note *e);

/* An Event that was sent: where it is, and how often it happened. */
struct event_record {
        char *key;
        char *event_name; /* "" before it was created */
        int64_t first_s;
        uint64_t seen_ms;
        uint32_t count;
};

struct events_correlator {
        struct hashmap records; /* event key with message -> struct event_record * */
        struct hashmap groups;  /* event key without message -> struct event_group * */
        struct hashmap budgets; /* object -> struct event_budget * */
};

void events_correlator_init(struct events_correlator *c);
void events_correlator_deinit(struct events_correlator *c);

/*
 * Takes in one Event and counts it. Returns NULL when it is not to be sent (spam), else its record: without an
 * event_name it is to be created, with one that Event is to be patched. The Event's message may have been replaced by
 * the combined one. The record is borrowed until the next call.
 */
struct event_record *events_correlate(struct events_correlator *c, struct event_note *e, uint64_t now_ms);
