/* SPDX-License-Identifier: Apache-2.0 */
/* The server as its own client: writes that take the same way (defaults, validation, allocation) as everybody's. */
#pragma once

#include "apiserver/server.h"

enum internal_outcome {
        INTERNAL_REFUSED = 1, /* the answer was a Status: its code is in the message */
};

struct internal_write {
        const char *group, *version, *plural, *namespace; /* namespace NULL: cluster-scoped */
        const char *name;                                 /* for replace */
        struct json_object *obj;                          /* borrowed */
};

/* Creates it unless it is there. Returns 0, INTERNAL_REFUSED or negative errno. */
int internal_create(struct server *s, const struct internal_write *w, struct err *reterr);
/* Creates or replaces it; nothing is written when nothing changes. */
int internal_replace(struct server *s, const struct internal_write *w, struct err *reterr);
/* Writes obj's status to the object that is there. */
int internal_replace_status(struct server *s, const struct internal_write *w, struct err *reterr);
/* A Warning Event about a Service. Best effort. */
void own_event(struct server *s, const char *namespace, const char *service, const char *reason, const char *message);
