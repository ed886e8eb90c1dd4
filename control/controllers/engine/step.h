/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the engine: plans as they are carried out, and what carries them out. */
#pragma once

#include "controllers/engine/plan.h"
#include "kube/client.h"

struct job;

struct step {
        struct step *next;
        enum step_verb verb;
        const struct resource *resource;
        const char *ns, *name; /* name "": the engine makes one out of generate */
        const char *generate;  /* metadata.generateName, or "" */
        const char *sub;       /* subresource, or NULL */
        struct json_object *body;
        const char *uid; /* of patch and delete: only that object */
        const struct kobj *about;
        struct telling telling;
        unsigned int stage;
        unsigned int attempts;
        bool strategic;                                      /* a strategic merge patch */
        bool warning;                                        /* what is told is one, also when it is done */
        bool collection;                                     /* all of the namespace; no name */
        bool post, slow_start, may_fail, finished, in_doubt; /* in_doubt: an answer was lost */
        enum step_verb lost; /* what it was before it became the question what came of it */
        struct step *next_doubt;
        struct job *job;
};

struct note {
        struct note *next;
        const struct kobj *about;
        bool warning;
        const char *reason, *text;
};

struct plan {
        struct arena mem;
        struct step *steps, **tail;
        struct note *notes, **notes_tail;
        unsigned int stage, nsteps;
        uint64_t after_ms; /* UINT64_MAX: not */
        const char *retry; /* why, or NULL */
};

struct plan *plan_new(void);
void plan_free(struct plan *p);
DEFINE_CLEANUP(struct plan *, plan_free)

/* The method and the path with its query, which the caller frees. */
const char *step_method(const struct step *st);
char *step_path(const struct step *st);
const char *step_content_type(const struct step *st); /* NULL: JSON */

/* What the engine has to know of what came back; the rest of it is not even parsed. */
struct answer {
        char uid[64];
        uint64_t version;
        bool deleting; /* it has a deletionTimestamp */
        bool some;     /* of a list: it is not empty */
};

void answer_read(struct answer *a, const struct jnode *o);

typedef void (*step_done_fn)(void *userdata, int result, const struct answer *answer, const struct kube_status *status);

/* Where steps go: the API server, or a test's model of it. */
struct api {
        /* done is called once, never before this returns. The answer is borrowed by it; NULL: there is none. */
        void (*submit)(struct api *a, const struct step *st, step_done_fn done, void *userdata);
        void (*event)(struct api *a, const char *component, const struct kobj *about, bool warning, const char *reason,
                      const char *text);
        int64_t (*wall_ms)(struct api *a);
        uint64_t (*mono_ns)(void);
        uint64_t (*random_below)(uint64_t n);
};
